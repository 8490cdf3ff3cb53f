"""PinRec and UniPinRec behind the generator seam: names for conditions, store codes in, candidates out.

One encoding of a history serves generating, ranking and explaining; it stays in the KV pool for the next request.

Shape letters: B questions, n candidates, K most candidates of a batch, h events, C actions, O outcomes, M generated
vectors, Q query items, De item dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from bowerbird.index import Index
from bowerbird.learn.artifact import Artifact
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.recommend.retrieval.generation import Generated, Plan, generate
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.retriever import Query, Retriever
from bowerbird.recommend.targets import offset_edges
from bowerbird.serve.generators.attention import attended
from bowerbird.serve.generators.base import UNSPECIFIED, Candidates, Neighbours, QueryVector, Question
from bowerbird.serve.kv import HistoryReader, KVPool, Reading, SlotShape
from bowerbird.tables.view import MentionKind, View

POOL_BYTES = 256 << 20
"""Memory for encoded histories where nothing else is said."""
_STEPS = 2
_OFFSETS = 3
_MERGE_ABOVE = 0.9995
"""Nearer vectors share their budget. Kept high: below it, outcomes that a model tells apart only a little would merge,
and weighing them would change nothing."""
_UNASKED = 0.5
"""Share of the unspecified outcome where a request weighs none; the model's actions share the rest equally."""


