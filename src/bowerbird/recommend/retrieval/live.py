"""Live signals around an opened model: fitting the blend on the freshest events, and serving through an index.

Shapes: R questions, Q query vectors, I items, K weights, H half-lives, X hits of a query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.protocols import next_event_cases
from bowerbird.index import Hits, Index
from bowerbird.recommend.inputs.blend import Blend, Questions, softmax_regression
from bowerbird.recommend.inputs.transitions import Transitions
from bowerbird.recommend.retrieval.generation import Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.tables.view import View

_PULL = 1.0
"""L2 strength: with a handful of questions the blend stays what the network learned."""
_LEAST_COSINE = 1e-3
"""Nearness is read off the index by dividing by the cosine's weight, so it never vanishes."""
_CELLS = 1 << 24
"""Signals held at once (64 MiB of float32)."""


def blend_cases(view: View, inner: View, limit: int, seed: int = 0) -> Cases:
    """The questions a blend is fitted on: next events that ``view`` shows and ``inner`` hides, answered live.

    Where the data has slates only events that continue one are asked for, as only they have a live last item.
    """
    slates = bool((view.positives.request >= 0).any())
    return next_event_cases(view, inner, same_session_only=slates, limit=limit, seed=seed)


def fit_blend(opened: OpenPinRec, cases: Cases, *, l2: float = _PULL) -> Blend:
    """Weights of the model's cosine and of every live signal, by regression over the whole catalogue.

    Args:
        opened: a model that was not trained on the targets of ``cases``.
        cases: next events; what had happened before each may be used (see ``Cases.live``).
        l2: pull towards the model as it is.
    """
    start = Blend(1.0, tuple(opened.model.trend_weights.detach().tolist()))
    if not len(cases):
        return start
    signals = len(start.vector())
    live = cases.view if cases.live else cases.earlier
    window = int(cases.time.min()), int(cases.time.max())
    trends, transitions = opened.trends_for(live, *window), opened.transitions_for(live, *window)
    cut = 1 + len(start.trends)
    # an item's newness is no signal here: new means hours old in these cases and a day old in tomorrow's
    # vectors do not depend on the weights: computed once
    vectors = torch.cat([_vectors(opened, chunk) for chunk in cases.chunks(1024)])
    size = max(1, _CELLS // (cases.n_items * signals))

    def batches() -> Iterator[Questions]:
        for number, chunk in enumerate(cases.chunks(size)):
            time_R = torch.from_numpy(chunk.time)
            signals_KRI = torch.zeros(signals, len(chunk), cases.n_items)
            part = vectors[number * size : number * size + len(chunk)]
            signals_KRI[0] = opened.scale * (part @ opened.vectors_IE.T)
            if trends is not None:
                cells, group = torch.unique(trends.cells(time_R), return_inverse=True)
                signals_KRI[1:cut] = trends.values_GIH[cells].movedim(2, 0)[:, group]
                if transitions is not None:
                    share_RI = trends.shares(cells)[group]
                    signals_KRI[cut] = share_RI.log()
                    found = transitions.after(_last(chunk), chunk.time)
                    rows, items = torch.from_numpy(found.row), torch.from_numpy(found.item)
                    gain_X = found.gain(share_RI[rows, items].numpy())
                    signals_KRI[cut + 1, rows, items] = torch.from_numpy(gain_X)
            seen = chunk.seen()
            barred = np.stack([np.repeat(np.arange(len(chunk)), np.diff(seen.offsets)), seen.items], axis=1)
            target_R = torch.from_numpy(chunk.target_item[chunk.target_offsets[:-1]].astype(np.int64))
            yield Questions(signals_KRI, target_R, torch.from_numpy(barred.astype(np.int64)))

    found = start.like(softmax_regression(batches, start.vector(), l2=l2))
    return replace(found, cosine=max(found.cosine, _LEAST_COSINE))


class LiveNext:
    """Live next items at one moment, for an index whose scores are the rest of the logit.

    Args:
        transitions: live transition shares.
        popularity_I: share of every item among all live events at the moment.
        weight: of the gain.
        index: whose items may come back.
        moment: int ms.
        most: next items kept of an item, those with the largest effect.
    """

    def __init__(
        self, transitions: Transitions, popularity_I: np.ndarray, weight: float, index: Index, moment: int, *,
        most: int = 256,
    ) -> None:  # fmt: skip
        self._transitions, self._popularity_I, self._weight = transitions, popularity_I, weight
        self._index, self._moment, self._most = index, moment, most
        self._ids = np.sort(index.ids)

    def after(self, last_R: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Per question the ids of its live next items and what each adds to the logit."""
        found = self._transitions.after(last_R, np.full(len(last_R), self._moment, np.int64))
        bias = self._weight * found.gain(self._popularity_I[found.item])
        kept = np.isin(found.item, self._ids)
        row, item, bias = found.row[kept], found.item[kept], bias[kept]
        out = []
        for low, high in pairwise(np.searchsorted(row, np.arange(len(last_R) + 1)).tolist()):
            strongest = low + np.argsort(-np.abs(bias[low:high]), kind="stable")[: self._most]
            out.append((item[strongest], bias[strongest]))
        return out

    def among(
        self, hits: Hits, queries_QD: np.ndarray, after: Sequence[tuple[np.ndarray, np.ndarray]], *,
        allowed: np.ndarray | None = None, exclude: Sequence[np.ndarray] | None = None,
    ) -> Hits:  # fmt: skip
        """The hits with every query's live next items among them, best first, equal scores by id.

        An item that is both counts once, with the whole logit. With n next items a list is exact in its first X - n
        places, X being the hits asked for.

        Args:
            hits: of the index.
            queries_QD: what found them.
            after: per query, from :meth:`after`.
            allowed, exclude: as given to the index.
        """
        ids, scores = hits.ids.copy(), hits.scores.copy()
        for q, (items, bias) in enumerate(after):
            fit = np.ones(len(items), bool) if allowed is None else np.isin(items, allowed)
            if exclude is not None:
                fit &= ~np.isin(items, exclude[q])
            items, whole = items[fit], bias[fit]
            if not len(items):
                continue
            whole = whole + self._index.vectors(items) @ queries_QD[q]
            other = (hits.ids[q] >= 0) & ~np.isin(hits.ids[q], items)
            item = np.concatenate([items, hits.ids[q][other]])
            score = np.concatenate([whole, hits.scores[q][other]])
            order = np.lexsort((item, -score))[: ids.shape[1]]
            ids[q, : len(order)], scores[q, : len(order)] = item[order], score[order]
        return Hits(ids, scores)


def _vectors(opened: OpenPinRec, cases: Cases) -> Tensor:
    tokens = opened.histories(cases.user, cases.history_end, view=cases.view, time=cases.time)
    found = opened.generate(
        tokens, Plan(), surface_B=torch.from_numpy(opened.conditions.surface_codes(cases.surface)),
        time_B=torch.from_numpy(cases.time),
    )  # fmt: skip
    return found.vectors_BME[:, 0]


def _last(cases: Cases) -> np.ndarray:
    batch = cases.histories(1)
    return np.where(batch.lengths > 0, batch.item[:, 0].astype(np.int64), -1)
