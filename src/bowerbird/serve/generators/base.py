"""The seam to the model side: what the engine needs from a system that turns histories into candidates.

A batch of questions becomes a `Run`, whose stages the engine calls one after the other: it times them, leaves out what
there is no time for, and answers otherwise where one fails.

Shape letters: n candidates of one question, h events of its history, C actions, De item dimension, Q query items,
I items.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bowerbird.serve.past.window import Window
from bowerbird.tables.view import MentionKind

UNSPECIFIED = "any"
"""Name of the outcome that asks for nothing in particular."""


@dataclass(frozen=True, eq=False)
class Question:
    """One request as a model reads it.

    Attributes:
        window: The history, at least one event unless there is a context.
        outcomes: Outcome to share, summing to one.
        k: Candidates wanted.
        surface: Surface code of the store.
        time: ms UTC of the request.
        key: Whose history it is; what is computed from it may be kept under this name. None = nobody's.
        allowed: int32 (a,) the only items that may come back; None = all.
        exclude: int32, items that must not come back.
        context: What the request itself says, read behind the history for this request only: the query that was
            searched. None = nothing.
    """

    window: Window
    outcomes: Mapping[str, float]
    k: int
    surface: int
    time: int
    key: Hashable | None = None
    allowed: np.ndarray | None = None
    exclude: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    context: Window | None = None


@dataclass(frozen=True)
class QueryVector:
    """One generated vector: the outcome it was generated for, its step (from 1), the time offset it aims at,
    and how many candidates it was allowed to fetch."""

    outcome: str
    step: int
    offset: str
    budget: int


@dataclass(frozen=True, eq=False)
class Candidates:
    """What was found for one question, best first.

    Attributes:
        item: int32 (n,) dense items, each at most once; -1 = none.
        score: float32 (n,), larger is better.
        vector: int32 (n,) index into `vectors` of the vector that found the item.
        vectors: The generated vectors.
        stored: float32 (n, De), the items' vectors as they are stored; None for models that do not rank.
    """

    item: np.ndarray
    score: np.ndarray
    vector: np.ndarray
    vectors: Sequence[QueryVector]
    stored: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Candidates:
        """Some of the candidates."""
        stored = None if self.stored is None else self.stored[rows]
        return Candidates(self.item[rows], self.score[rows], self.vector[rows], self.vectors, stored)


@dataclass(frozen=True)
class Neighbours:
    """Items near items: `item` int32 (Q, n) padded with -1, `score` float32 (Q, n)."""

    item: np.ndarray
    score: np.ndarray


class Run(Protocol):
    """A batch of questions on its way through a model. Stages are called in order, by one thread at a time.

    What a question gets does not depend on the others of its batch, up to rounding.
    """

    def encode(self) -> None:
        """Reads the histories."""
        ...

    def generate(self) -> None:
        """Makes query vectors."""
        ...

    def retrieve(self) -> list[Candidates]:
        """Candidates of each question, fewer than asked only where there are no more."""
        ...

    def rank(self, found: Sequence[Candidates]) -> list[np.ndarray]:
        """float32 (n, C) for each question: how likely each action of the generator's `actions` is."""
        ...

    def attended(self, found: Sequence[Candidates]) -> list[np.ndarray]:
        """float32 (n, h) for each question: how much of its attention each candidate pays to each past event."""
        ...

    def keep(self, rows: Sequence[int]) -> Run:
        """The same run for some of its questions (ascending)."""
        ...


class Generator(Protocol):
    """A retrieval model with its index, opened and ready."""

    @property
    def name(self) -> str:
        """The learner behind it, e.g. `pinrec`."""
        ...

    @property
    def release(self) -> str:
        """Names the exact model and index."""
        ...

    @property
    def outcomes(self) -> Mapping[str, float]:
        """Outcomes a request can weigh, with the share each has when a request weighs none."""
        ...

    @property
    def actions(self) -> tuple[str, ...]:
        """Actions it says probabilities of, in the order of `Run.rank`; empty = it does not rank."""
        ...

    @property
    def history_length(self) -> int:
        """How many past events it reads at most."""
        ...

    @property
    def mentions(self) -> Sequence[MentionKind]:
        """What it reads of a history beside items, see `View.histories`."""
        ...

    def query_id(self, text: str) -> int:
        """The item id under which a query stands in a history; -1 where it reads none. Called by any thread."""
        ...

    @property
    def readable(self) -> np.ndarray | None:
        """bool (I,): items it has a vector of, so that they can stand in a history; None = all."""
        ...

    @property
    def item_vectors(self) -> np.ndarray | None:
        """float32 (I, De): its vectors of items, not finite or zero where it has none; None = it keeps none."""
        ...

    def start(self, questions: Sequence[Question]) -> Run:
        """Begins to answer a batch; nothing is computed yet."""
        ...

    def similar(self, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> Neighbours:
        """Items near each of `items` int32 (Q,), themselves left out.

        A row is all -1 where an item is not indexed.
        """
        ...

    def describe(self) -> Mapping[str, object]:
        """Plain facts about what it keeps in memory, for people and metrics."""
        ...

    def close(self) -> None:
        """Lets go of what it keeps between requests."""
        ...