class PinRecGenerator:
    """An opened PinRec with its index and its KV pool.

    Args:
        opened: The model on a view.
        release: Names the artifact.
        index: One built before for this model, see `Retriever`; built here when left out.
        pool_bytes: Most memory for encoded histories.
    """

    name = "pinrec"
    actions: tuple[str, ...] = ()

    def __init__(
        self, opened: OpenPinRec, release: str, *, index: Index | None = None, pool_bytes: int = POOL_BYTES
    ) -> None:
        self.release = release
        self.opened = opened
        self.retriever = Retriever(opened, index=index)
        config, conditions = opened.config, opened.conditions
        self.history_length = config.history_length
        actions = [name for name, n in zip(conditions.actions, conditions.counts, strict=True) if n]
        if not config.outcome_conditioning:
            actions = []
        rest = _UNASKED / len(actions) if actions else 0.0
        self.outcomes: Mapping[str, float] = {
            UNSPECIFIED: 1.0 - rest * len(actions), **dict.fromkeys(actions, rest)
        }  # fmt: skip
        self.offsets, self.offset_names = offset_codes(config.offset_buckets)
        finite = torch.isfinite(opened.vectors_IE).all(dim=1).numpy()
        self.readable: np.ndarray | None = None if finite.all() else finite
        self.mentions: tuple[MentionKind, ...] = opened.mentions
        room = _STEPS - 1 + bool(self.mentions)  # for generated tokens, and for the query of a request
        self.pool = KVPool(SlotShape.of(opened.model, room), pool_bytes)
        self.reader = HistoryReader(opened, self.pool, room)

    @classmethod
    def open(
        cls, artifact: Artifact, view: View, release: str, *, index: Index | None = None,
        pool_bytes: int = POOL_BYTES,
    ) -> Self:  # fmt: skip
        """Opens an artifact for the catalogue of a view.

        Raises:
            ConfigError: The artifact was made from a store with other item ids.
            VectorIndexError: The index is not of this model.
        """
        return cls(OpenPinRec.open(artifact, view), release, index=index, pool_bytes=pool_bytes)

    @property
    def index(self) -> Index:
        """What it retrieves from: item vectors, and for models with a trend the trend of the view's end."""
        return self.retriever.index

    @property
    def item_vectors(self) -> np.ndarray:
        """See `Generator.item_vectors`."""
        return self.opened.vectors_IE.numpy()

    def start(self, questions: Sequence[Question]) -> PinRecRun:
        """See `Generator.start`."""
        return PinRecRun(self, questions)

    def similar(self, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> Neighbours:
        """See `Generator.similar`."""
        ids, cosines = self.retriever.similar(items, k, allowed=allowed)
        return Neighbours(ids.astype(np.int32), np.where(ids >= 0, cosines, 0.0).astype(np.float32))

    def query_id(self, text: str) -> int:
        """See `Generator.query_id`."""
        return self.opened.query_id(text)

    def describe(self) -> dict[str, Any]:
        """See `Generator.describe`."""
        return {"pool": self.pool.describe()}

    def close(self) -> None:
        """See `Generator.close`: empties the pool."""
        self.pool.clear()

    # --- what a run asks

    def probabilities(
        self, reading: Reading, vectors_BKE: Tensor, items_BK: Tensor, time_B: Tensor, surface_B: Tensor
    ) -> Tensor:
        """(B, K, C): a PinRec knows of no action."""
        return torch.zeros(*vectors_BKE.shape[:2], 0)

    def candidate_tokens(
        self, reading: Reading, vectors_BKE: Tensor, time_B: Tensor, surface_B: Tensor
    ) -> Tensor:
        """(B, K, D): candidates as the model would read them were they the next event."""
        model, shape = self.opened.model, vectors_BKE.shape[:2]
        action_B = model.action_fed_back(torch.zeros_like(surface_B), torch.zeros_like(surface_B))
        return model.token_vectors(
            vectors_BKE, time_B[:, None].expand(shape), surface_B[:, None].expand(shape),
            action_B[:, None].expand(shape), reading.encoded.time_B[:, None].expand(shape),
        )  # fmt: skip


class UniPinRecGenerator(PinRecGenerator):
    """An opened UniPinRec: retrieves as PinRec does and ranks candidates against the same encoding.

    Args:
        opened, release, index, pool_bytes: As for `PinRecGenerator`.
        actions: The model's actions in order (`facts["store_actions"]` of its artifact).
    """

    name = "unipinrec"

    def __init__(
        self, opened: OpenUniPinRec, release: str, *, actions: Sequence[str], index: Index | None = None,
        pool_bytes: int = POOL_BYTES,
    ) -> None:  # fmt: skip
        super().__init__(opened, release, index=index, pool_bytes=pool_bytes)
        self.uni = opened
        self.actions = tuple(actions) if opened.ranks else ()

    @classmethod
    def open(
        cls, artifact: Artifact, view: View, release: str, *, index: Index | None = None,
        pool_bytes: int = POOL_BYTES,
    ) -> Self:  # fmt: skip
        """See `PinRecGenerator.open`."""
        actions = artifact.facts["store_actions"]
        opened = OpenUniPinRec.open(artifact, view)
        return cls(opened, release, actions=actions, index=index, pool_bytes=pool_bytes)

    def probabilities(
        self, reading: Reading, vectors_BKE: Tensor, items_BK: Tensor, time_B: Tensor, surface_B: Tensor
    ) -> Tensor:
        """(B, K, C) calibrated probabilities of every action."""
        return self.uni.rank(
            reading.encoded,
            vectors_BKE,
            items_BK,
            time_B=time_B,
            surface_B=surface_B,
            history=reading.history,
        )

    def candidate_tokens(
        self, reading: Reading, vectors_BKE: Tensor, time_B: Tensor, surface_B: Tensor
    ) -> Tensor:
        """(B, K, D): candidates as they are ranked."""
        shape = vectors_BKE.shape[:2]
        return self.uni.ranker.candidate_vectors(
            vectors_BKE, time_B[:, None].expand(shape), surface_B[:, None].expand(shape),
            reading.encoded.time_B[:, None].expand(shape),
        )  # fmt: skip


class PinRecRun:
    """See `Run`.

    Args:
        generator: What answers.
        questions: B of them.
    """

    def __init__(self, generator: PinRecGenerator, questions: Sequence[Question]) -> None:
        self._generator, self._questions = generator, questions
        surfaces = np.array([question.surface for question in questions], np.int64)
        self._surface_B = torch.from_numpy(generator.opened.conditions.surface_codes(surfaces))
        self._time_B = torch.tensor([question.time for question in questions])
        self._reading: Reading | None = None
        self._made: Generated | None = None

    def encode(self) -> None:
        """See `Run.encode`."""
        keys = [question.key for question in self._questions]
        with torch.inference_mode():
            self._reading = self._generator.reader.read(
                keys, [q.window for q in self._questions], [q.context for q in self._questions]
            )

    def generate(self) -> None:
        """See `Run.generate`: vectors of every outcome that any question weighs."""
        shares = {
            name: np.array([question.outcomes.get(name, 0.0) for question in self._questions])
            for name in self._generator.outcomes
        }
        asked = {name: float(share.max()) for name, share in shares.items() if share.max() > 0}
        plan = Plan(outcomes=asked, steps=_STEPS, offsets=self._generator.offsets)
        opened = self._generator.opened
        with torch.inference_mode():
            self._made = generate(
                opened.model, opened.conditions, self._read().encoded, plan, surface_B=self._surface_B,
                time_B=self._time_B, shares_BO=np.stack([shares[name] for name in asked], axis=1),
            )  # fmt: skip

    def retrieve(self) -> list[Candidates]:
        """See `Run.retrieve`."""
        assert self._made is not None
        queries = [Query(q.outcomes, q.k, self._last_item(q), q.allowed, q.exclude) for q in self._questions]
        ranks = bool(self._generator.actions)
        with torch.inference_mode():
            found = self._generator.retriever.search(
                self._made, queries, merge_above=_MERGE_ABOVE, with_vectors=ranks
            )
        return [
            Candidates(
                one.merged.item.astype(np.int32), one.merged.score, one.merged.vector.astype(np.int32),
                [self._vector(m, budget) for m, budget in zip(one.kept, one.budgets, strict=True)],
                one.vectors_NE,
            )
            for one in found
        ]  # fmt: skip

    def rank(self, found: Sequence[Candidates]) -> list[np.ndarray]:
        """See `Run.rank`."""
        return self._per_candidate(found, self._generator.probabilities)

    def attended(self, found: Sequence[Candidates]) -> list[np.ndarray]:
        """See `Run.attended`."""
        step = self._generator.opened.model.tokens_per_event
        weights = self._per_candidate(found, self._attended)
        each = [w[:, : step * len(q.window)] for w, q in zip(weights, self._questions, strict=True)]
        return [w.reshape(len(w), -1, step).sum(axis=2) for w in each]  # an event's tokens together

    def keep(self, rows: Sequence[int]) -> PinRecRun:
        """See `Run.keep`."""
        rest = PinRecRun(self._generator, [self._questions[b] for b in rows])
        if self._reading is not None:
            with torch.inference_mode():
                rest._reading = self._reading.keep(rows)
        if self._made is not None:
            made = self._made
            rest._made = Generated(made.vectors_BME[list(rows)], made.outcome, made.step, made.offset)
        return rest

    def _last_item(self, question: Question) -> int:
        items = question.window.item[question.window.item < self._generator.opened.view.n_items]
        return int(items[-1]) if len(items) else -1

    def _read(self) -> Reading:
        assert self._reading is not None, "encode comes first"
        return self._reading

    def _vector(self, m: int, budget: int) -> QueryVector:
        made = self._made
        assert made is not None
        offset = self._generator.offset_names[made.offset[m]]
        return QueryVector(made.outcome[m], made.step[m], offset, budget)

    def _attended(
        self, reading: Reading, vectors_BKE: Tensor, items_BK: Tensor, time_B: Tensor, surface_B: Tensor
    ) -> Tensor:
        x_BKD = self._generator.candidate_tokens(reading, vectors_BKE, time_B, surface_B)
        return attended(self._generator.opened.model.decoder, x_BKD, reading.encoded.cache)

    def _per_candidate(self, found: Sequence[Candidates], compute: Any) -> list[np.ndarray]:
        """Applies a function of padded candidates (B, K, De) and cuts its result back to the real ones."""
        stored = [
            self._generator.retriever.stored(one.item) if one.stored is None else one.stored for one in found
        ]
        most = max((len(rows) for rows in stored), default=0)
        if not most:
            return [np.zeros((0, len(self._generator.actions)), np.float32) for _ in found]
        padded = np.zeros((len(stored), most, self._generator.opened.vectors_IE.shape[1]), np.float32)
        items = np.full((len(stored), most), -1, np.int64)
        for b, (rows, one) in enumerate(zip(stored, found, strict=True)):
            padded[b, : len(rows)], items[b, : len(rows)] = rows, one.item
        given = torch.from_numpy(padded), torch.from_numpy(items)
        with torch.inference_mode():
            made = compute(self._read(), *given, self._time_B, self._surface_B).numpy()
        return [made[b, : len(rows)] for b, rows in enumerate(stored)]


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
