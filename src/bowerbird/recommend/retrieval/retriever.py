"""The serving side of retrieval: histories to candidates through an index, with provenance and timings.

Shapes: B requests, M vectors, k candidates, De item dimension.
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bowerbird.index import Hits, Index, VectorIndexError
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


@dataclass(frozen=True, eq=False)
class Query:
    """What one request asks of the vectors generated for it.

    Attributes:
        shares: outcome -> share of the budget; vectors of other outcomes are left alone.
        k: candidates wanted.
        last: the last item of its history, for models with live next items; -1 = none.
        allowed: dense ids that may come back; ``None`` = all.
        exclude: dense ids that must not come back; ``None`` = none.
    """

    shares: Mapping[str, float]
    k: int
    last: int = -1
    allowed: np.ndarray | None = None
    exclude: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Retrieved:
    """What one request retrieved.

    Attributes:
        merged: candidates, best first; ``merged.vector`` numbers the vectors in ``kept``.
        kept: the generated vectors (0 .. M-1) that were asked and that compression kept.
        budgets: candidates each kept vector was allowed.
        vectors_NE: float32 (N, De), the unit item vectors of the candidates as the index stores them; ``None`` unless
            asked for.
    """

    merged: Merged
    kept: list[int]
    budgets: list[int]
    vectors_NE: np.ndarray | None = None


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
        last = last_items(tokens, self.opened.view.n_items)
        queries = [
            Query(plan.outcomes, k, int(last[b]), allowed, None if exclude is None else exclude[b])
            for b in range(len(last))
        ]
        each = self.search(found, queries, merge_above=plan.compress)
        done = clock.perf_counter()
        timings = {"generate": 1e3 * (generated - started), "retrieve": 1e3 * (done - generated)}
        return Found(
            [one.merged for one in each],
            [one.kept for one in each],
            [one.budgets for one in each],
            found,
            timings,
        )

    def search(
        self,
        generated: Generated,
        queries: Sequence[Query],
        *,
        merge_above: float = 1.0,
        with_vectors: bool = False,
    ) -> list[Retrieved]:
        """Candidates for vectors that were generated already; what a request gets does not depend on the others.

        Args:
            generated: vectors of the requests.
            queries: one per request.
            merge_above: cosine above which two vectors of a request are merged.
            with_vectors: also return the stored vectors of the candidates.
        """
        vectors_BME = generated.vectors_BME.numpy()
        chosen: list[tuple[list[int], list[int]]] = []
        for b, query in enumerate(queries):
            asked = [m for m, name in enumerate(generated.outcome) if query.shares.get(name, 0.0) > 0]
            budgets = vector_budgets([generated.outcome[m] for m in asked], query.shares, query.k)
            kept, shares = compress(vectors_BME[b][asked], budgets, merge_above)
            chosen.append(([asked[m] for m in kept], shares))
        # one search for all requests that look for as many candidates under the same filter
        together: dict[tuple[int, int], list[int]] = {}
        for b, query in enumerate(queries):
            together.setdefault((query.k, id(query.allowed)), []).append(b)
        out: dict[int, Retrieved] = {}
        for rows in together.values():
            hits, owner = self._hits(vectors_BME, rows, queries, chosen)
            for place, b in enumerate(rows):
                kept, shares = chosen[b]
                lists = [(hits.ids[q], hits.scores[q]) for q in np.flatnonzero(owner == place)]
                merged = merge(lists, shares, queries[b].k)
                stored = self.stored(merged.item) if with_vectors else None
                out[b] = Retrieved(merged, kept, shares, stored)
        return [out[b] for b in range(len(queries))]

    def _hits(
        self, vectors_BME: np.ndarray, rows: Sequence[int], queries: Sequence[Query],
        chosen: Sequence[tuple[list[int], list[int]]],
    ) -> tuple[Hits, np.ndarray]:  # fmt: skip
        """Hits of the kept vectors of requests with one ``k`` and one filter, and the place in ``rows`` of each."""
        k, allowed = queries[rows[0]].k, queries[rows[0]].allowed
        asked_QE = np.concatenate([vectors_BME[b][chosen[b][0]] for b in rows])
        if self._extra:
            asked_QE = np.pad(asked_QE, ((0, 0), (0, 1)), constant_values=1.0)
        owner = np.repeat(np.arange(len(rows)), [len(chosen[b][0]) for b in rows])
        out = [queries[b].exclude for b in rows]
        barred = None
        if any(ids is not None for ids in out):
            none = np.empty(0, np.int64)
            each = [none if ids is None else ids for ids in out]
            barred = [each[place] for place in owner]
        most = max(1, len(self.index))
        if self._next is None:
            return self.index.search(asked_QE, min(k, most), allowed=allowed, exclude=barred), owner
        after = self._next.after(np.array([queries[b].last for b in rows], np.int64))
        wanted = k + max(len(items) for items, _ in after)
        hits = self.index.search(asked_QE, min(wanted, most), allowed=allowed, exclude=barred)
        each_after = [after[place] for place in owner]
        return self._next.among(hits, asked_QE, each_after, allowed=allowed, exclude=barred), owner

    def stored(self, ids: np.ndarray) -> np.ndarray:
        """float32 (N, De): unit item vectors as the index stores them (a 16-bit index rounds them).

        One look-up after merging reads each candidate once, while a search that returns vectors reads those of every
        list of every vector.
        """
        rows = self.index.vectors(ids)
        return (rows[:, :-1] if self._extra else rows) / np.float32(self.opened.cosine_scale)

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
        rows = rows[held]
        stored, wanted = index.vectors(ids[rows]), vectors_NE[rows]
        if not np.array_equal(stored, wanted):
            near = np.abs(stored - wanted) <= _SAME[index.kind] * np.abs(wanted) + 1e-7
            stale.append(rows[~near.all(axis=1)])
    changed = np.concatenate(stale) if stale else np.empty(0, np.int64)
    if len(changed):
        index.add(vectors_NE[changed], ids[changed])
    return index
