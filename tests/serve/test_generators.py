"""PinRec behind the seam: what offsets are called, and that the engine's answer is the retriever's."""

from __future__ import annotations

import numpy as np
import pytest

from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.serve.engine import Engine
from bowerbird.serve.generators.base import Question
from bowerbird.serve.generators.pinrec import PinRecGenerator, offset_codes
from bowerbird.serve.request import PastEvent, Request
from bowerbird.serve.response import Response
from bowerbird.tables.store import Store
from bowerbird.tables.view import View, time_split


def test_offsets_have_names_for_people() -> None:
    assert offset_codes(1) == ((0,), {0: "next"})
    assert offset_codes(2) == ((1, 2), {1: "now", 2: "+30 s"})
    codes, names = offset_codes(4)
    assert codes[0] == 1 and names[1] == "now", "the vector that is fed back comes first"
    assert names[codes[-1]] == "+3 min"
    codes, names = offset_codes(16)
    assert len(codes) == 3 and names[codes[-1]] == "+7 d"


@pytest.fixture(scope="module", params=[1, 4], ids=["single-token", "multi-token"])
def generator(request: pytest.FixtureRequest, store: Store) -> PinRecGenerator:
    config = PinRecConfig(
        width=16, item_dim=16, id_dim=16, content_dim=8, layers=1, heads=1, history_length=8, epochs=2,
        random_negatives=16, in_batch_negatives=64, precision="fp32", offset_buckets=request.param,
        targets_per_anchor=min(2, request.param),
    )  # fmt: skip
    artifact = PinRecLearner(config).fit(time_split(store).train, run=Run(quiet=True))
    return PinRecGenerator.open(artifact, View(store), "pinrec-test")


def test_outcomes_are_the_positive_actions_and_the_unspecified_one(generator: PinRecGenerator) -> None:
    assert set(generator.outcomes) == {"any", "click", "save"}
    assert sum(generator.outcomes.values()) == pytest.approx(1)


def test_a_stored_history_and_the_same_history_sent_along_give_one_answer(
    generator: PinRecGenerator, store: Store
) -> None:
    engine = Engine(store, generator)
    timeline = [event for event in reversed(engine.history("u03").events) if event.positive]
    sent = tuple(
        PastEvent(e.item.id, e.actions[0] if len(e.actions) == 1 else "save", e.time) for e in timeline
    )
    hidden = [event.item.id for event in engine.history("u03").events if not event.positive]
    outcomes = {"any": 1.0}
    stored = engine.recommend(Request(user="u03", k=10, outcomes=outcomes))
    given = engine.recommend(Request(history=sent, k=11, outcomes=outcomes))
    assert stored.stage == given.stage == "model"
    wanted = [entry.item.id for entry in given.items if entry.item.id not in hidden][:10]
    assert [entry.item.id for entry in stored.items][:5] == wanted[:5]
    assert all(entry.why.step in (1, 2) for entry in stored.items)


def test_everything_asked_for_arrives_within_the_rules(generator: PinRecGenerator, store: Store) -> None:
    engine = Engine(store, generator)
    everything = engine.recommend(Request(user="u03", k=1000, exclude_seen=False))
    found = [entry.item.id for entry in everything.items]
    assert len(found) == len(set(found)) == store.n_items
    allowed, barred = np.array([5, 6, 7], np.int32), np.array([6], np.int32)
    window = engine.trails.of("u03").window
    question = Question(window, {"any": 1.0}, 5, 0, 2_000_000_000_000, allowed=allowed, exclude=barred)
    run = generator.start([question])
    run.encode()
    run.generate()
    assert sorted(run.retrieve()[0].item.tolist()) == [5, 7]


def test_a_batch_gives_what_single_requests_give(generator: PinRecGenerator, store: Store) -> None:
    engine = Engine(store, generator)
    asked = [
        Request(user="u03", k=5, explain=True),
        Request(user="u04", k=7, outcomes={"save": 2.0, "any": 1.0}),
        Request(history=(PastEvent("f01"),), k=4, outcomes={"click": 1.0}),
        Request(user="u03", k=5, explain=True),
    ]
    for request, found in zip(asked, engine.recommend_many(asked), strict=True):
        alone = engine.recommend(request)
        assert isinstance(found, Response)
        assert [e.score for e in found.items] == pytest.approx([e.score for e in alone.items], abs=1e-3)
        assert [e.item.id for e in found.items] == [e.item.id for e in alone.items]
        assert [(s.outcome, s.budget, s.items) for s in found.shares] == [
            (s.outcome, s.budget, s.items) for s in alone.shares
        ]
        assert found.values == {} and all(e.why.ranked == "retrieval" for e in found.items)
        assert all(bool(e.looked_at) == request.explain for e in found.items)


def test_the_engine_answers_what_the_retriever_finds(generator: PinRecGenerator, store: Store) -> None:
    """Budgets are kept: asked for one outcome, the answer is one search with its vectors."""
    answer = Engine(store, generator).recommend(Request(user="u05", k=6, outcomes={"save": 1.0}))
    assert [(s.outcome, s.budget, s.items) for s in answer.shares] == [("save", 6, 6)]
    assert {e.why.outcome for e in answer.items} == {"save"}
