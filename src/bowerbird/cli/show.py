"""What the commands print: answers to stdout, everything about the work itself to stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from bowerbird.serve.response import Note, Recommendation


def out() -> Console:
    """The console for answers."""
    from rich.console import Console

    return Console(highlight=False)


def err() -> Console:
    """The console for progress, notes and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say_error(message: str) -> None:
    """One clear message in red, on stderr."""
    from rich.text import Text

    err().print(Text.assemble(("error: ", "bold red"), (message, "red")), soft_wrap=True)


def say(message: str) -> None:
    """A line about the work, on stderr."""
    from rich.text import Text

    err().print(Text(message), soft_wrap=True)


def print_notes(notes: Sequence[Note]) -> None:
    """Notes of an answer, on stderr."""
    from rich.text import Text

    for note in notes:
        err().print(Text.assemble(("note: ", "bold yellow"), note.message), soft_wrap=True)


def print_items(items: Sequence[Recommendation], title: str) -> None:
    """Recommended items as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name, right in (("#", True), ("id", False), ("title", False), ("categories", False), ("score", True)):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    table.add_column("why", style="dim")
    for entry in items:
        item, why = entry.item, entry.why
        parts = (why.outcome, why.step and f"step {why.step}", why.offset)
        reason = why.stage if why.outcome is None else ", ".join(str(part) for part in parts if part)
        cells = (str(item.id), item.title, ", ".join(item.categories))
        table.add_row(str(entry.rank), *(Text(cell) for cell in cells), f"{entry.score:.4f}", Text(reason))
    out().print(table)


def print_json(value: Any) -> None:
    """A value as JSON, on stdout."""
    import orjson

    sys.stdout.write(
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n"
    )
