"""PinRec behind the generator seam: names for conditions, store codes in, candidates out.

Shape letters: B histories, n history length, M generated vectors, k candidates, Q query items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch

from bowerbird.index import Index
from bowerbird.learn.artifact import Artifact
from bowerbird.recommend.examples import batch_tokens
from bowerbird.recommend.retrieval.generation import Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.retriever import Retriever
from bowerbird.recommend.targets import offset_edges
from bowerbird.serve.generators.base import UNSPECIFIED, Candidates, Neighbours, QueryVector
from bowerbird.tables.view import HistoryBatch, View

_STEPS = 2
_OFFSETS = 3
_MERGE_ABOVE = 0.9995
"""Nearer vectors share their budget. Kept high: below it, outcomes that a model tells apart only a little would merge,
and weighing them would change nothing."""
_UNASKED = 0.5
"""Share of the unspecified outcome where a request weighs none; the model's actions share the rest equally."""


class PinRecGenerator:
    """An opened PinRec with its index.

    Args:
        opened: The model on a view.
        release: Names the artifact.
        index: One built before for this model, see `Retriever`; built here when left out.
    """

    name = "pinrec"

    def __init__(self, opened: OpenPinRec, release: str, *, index: Index | None = None) -> None:
        self.release = release
        self._opened = opened
        self._retriever = Retriever(opened, index=index)
        config, conditions = opened.config, opened.conditions
        self.history_length = config.history_length
        actions = [name for name, n in zip(conditions.actions, conditions.counts, strict=True) if n]
        if not config.outcome_conditioning:
            actions = []
        rest = _UNASKED / len(actions) if actions else 0.0
        self.outcomes: Mapping[str, float] = {
            UNSPECIFIED: 1.0 - rest * len(actions), **dict.fromkeys(actions, rest)
        }  # fmt: skip
        self._offsets, self._offset_names = offset_codes(config.offset_buckets)

    @classmethod
    def open(cls, artifact: Artifact, view: View, release: str, *, index: Index | None = None) -> Self:
        """Opens an artifact for the catalogue of a view.

        Raises:
            ConfigError: The artifact was made from a store with other item ids.
            VectorIndexError: The index is not of this model.
        """
        return cls(OpenPinRec.open(artifact, view), release, index=index)

    @property
    def index(self) -> Index:
        """What it retrieves from: item vectors, and for models with a trend the trend of the view's end."""
        return self._retriever.index

    def generate(
        self, history: HistoryBatch, outcomes: Mapping[str, float], k: int, *, surface: np.ndarray, time: np.ndarray,
        allowed: np.ndarray | None = None, exclude: Sequence[np.ndarray] | None = None,
    ) -> Candidates:  # fmt: skip
        """See `Generator.generate`."""
        plan = Plan(outcomes=dict(outcomes), steps=_STEPS, offsets=self._offsets, compress=_MERGE_ABOVE)
        with torch.inference_mode():
            tokens = batch_tokens(history, self._opened.conditions)
            found = self._retriever.fetch(
                tokens, plan, k, surface=surface.astype(np.int64) + 1, time=time, allowed=allowed, exclude=exclude
            )
        made = found.generated
        batch = len(found.merged)
        item, score = np.full((batch, k), -1, np.int32), np.zeros((batch, k), np.float32)
        vector = np.zeros((batch, k), np.int32)
        for b, merged in enumerate(found.merged):
            n = min(k, len(merged.item))
            item[b, :n], score[b, :n], vector[b, :n] = merged.item[:n], merged.score[:n], merged.vector[:n]
        vectors = [
            [
                QueryVector(made.outcome[m], made.step[m], self._offset_names[made.offset[m]], budget)
                for m, budget in zip(kept, budgets, strict=True)
            ]
            for kept, budgets in zip(found.kept, found.budgets, strict=True)
        ]
        return Candidates(item, score, vector, vectors, found.timings_ms)

    def similar(self, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> Neighbours:
        """See `Generator.similar`."""
        ids, cosines = self._retriever.similar(items, k, allowed=allowed)
        return Neighbours(ids.astype(np.int32), np.where(ids >= 0, cosines, 0.0).astype(np.float32))


def offset_codes(buckets: int) -> tuple[tuple[int, ...], dict[int, str]]:
    """The offset codes to generate for a model with so many buckets, and how each is written.

    A single-token model has no offsets: code 0, written "next". A multi-token one is asked for "now" first (the vector
    that is fed back) and for codes spread over its range.
    """
    if buckets <= 1:
        return (0,), {0: "next"}
    codes = np.unique(np.linspace(1, buckets, min(_OFFSETS, buckets)).round().astype(int)).tolist()
    return tuple(codes), {code: _written(offset_edges(buckets)[code - 1]) for code in codes}


def _written(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= unit:
            return f"+{seconds / unit:.3g} {name}"
    return "now"
