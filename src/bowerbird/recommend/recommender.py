"""An opened PinRec as a row of an evaluation table: full-catalogue lists, or one list per generated vector.

Shapes: C cases, M vectors, I items, k list length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.unordered import VectorLists
from bowerbird.evaluate.ranking import Ranking, drop_seen, rank_scores
from bowerbird.recommend.budgets import compress, split_budget, spread
from bowerbird.recommend.generation import Generated, Plan
from bowerbird.recommend.opened import OpenPinRec
from bowerbird.recommend.trends import DenseTrends

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
        for chunk, found, trends in self._batches(cases):
            if found.vectors_BME.shape[1] == 1:
                parts.append(rank_scores(self._scores(found, 0, chunk, trends), chunk, k))
            else:
                parts.append(self._merged(found, chunk, trends, k))
        return Ranking.stack(parts)

    def generate(self, cases: Cases, k: int) -> VectorLists:
        """The ``k`` best unseen items of every vector on its own, for unordered recall (A6)."""
        parts = []
        for chunk, found, trends in self._batches(cases):
            lists = [
                rank_scores(self._scores(found, m, chunk, trends), chunk, k).items
                for m in range(found.vectors_BME.shape[1])
            ]
            parts.append(VectorLists(np.stack(lists, axis=1)))
        return VectorLists.stack(parts)

    def _batches(self, cases: Cases) -> Iterator[tuple[Cases, Generated, DenseTrends | None]]:
        trends = None
        if len(cases):
            live = cases.view if cases.live else cases.earlier
            trends = self.opened.trends_for(live, int(cases.time.min()), int(cases.time.max()))
        for chunk in cases.chunks(max(1, min(1024, _CELLS // cases.n_items))):
            tokens = self.opened.histories(chunk.user, chunk.history_end, view=chunk.view)
            found = self.opened.generate(
                tokens, self.plan, surface_B=torch.from_numpy(chunk.surface.astype(np.int64) + 1),
                time_B=torch.from_numpy(chunk.time),
            )  # fmt: skip
            yield chunk, found, trends

    def _scores(self, found: Generated, m: int, cases: Cases, trends: DenseTrends | None) -> np.ndarray:
        return self.opened.logits(found.vectors_BME[:, m], torch.from_numpy(cases.time), trends).numpy()

    def _merged(self, found: Generated, cases: Cases, trends: DenseTrends | None, k: int) -> Ranking:
        count = found.vectors_BME.shape[1]
        budgets = vector_budgets(found, self.plan, k)
        ranked = [rank_scores(self._scores(found, m, cases, trends), cases, k) for m in range(count)]
        items_CMk = np.stack([part.items for part in ranked], axis=1)
        scores_CMk = np.stack([part.scores for part in ranked], axis=1)
        vectors = found.vectors_BME.numpy()
        for c in range(len(cases)):
            kept, shares = compress(vectors[c], budgets, self.plan.compress)
            first = np.zeros((count, k), dtype=bool)
            for m, share in zip(kept, shares, strict=True):
                first[m, :share] = True
            # what lies beyond a vector's share only fills what duplicates leave open: it sorts behind all shares
            scores_CMk[c] = np.where(first, scores_CMk[c], scores_CMk[c] - 1e4)
        return drop_seen(items_CMk.reshape(len(cases), -1), scores_CMk.reshape(len(cases), -1), cases, k)


def vector_budgets(found: Generated, plan: Plan, total: int) -> list[int]:
    """Candidates each of the M vectors may fetch: outcome shares of ``total``, split equally inside an outcome."""
    by_outcome = split_budget(total, {name: share for name, share in plan.outcomes.items() if share > 0})
    members = {name: [m for m, outcome in enumerate(found.outcome) if outcome == name] for name in by_outcome}
    budgets = [0] * len(found.outcome)
    for name, part in by_outcome.items():
        for m, share in zip(members[name], spread(part, len(members[name])), strict=True):
            budgets[m] = share
    return budgets
