"""A request on its way through the engine, and what the stages leave for each other."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import numpy as np

from bowerbird.serve.engine.clock import Stopwatch
from bowerbird.serve.generators.base import Candidates, Question, Run
from bowerbird.serve.past.window import Window
from bowerbird.serve.request import Request
from bowerbird.serve.response import Note


@dataclass(eq=False)
class Trip:
    """See the module docstring.

    Attributes:
        request: What was asked.
        watch: Runs since the request came.
        deadline: Reading of the clock by which the answer has to be there; None = no hurry.
        now: Time of the request, ms UTC.
        surface: Code of the surface.
        shares: Outcome to share, summing to one.
        values: Action to worth, for models that rank.
        window: What the model reads of the past.
        context: The query of the request as the model reads it; None = none.
        key: Whose past it is, see `Question.key`.
        recent: int32, the last few items of the past, oldest first.
        exclude: int32 ascending, items that must not be shown.
        allowed: int32 ascending, the only items that may be shown; None = all.
        fetch: Candidates wanted from the model.
        notes: What is not as asked.
        sent: Reading of the clock when it was handed to a batcher.
        run, row: The batch this request is answered in, once it got that far.
        found: What was retrieved.
        probability: float32 (n, C), where it was ranked.
    """

    request: Request
    watch: Stopwatch
    deadline: float | None
    now: int
    surface: int
    shares: dict[str, float]
    values: dict[str, float]
    window: Window
    key: Hashable | None
    recent: np.ndarray
    exclude: np.ndarray
    allowed: np.ndarray | None
    fetch: int
    context: Window | None = None
    notes: list[Note] = field(default_factory=list)
    sent: float | None = None
    run: Run | None = None
    row: int = 0
    found: Candidates | None = None
    probability: np.ndarray | None = None

    @property
    def question(self) -> Question:
        """What the model is asked."""
        return Question(
            self.window, self.shares, self.fetch, self.surface, self.now, self.key, self.allowed, self.exclude,
            self.context,
        )  # fmt: skip

    def without_model(self) -> Trip:
        """The same trip as it was before the model was asked; a model that still works on this one changes nothing."""
        return replace(self, notes=list(self.notes), run=None, found=None, probability=None)

    def note(self, code: str, message: str) -> None:
        """Adds a note, once a code."""
        if all(note.code != code for note in self.notes):
            self.notes.append(Note(code, message))
