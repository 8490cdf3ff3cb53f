"""A progress bar with loss, speed and the validation metric; plain lines where there is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressBar:
    """A bar over a known number of steps.

    Args:
        total: steps to come.
        description: what is being done, e.g. ``"train"``.
        shown: ``False`` makes every method do nothing.
    """

    def __init__(self, total: int, description: str, *, shown: bool = True) -> None:
        self._total, self._description, self._shown = total, description, shown
        self._bar: Progress | None = None
        self._facts: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[facts]}"), console=Console(stderr=True),
            )  # fmt: skip
            self._bar.start()
            self._bar.add_task(self._description, total=self._total, facts="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, **facts: str) -> None:
        """Move to ``step`` and show short ``facts`` (kept until they are replaced)."""
        if self._bar is not None:
            self._facts.update(facts)
            text = "  ".join(f"{key} {value}" for key, value in self._facts.items())
            self._bar.update(self._bar.task_ids[0], completed=step, facts=text)

    def line(self, text: str) -> None:
        """A line that stays, above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        elif self._shown:
            print(f"{self._description}: {text}", file=sys.stderr, flush=True)
