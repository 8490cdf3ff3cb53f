"""The split a data set brings with it, kept in the manifest of its store so that nobody has to remember the moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

KEY: Final = "split"
"""Where it stands in the `config` of a manifest."""


@dataclass(frozen=True)
class GivenSplit:
    """Where the walls of a data set's own split stand.

    Attributes:
        rule: How it was made, printed in every report.
        valid_from: First moment of the validation part, ms UTC.
        test_from: First moment of the test part, ms UTC.
        until: Where the test ends (exclusive), or None for the end of the log.
        seed: Seed of the draw, or None where nothing was drawn.
    """

    rule: str
    valid_from: int
    test_from: int
    until: int | None = None
    seed: int | None = None

    def to_config(self) -> dict[str, Any]:
        """What goes into the `config` of a manifest."""
        return {KEY: asdict(self)}

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """The split of a manifest's `config`, or None where it has none."""
        found = config.get(KEY)
        return None if found is None else cls(**found)
