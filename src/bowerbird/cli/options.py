"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[
    Path, typer.Option("--store", envvar="BOWERBIRD_STORE", help="Folder of the store.", show_default=True)
]
ArtifactOption = Annotated[
    Path, typer.Option("--artifact", envvar="BOWERBIRD_ARTIFACT", help="Folder of the fitted model.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")]


def pairs(values: Sequence[str], option: str, example: str) -> list[tuple[str, str]]:
    """`name=value` texts, split.

    Raises:
        typer.BadParameter: One has no `=` or no name.
    """
    found = []
    for text in values:
        name, sign, value = text.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise typer.BadParameter(f"{text!r} is not of the form {example}", param_hint=option)
        found.append((name.strip(), value.strip()))
    return found


def weights(values: Sequence[str]) -> dict[str, float]:
    """`outcome=weight` texts as numbers.

    Raises:
        typer.BadParameter: One is malformed or not a number.
    """
    found = {}
    for name, text in pairs(values, "--outcome", "save=0.5"):
        try:
            found[name] = float(text)
        except ValueError:
            raise typer.BadParameter(
                f"the weight in {name}={text} is no number", param_hint="--outcome"
            ) from None
    return found


def grouped(values: Sequence[str], option: str) -> dict[str, tuple[str, ...]]:
    """`column=value` texts gathered by column.

    Raises:
        typer.BadParameter: One is malformed.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs(values, option, "genres=Comedy"):
        found[name] = (*found.get(name, ()), value)
    return found
