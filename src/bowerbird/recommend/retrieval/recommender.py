"""An opened PinRec as a row of an evaluation table: full-catalogue lists, or one list per generated vector.

Shapes: C cases, M vectors, I items, k list length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.unordered import VectorLists
from bowerbird.evaluate.ranking import Ranking, rank_scores
from bowerbird.recommend.retrieval.budgets import compress, merge, vector_budgets
from bowerbird.recommend.retrieval.generation import Generated, Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec, Signals, last_items

_CELLS = 1 << 24
"""Scores held at once: chunks of cases are cut to this many (cases x items)."""


class PinRecRecommender:
    """Answers evaluation cases.

    Args:
        opened: the model.
        name: its row in the table; models of one name are seeds of one model.
        plan: what to generate; a plan of one vector ranks the whole catalogue by that vector.
        note: printed under the table.
    """

    is_baseline = False

    def __init__(self, opened: OpenPinRec, name: str, plan: Plan | None = None, *, note: str = "") -> None:
        self.opened, self.name, self.plan, self.note = opened, name, plan or Plan(), note

    def recommend(self, cases: Cases, k: int) -> Ranking:
        """The best ``k`` items of each case.

        One vector: the catalogue ranked by its logits. Several vectors: outcome budgets are split over them, near
        duplicates merged, every vector fetches its share, repeated items keep their best score, and what
        deduplication leaves open is filled from the vectors' next items (A5.2 to A5.4).
        """
        parts = []
        for chunk, found, signals in self._batches(cases):
            if found.vectors_BME.shape[1] == 1:
                parts.append(rank_scores(self._scores(found, 0, chunk, signals), chunk, k))
            else:
                parts.append(self._merged(found, chunk, signals, k))
        return Ranking.stack(parts)

    def scores(self, cases: Cases) -> np.ndarray:
        """Logits of all items by the first vector of each case, float32 (C, I)."""
        parts = [self._scores(found, 0, chunk, signals) for chunk, found, signals in self._batches(cases)]
        return np.concatenate(parts) if parts else np.zeros((0, cases.n_items), np.float32)

    def generate(self, cases: Cases, k: int) -> VectorLists:
        """The ``k`` best unseen items of every vector on its own, for unordered recall (A6)."""
        parts = []
        for chunk, found, signals in self._batches(cases):
            lists = [
                rank_scores(self._scores(found, m, chunk, signals), chunk, k).items
                for m in range(found.vectors_BME.shape[1])
            ]
            parts.append(VectorLists(np.stack(lists, axis=1)))
        return VectorLists.stack(parts)

    def _batches(self, cases: Cases) -> Iterator[tuple[Cases, Generated, Signals]]:
        trends = transitions = None
        if len(cases):
            live = cases.view if cases.live else cases.earlier
            window = int(cases.time.min()), int(cases.time.max())
            trends = self.opened.trends_for(live, *window)
            if self.opened.blend is not None:
                transitions = self.opened.transitions_for(live, *window)
        for chunk in cases.chunks(max(1, min(1024, _CELLS // cases.n_items))):
            tokens = self.opened.histories(chunk.user, chunk.history_end, view=chunk.view, time=chunk.time)
            found = self.opened.generate(
                tokens, self.plan, surface_B=torch.from_numpy(self.opened.conditions.surface_codes(chunk.surface)),
                time_B=torch.from_numpy(chunk.time),
            )  # fmt: skip
            steps = None
            if transitions is not None:
                steps = transitions.after(last_items(tokens, cases.n_items), chunk.time)
            yield chunk, found, Signals(trends, steps)

    def _scores(self, found: Generated, m: int, cases: Cases, signals: Signals) -> np.ndarray:
        time_C = torch.from_numpy(cases.time)
        logits_CI = self.opened.logits(found.vectors_BME[:, m], time_C, signals.trends, signals.successors)
        return logits_CI.numpy()

    def _merged(self, found: Generated, cases: Cases, signals: Signals, k: int) -> Ranking:
        count = found.vectors_BME.shape[1]
        budgets = vector_budgets(found.outcome, self.plan.outcomes, k)
        ranked = [rank_scores(self._scores(found, m, cases, signals), cases, k) for m in range(count)]
        vectors = found.vectors_BME.numpy()
        items = np.full((len(cases), k), -1, np.int32)
        scores = np.full((len(cases), k), -np.inf, np.float32)
        for c in range(len(cases)):
            kept, shares = compress(vectors[c], budgets, self.plan.compress)
            lists = [(ranked[m].items[c], ranked[m].scores[c]) for m in kept]
            merged = merge(lists, shares, k)
            items[c, : len(merged.item)] = merged.item
            # fillers stand behind every vector's share, whatever their score: the list's order is what counts
            scores[c, : len(merged.item)] = np.minimum.accumulate(merged.score)
        return Ranking(items, scores)
