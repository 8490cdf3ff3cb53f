"""The serving side of retrieval: histories to candidates through an index, with provenance and timings.

Shapes: B requests, M vectors, k candidates, De item dimension.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bowerbird.index import Index, VectorIndexError
from bowerbird.recommend.examples import Tokens
from bowerbird.recommend.retrieval.budgets import Merged, compress, merge, vector_budgets
from bowerbird.recommend.retrieval.generation import Generated, Plan
from bowerbird.recommend.retrieval.live import LiveNext
from bowerbird.recommend.retrieval.opened import OpenPinRec, last_items

_SAME = {"exact": 1e-6, "ivf": 2.0**-11}
"""Relative difference of two values that are the same to an index: approximate ones keep 16-bit codes."""
_CHUNK = 1 << 16
"""Rows compared at once."""


@dataclass(frozen=True)
class Found:
    """What one call retrieved.

    Attributes:
        merged: one list per request; ``merged[b].vector`` numbers the vectors in ``kept[b]``.
        kept: per request, the generated vectors (0 .. M-1) that compression kept.
        budgets: per request, candidates each kept vector was allowed.
        generated: the vectors and what each was asked for.
        timings_ms: milliseconds of the stages ``generate`` (encoding included) and ``retrieve``.
    """

    merged: list[Merged]
    kept: list[list[int]]
    budgets: list[list[int]]
    generated: Generated
    timings_ms: dict[str, float]


class Retriever:
    """An opened model with an index over its items.

    A trend is part of the indexed vectors (one extra dimension that every query multiplies by one), so the index
    answers with the same logits as the full scan; it belongs to one moment. So do live transitions: they depend on the
    request's last item, so the live next items of that item are scored exactly and put among the hits. The list is
    that of the full scan as long as an item has at most 256 of them (of more, the strongest count).

    Args:
        opened: the model on a view.
        items: dense ids to index; every item the view knows when left out.
        moment: ms UTC of the trend; the end of the view when left out.
        index: one that another retriever of this model built, perhaps on an earlier state of the store. It is taken
            over: rows that would be built otherwise today (new items, changed content, the trend) are replaced in
            memory, its files stay as they are. Built here when left out.

    Raises:
        VectorIndexError: the index has vectors of another dimension than the model.
    """

    def __init__(
        self, opened: OpenPinRec, items: np.ndarray | None = None, *, moment: int | None = None,
        index: Index | None = None,
    ) -> None:  # fmt: skip
        self.opened = opened
        ids = np.flatnonzero(opened.view.known_items()) if items is None else np.asarray(items)
        vectors = opened.vectors_IE[torch.from_numpy(ids)] * opened.cosine_scale
        moment = opened.view.end_time if moment is None else moment
        trends = opened.trends_for(opened.view, moment, moment)
        bias_I = torch.zeros(len(opened.vectors_IE))
        if trends is not None:
            bias_I += trends.values_GIH[-1] @ opened.trend_weights
            popularity_I = trends.shares(torch.tensor([-1]))[0]
            if opened.blend is not None:
                bias_I += opened.blend.share * popularity_I.log()
        self._extra = trends is not None
        if self._extra:
            vectors = torch.cat([vectors, bias_I[torch.from_numpy(ids), None]], dim=1)
        self.index = (
            Index.build(vectors.numpy(), ids) if index is None else _renewed(index, vectors.numpy(), ids)
        )
        self._next: LiveNext | None = None
        steps = opened.transitions_for(opened.view, moment, moment)
        if steps is not None and opened.blend is not None and trends is not None:
            self._next = LiveNext(steps, popularity_I.numpy(), opened.blend.steps, self.index, moment)

    def fetch(
        self, tokens: Tokens, plan: Plan, k: int, *, surface: np.ndarray, time: np.ndarray,
        allowed: np.ndarray | None = None, exclude: Sequence[np.ndarray] | None = None,
    ) -> Found:  # fmt: skip
        """Candidates of B requests.

        Args:
            tokens: histories of at least one event.
            plan: outcomes, steps, offsets.
            k: candidates wanted per request.
            surface: surface condition codes (B,).
            time: int64 ms (B,).
            allowed: dense ids that may come back; ``None`` = all.
            exclude: per request, dense ids that must not come back.
        """
        started = clock.perf_counter()
        found = self.opened.generate(
            tokens, plan, surface_B=torch.from_numpy(surface.astype(np.int64)), time_B=torch.from_numpy(time)
        )
        generated = clock.perf_counter()
        budgets = vector_budgets(found.outcome, plan.outcomes, k)
        vectors_BME = found.vectors_BME.numpy()
        chosen = [compress(vectors_ME, budgets, plan.compress) for vectors_ME in vectors_BME]
        queries = np.concatenate([vectors_BME[b][kept] for b, (kept, _) in enumerate(chosen)])
        if self._extra:
            queries = np.pad(queries, ((0, 0), (0, 1)), constant_values=1.0)
        owner = np.repeat(np.arange(len(chosen)), [len(kept) for kept, _ in chosen])
        barred = None if exclude is None else [exclude[int(b)] for b in owner]
        most = max(1, len(self.index))
        if self._next is None:
            hits = self.index.search(queries, min(k, most), allowed=allowed, exclude=barred)
        else:
            after = self._next.after(last_items(tokens))
            wanted = k + max(len(items) for items, _ in after)
            hits = self.index.search(queries, min(wanted, most), allowed=allowed, exclude=barred)
            after = [after[int(b)] for b in owner]
            hits = self._next.among(hits, queries, after, allowed=allowed, exclude=barred)
        merged = []
        for b, (_, shares) in enumerate(chosen):
            rows = np.flatnonzero(owner == b)
            merged.append(merge([(hits.ids[row], hits.scores[row]) for row in rows], shares, k))
        done = clock.perf_counter()
        timings = {"generate": 1e3 * (generated - started), "retrieve": 1e3 * (done - generated)}
        return Found(merged, [kept for kept, _ in chosen], [shares for _, shares in chosen], found, timings)

    def similar(
        self, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Items nearest to given ones by cosine, themselves left out.

        Returns:
            ids int64 (Q, k), -1 padded, and cosines float32 (Q, k).
        """
        vectors = self.opened.vectors_IE[torch.from_numpy(np.asarray(items, np.int64))].numpy()
        if self._extra:  # nearness has no moment: the trend's dimension is multiplied by zero
            vectors = np.pad(vectors, ((0, 0), (0, 1)))
        hits = self.index.search(vectors, k, allowed=allowed, exclude=[np.array([item]) for item in items])
        return hits.ids, hits.scores / self.opened.cosine_scale


def _renewed(index: Index, vectors_NE: np.ndarray, ids: np.ndarray) -> Index:
    """The index with exactly these rows; only those that differ from what it holds are stored anew."""
    if index.dim != vectors_NE.shape[1]:
        raise VectorIndexError(
            f"the index holds vectors of dimension {index.dim}, this model makes {vectors_NE.shape[1]}: they do not "
            "belong together. Fix: publish the model again"
        )
    index.remove(np.setdiff1d(index.ids, ids))
    stale: list[np.ndarray] = []
    for low in range(0, len(ids), _CHUNK):
        rows = np.arange(low, min(low + _CHUNK, len(ids)))
        held = index.places(ids[rows]) >= 0
        stale.append(rows[~held])
        wanted = vectors_NE[rows[held]]
        near = np.abs(index.vectors(ids[rows[held]]) - wanted) <= _SAME[index.kind] * np.abs(wanted) + 1e-7
        stale.append(rows[held][~near.all(axis=1)])
    changed = np.concatenate(stale) if stale else np.empty(0, np.int64)
    if len(changed):
        index.add(vectors_NE[changed], ids[changed])
    return index
