"""A generator for tests: item-to-item cosine, one matrix an outcome. It answers like a model, in a few lines.

Shape letters: B histories, I items, n history length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bowerbird.serve.generators.base import UNSPECIFIED, Candidates, Neighbours, QueryVector
from bowerbird.tables.store import Store
from bowerbird.tables.view import HistoryBatch, View

OFFSETS = ("now", "+1 d")


class KnnGenerator:
    """Candidates of outcome `o` are items that follow the history's items with action `o`."""

    name = "item-knn"
    release = "item-knn-test"
    history_length = 20

    def __init__(self, store: Store) -> None:
        events = View(store).positives.all()
        self.n_items = store.n_items
        liked_UI = self._matrix(events.user, events.item, store.n_users)
        self._near: dict[str, np.ndarray] = {UNSPECIFIED: self._cosine(liked_UI, liked_UI)}
        negative = store.manifest.negative_actions
        for bit, name in enumerate(store.manifest.actions):
            with_it = (events.actions >> bit) & 1 == 1
            if name not in negative and with_it.any():
                acted_UI = self._matrix(events.user[with_it], events.item[with_it], store.n_users)
                self._near[name] = self._cosine(liked_UI, acted_UI)
        self.outcomes: Mapping[str, float] = {
            name: 0.5 if name == UNSPECIFIED else 0.5 / (len(self._near) - 1) for name in self._near
        }
        self.broken = False

    def _matrix(self, user: np.ndarray, item: np.ndarray, n_users: int) -> np.ndarray:
        matrix = np.zeros((n_users, self.n_items), np.float32)
        matrix[user, item] = 1.0
        return matrix

    @staticmethod
    def _cosine(left_UI: np.ndarray, right_UI: np.ndarray) -> np.ndarray:
        norm = np.maximum(np.linalg.norm(left_UI, axis=0), 1)[:, None] * np.maximum(
            np.linalg.norm(right_UI, axis=0), 1
        )
        return (left_UI.T @ right_UI) / norm

    def generate(
        self, history: HistoryBatch, outcomes: Mapping[str, float], k: int, *, surface: np.ndarray, time:
            np.ndarray,
        allowed: np.ndarray | None = None, exclude: Sequence[np.ndarray] | None = None,
    ) -> Candidates:  # fmt: skip
        """The best items of any vector; a vector of a weightier outcome scores higher."""
        if self.broken:
            raise RuntimeError("out of order")
        items, scores, vectors, made = [], [], [], []
        for b, length in enumerate(history.lengths):
            seen = history.item[b, :length]
            best: dict[int, tuple[float, int]] = {}
            row: list[QueryVector] = []
            for outcome, share in outcomes.items():
                for step, offset in enumerate(OFFSETS, start=1):
                    used = seen[-10:] if offset == "now" else seen[:-5]
                    score_I = self._near[outcome][used].sum(0) * (0.5 + share)
                    score_I[seen] = -np.inf
                    if exclude is not None:
                        score_I[exclude[b]] = -np.inf
                    if allowed is not None:
                        score_I[np.setdiff1d(np.arange(self.n_items), allowed)] = -np.inf
                    budget = max(1, round(k * share / len(OFFSETS)))
                    for item in np.argsort(-score_I, kind="stable")[:k]:
                        score = float(score_I[item])
                        if score > 0 and score > best.get(int(item), (0.0, 0))[0]:
                            best[int(item)] = (score, len(row))
                    row.append(QueryVector(outcome, step, offset, budget))
            found = sorted(best.items(), key=lambda entry: (-entry[1][0], entry[0]))[:k]
            pad = k - len(found)
            items.append([item for item, _ in found] + [-1] * pad)
            scores.append([score for _, (score, _) in found] + [0.0] * pad)
            vectors.append([vector for _, (_, vector) in found] + [0] * pad)
            made.append(row)
        return Candidates(
            np.array(items, np.int32), np.array(scores, np.float32), np.array(vectors, np.int32), made,
            {"encode": 1.0, "generate": 2.0, "retrieve": 0.5},
        )  # fmt: skip

    def similar(self, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> Neighbours:
        """Cosine over users; items nobody liked are not indexed."""
        score_QI = self._near[UNSPECIFIED][items].copy()
        score_QI[np.arange(len(items)), items] = 0.0
        best = np.argsort(-score_QI, axis=1, kind="stable")[:, :k]
        score = np.take_along_axis(score_QI, best, axis=1)
        return Neighbours(np.where(score > 0, best, -1).astype(np.int32), score)
