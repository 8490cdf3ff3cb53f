"""Condition codes: how actions and surfaces of the store become the head's inputs (0 = unspecified)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import View

UNSPECIFIED = "any"
"""The outcome name of the null condition: no particular action is asked for."""


@dataclass(frozen=True)
class Conditions:
    """The actions and surfaces one model knows.

    Attributes:
        actions: positive action names; condition code c is ``actions[c - 1]``.
        bits: the store bit of each of them.
        counts: how often each occurred in training.
        surfaces: surface names; code c is ``surfaces[c - 1]``.
    """

    actions: tuple[str, ...]
    bits: tuple[int, ...]
    counts: tuple[int, ...]
    surfaces: tuple[str, ...]

    @classmethod
    def of(cls, view: View) -> Self:
        """Read the vocabularies and count the actions of a training view."""
        names = [str(name) for name in view.actions.decode(np.arange(len(view.actions)))]
        bits = [bit for bit in range(len(names)) if view.positive_mask >> bit & 1]
        totals = np.zeros(len(names), dtype=np.int64)
        for (actions,) in view.positives.columns("actions"):
            for bit in bits:
                totals[bit] += int((actions >> np.uint32(bit) & 1).sum())
        surfaces = [str(name) for name in view.surfaces.decode(np.arange(len(view.surfaces)))]
        return cls(
            tuple(names[b] for b in bits), tuple(bits), tuple(int(totals[b]) for b in bits), tuple(surfaces)
        )

    def action_codes(self, masks: np.ndarray) -> np.ndarray:
        """One condition code per event: its rarest action (A8), 0 where it has none; int64."""
        codes = np.zeros(masks.shape, dtype=np.int64)
        for c in sorted(range(len(self.bits)), key=lambda c: -self.counts[c]):
            codes[(masks >> np.uint32(self.bits[c]) & 1) == 1] = c + 1
        return codes

    def surface_codes(self, surfaces: np.ndarray) -> np.ndarray:
        """int64 condition codes of the store's surface codes; a surface that came after training is unspecified."""
        codes = surfaces.astype(np.int64) + 1
        return np.where(codes > len(self.surfaces), 0, codes)

    def action(self, name: str) -> int:
        """The condition code of an action name; ``"any"`` is the unspecified outcome.

        Raises:
            ConfigError: for a name the model does not know.
        """
        if name == UNSPECIFIED:
            return 0
        if name not in self.actions:
            known = ", ".join((UNSPECIFIED, *self.actions))
            raise ConfigError(f"outcome {name!r} is not known to this model; choose from {known}")
        return self.actions.index(name) + 1

    def mask(self, name: str) -> int:
        """The store's action mask of an outcome; 0 for the unspecified one. Raises as :meth:`action`."""
        code = self.action(name)
        return 1 << self.bits[code - 1] if code else 0

    def surface(self, name: str | None) -> int:
        """The condition code of a surface; unknown names and ``None`` are unspecified."""
        return self.surfaces.index(name) + 1 if name in self.surfaces else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "actions": list(self.actions), "bits": list(self.bits), "counts": list(self.counts),
            "surfaces": list(self.surfaces),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(
            tuple(data["actions"]), tuple(data["bits"]), tuple(data["counts"]), tuple(data["surfaces"])
        )
