"""A generator for tests: item-to-item cosine, one matrix an outcome. It answers like a model, in a few lines.

Shape letters: B histories, I items, n history length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bowerbird.serve.generators.base import UNSPECIFIED, Candidates, Neighbours, QueryVector, Question
from bowerbird.tables.store import Store
from bowerbird.tables.view import MentionKind, View

OFFSETS = ("now", "+1 d")


class KnnGenerator:
    """Candidates of outcome `o` are items that follow the history's items with action `o`."""

    name = "item-knn"
    release = "item-knn-test"
    history_length = 20
    readable: np.ndarray | None = None
    actions: tuple[str, ...] = ()
    mentions: tuple[MentionKind, ...] = ()

    def query_id(self, text: str) -> int:
        """See `Generator.query_id`: it reads none."""
        return -1

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
        self.rates_CI = np.stack(
            [
                np.bincount(events.item[(events.actions >> bit) & 1 == 1], minlength=self.n_items)
                for bit in range(len(store.manifest.actions))
            ]
        )
        known_I = liked_UI.any(axis=0)[:, None]
        self.item_vectors: np.ndarray | None = np.where(known_I, self._near[UNSPECIFIED], np.nan)
        self.failing: set[str] = set()
        self.called: list[str] = []

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

    def start(self, questions: Sequence[Question]) -> KnnRun:
        return KnnRun(self, list(questions))

    def candidates(self, question: Question) -> Candidates:
        """The best items of any vector; a vector of a weightier outcome scores higher."""
        seen, k = question.window.item, question.k
        best: dict[int, tuple[float, int]] = {}
        row: list[QueryVector] = []
        for outcome, share in question.outcomes.items():
            for step, offset in enumerate(OFFSETS, start=1):
                used = seen[-10:] if offset == "now" else seen[:-5]
                score_I = self._near[outcome][used].sum(0) * (0.5 + share)
                score_I[seen] = -np.inf
                score_I[question.exclude] = -np.inf
                if question.allowed is not None:
                    score_I[np.setdiff1d(np.arange(self.n_items), question.allowed)] = -np.inf
                budget = max(1, round(k * share / len(OFFSETS)))
                for item in np.argsort(-score_I, kind="stable")[:k]:
                    score = float(score_I[item])
                    if score > 0 and score > best.get(int(item), (0.0, 0))[0]:
                        best[int(item)] = (score, len(row))
                row.append(QueryVector(outcome, step, offset, budget))
        found = sorted(best.items(), key=lambda entry: (-entry[1][0], entry[0]))[:k]
        return Candidates(
            np.array([item for item, _ in found], np.int32), np.array([score for _, (score, _) in found], np.float32),
            np.array([vector for _, (_, vector) in found], np.int32), row,
        )  # fmt: skip

    def describe(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        self.called.append("close")

    def similar(self, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> Neighbours:
        """Cosine over users; items nobody liked are not indexed."""
        score_QI = self._near[UNSPECIFIED][items].copy()
        score_QI[np.arange(len(items)), items] = 0.0
        best = np.argsort(-score_QI, axis=1, kind="stable")[:, :k]
        score = np.take_along_axis(score_QI, best, axis=1)
        return Neighbours(np.where(score > 0, best, -1).astype(np.int32), score)


class KnnRun:
    """The stages of a batch. A stage named in the generator's `failing` raises; so does one of a question whose history
    begins with item 0 where `failing` names `poison`."""

    def __init__(self, generator: KnnGenerator, questions: list[Question]) -> None:
        self.generator, self.questions = generator, questions

    def _stage(self, name: str) -> None:
        self.generator.called.append(name)
        if name in self.generator.failing:
            raise RuntimeError("out of order")
        if "poison" in self.generator.failing and any(q.window.item[0] == 0 for q in self.questions):
            raise RuntimeError("poisoned")

    def encode(self) -> None:
        self._stage("encode")

    def generate(self) -> None:
        self._stage("generate")

    def retrieve(self) -> list[Candidates]:
        self._stage("retrieve")
        return [self.generator.candidates(question) for question in self.questions]

    def rank(self, found: Sequence[Candidates]) -> list[np.ndarray]:
        self._stage("rank")
        total_I = np.maximum(1, self.generator.rates_CI.sum(0))
        return [(self.generator.rates_CI / total_I).T[one.item].astype(np.float32) for one in found]

    def attended(self, found: Sequence[Candidates]) -> list[np.ndarray]:
        self._stage("attended")
        near = self.generator._near[UNSPECIFIED]
        out = []
        for one, question in zip(found, self.questions, strict=True):
            weight = near[one.item][:, question.window.item] + 1e-6
            out.append(0.9 * weight / weight.sum(1, keepdims=True))
        return out

    def keep(self, rows: Sequence[int]) -> KnnRun:
        return KnnRun(self.generator, [self.questions[row] for row in rows])
