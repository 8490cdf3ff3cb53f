"""Whatever fails or takes too long, a well-formed request is answered, by the next best, and is told so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.engine import Engine
from bowerbird.serve.engine.clock import StageTimes
from bowerbird.serve.generators.base import Question
from bowerbird.serve.request import Filters, PastEvent, Request, RequestError
from bowerbird.serve.response import Response
from bowerbird.tables.store import Store
from serve.knn import KnnGenerator, KnnRun
from serve.world import GENRES, N_ITEMS


class Ranking(KnnGenerator):
    """Ranks, too: by how often an item had each action."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.actions = tuple(store.manifest.actions)


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowRun(KnnRun):
    generator: Slow

    def _stage(self, name: str) -> None:
        super()._stage(name)
        self.generator.clock.now += self.generator.takes.get(name, 0.0)

    def keep(self, rows: Sequence[int]) -> SlowRun:
        return SlowRun(self.generator, [self.questions[row] for row in rows])


class Slow(Ranking):
    """Each stage takes so many seconds of its clock."""

    def __init__(self, store: Store, **takes: float) -> None:
        super().__init__(store)
        self.takes, self.clock = takes, Clock()

    def start(self, questions: Sequence[Question]) -> SlowRun:
        return SlowRun(self, list(questions))


def codes(answer: Response) -> list[str]:
    return [note.code for note in answer.notes]


def stages(answer: Response) -> set[str]:
    return {entry.why.stage for entry in answer.items}


@pytest.mark.parametrize("stage", ["encode", "generate", "retrieve"])
def test_a_model_that_fails_is_answered_by_content(
    store: Store, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    generator = Ranking(store)
    generator.failing = {stage}
    answer = Engine(store, generator).recommend(Request(user="u00", k=4))
    assert codes(answer) == ["model_failed", "content"] and answer.stage == "content"
    assert len(answer.items) == 4 and stages(answer) == {"content"}
    assert all("Sea" in entry.item.categories for entry in answer.items), "like what the user met last"
    assert all(entry.why.ranked == "content" and entry.score > 0 for entry in answer.items)
    assert "out of order" in caplog.text
    assert not any("out of order" in note.message for note in answer.notes)


def test_a_ranking_that_fails_leaves_the_order_of_retrieval(store: Store) -> None:
    generator = Ranking(store)
    plain = Engine(store, KnnGenerator(store)).recommend(Request(user="u00", k=4, outcomes={"any": 1.0}))
    ranked = Engine(store, generator).recommend(Request(user="u00", k=4, outcomes={"any": 1.0}))
    generator.failing = {"rank"}
    answer = Engine(store, generator).recommend(Request(user="u00", k=4, outcomes={"any": 1.0}))
    assert codes(answer) == ["not_ranked"] and answer.stage == "model" and answer.values == {}
    assert [e.item.id for e in answer.items] == [e.item.id for e in plain.items]
    assert [e.why.ranked for e in answer.items] == ["retrieval"] * 4
    assert [e.why.ranked for e in ranked.items] == ["actions"] * 4


def test_probabilities_that_are_no_numbers_are_not_believed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = Ranking(store)
    generator.rates_CI = generator.rates_CI * np.nan
    answer = Engine(store, generator).recommend(Request(user="u00", k=4))
    assert codes(answer) == ["not_ranked"] and len(answer.items) == 4


def test_an_explanation_that_fails_is_left_out(store: Store) -> None:
    generator = Ranking(store)
    generator.failing = {"attended"}
    answer = Engine(store, generator).recommend(Request(user="u00", k=4, explain=True))
    assert codes(answer) == ["not_explained"] and answer.stage == "model"
    assert not any(entry.looked_at for entry in answer.items)
    generator.failing = {"encode"}
    answer = Engine(store, generator).recommend(Request(user="u00", k=4, explain=True))
    assert codes(answer) == ["model_failed", "content", "not_explained"]


def test_only_the_request_at_fault_does_without_the_model(store: Store) -> None:
    generator = Ranking(store)
    generator.failing = {"poison"}
    poisoned = Request(history=(PastEvent("f00"), PastEvent("f03")), k=3)
    answers = Engine(store, generator).recommend_many(
        [Request(user="u01", k=3), poisoned, Request(user="u03", k=3)]
    )
    assert [a.stage for a in answers if isinstance(a, Response)] == ["model", "content", "model"]
    assert [codes(a) for a in answers if isinstance(a, Response)][0::2] == [[], []]


def test_without_content_what_is_popular_answers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = KnnGenerator(store)
    generator.failing = {"encode"}
    engine = Engine(store, generator)

    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("out of order")

    monkeypatch.setattr(engine.content, "like", broken)
    answer = engine.recommend(Request(user="u00", k=4))
    assert answer.stage == "popularity" and len(answer.items) == 4 and stages(answer) == {"popularity"}
    monkeypatch.setattr(engine.popularity, "best", broken)
    nothing = engine.recommend(Request(user="u00", k=4))
    assert nothing.items == () and codes(nothing) == ["model_failed", "fewer_items"]


def test_a_history_that_cannot_be_read_is_answered_from_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(store, KnnGenerator(store))
    usual = engine.recommend(Request(user="u00", k=4))

    def broken(_: object) -> object:
        raise OSError("no such database at /secret/place")

    monkeypatch.setattr(engine.trails, "of", broken)
    answer = engine.recommend(Request(user="u00", k=4))
    assert codes(answer) == ["history_failed"] and answer.stage == "model"
    assert [e.item.id for e in answer.items] == [e.item.id for e in usual.items]
    assert "secret" not in answer.notes[0].message
    assert codes(engine.recommend(Request(user="nobody", k=4))) == ["history_failed", "unknown_user"]


def test_items_without_a_vector_are_left_out_of_the_history(store: Store) -> None:
    generator = KnnGenerator(store)
    generator.readable = np.ones(store.n_items, bool)
    history = (PastEvent("f01"), PastEvent("f02"), PastEvent("f03"))
    generator.readable[[1, 3]] = False
    answer = Engine(store, generator).recommend(Request(history=history, k=3))
    assert codes(answer) == ["missing_embedding"] and answer.history_used == 1 and answer.stage == "model"
    generator.readable[2] = False
    answer = Engine(store, generator).recommend(Request(history=history, k=3))
    assert codes(answer) == ["missing_embedding", "content"] and answer.stage == "content"
    assert all("Sea" in entry.item.categories for entry in answer.items)
    stored = Engine(store, generator).recommend(Request(user="u00", k=3))
    seen = {e.item.id for e in Engine(store, generator).history("u00").events if e.positive}
    assert stored.history_used == 12 - len(seen & {"f01", "f02", "f03"})


# --- deadlines


def test_no_time_at_all_is_answered_by_what_is_popular(store: Store) -> None:
    generator = Slow(store)
    answer = Engine(store, generator, clock=generator.clock).recommend(
        Request(user="u00", k=4, deadline_ms=0)
    )
    assert codes(answer) == ["deadline"] and answer.stage == "popularity" and len(answer.items) == 4
    assert generator.called == []


@pytest.mark.parametrize(
    ("takes", "expected", "stage"),
    [
        ({"encode": 0.2}, ["deadline"], "popularity"),
        ({"generate": 0.2}, ["deadline"], "popularity"),
        ({"retrieve": 0.2}, ["not_ranked"], "model"),
        ({"rank": 0.2}, [], "model"),
    ],
)
def test_stages_after_the_deadline_are_left_out(
    store: Store, takes: dict[str, float], expected: list[str], stage: str
) -> None:
    generator = Slow(store, **takes)
    engine = Engine(store, generator, clock=generator.clock)
    answer = engine.recommend(Request(user="u00", k=4, deadline_ms=100))
    assert codes(answer) == expected and answer.stage == stage and len(answer.items) == 4


def test_a_stage_that_takes_too_long_lately_is_not_begun_and_tried_again_later(store: Store) -> None:
    generator = Slow(store, rank=0.2)
    engine = Engine(store, generator, clock=generator.clock)
    engine.recommend(Request(user="u00", k=4))
    generator.takes["rank"], generator.called = 0.001, []
    assert codes(engine.recommend(Request(user="u00", k=4, deadline_ms=100))) == ["not_ranked"]
    assert "rank" not in generator.called
    assert codes(engine.recommend(Request(user="u00", k=4, deadline_ms=500))) == []
    late = [codes(engine.recommend(Request(user="u00", k=4, deadline_ms=100))) for _ in range(12)]
    assert [] in late, "the expectation fades, so one slow start does not switch a stage off for good"


def test_a_batch_is_not_held_up_by_who_has_no_time(store: Store) -> None:
    generator = Slow(store, encode=0.2)
    engine = Engine(store, generator, clock=generator.clock)
    hurried, patient = engine.recommend_many(
        [Request(user="u00", k=4, deadline_ms=100), Request(user="u01", k=4)]
    )
    assert isinstance(hurried, Response) and isinstance(patient, Response)
    assert (hurried.stage, patient.stage) == ("popularity", "model") and codes(patient) == []


def test_a_deadline_that_cannot_be_meant() -> None:
    for wrong in (-1.0, float("nan")):
        with pytest.raises(RequestError, match="deadline_ms"):
            Request(deadline_ms=wrong)


def test_running_means() -> None:
    times = StageTimes()
    assert times.expected("rank") == 0 and times.fits("rank", 1.0, 0.9) and not times.fits("rank", 1.0, 1.0)
    times.add("rank", 1.0)
    times.add("rank", 2.0)
    assert times.expected("rank") == pytest.approx(1.25) and times.fits("rank", None, 1e9)
    assert not times.fits("rank", 1.0, 1.0)
    assert times.expected("rank") == pytest.approx(1.25), "where no time was left nothing is learned"
    assert not times.fits("rank", 1.0, 0.0)
    assert times.expected("rank") == pytest.approx(1.125)
    times.add("rank", 1.25)
    assert times.expected("rank") == pytest.approx(1.25)


# --- anything goes


@given(
    user=st.none() | st.text(max_size=5) | st.integers() | st.sampled_from(["u00", "quiet"]),
    history=st.none()
    | st.lists(
        st.builds(
            PastEvent, st.text(max_size=4) | st.integers() | st.sampled_from(["f00", "f31"]),
            st.none() | st.just("hide"), st.none() | st.integers(-(10**12), 10**13),
        ),
        max_size=5,
    ).map(tuple),
    k=st.integers(1, 2 * N_ITEMS),
    surface=st.none() | st.text(max_size=5),
    failing=st.sets(st.sampled_from(["encode", "generate", "retrieve", "rank", "attended"]), max_size=2),
    deadline=st.none() | st.floats(0, 1),
    at_most=st.sampled_from([{}, {"genres": 1}]),
    explain=st.booleans(),
    genre=st.none() | st.sampled_from(["Sea", "Nowhere"]),
)  # fmt: skip
def test_a_well_formed_request_is_always_answered(
    store: Store, user: str | int | None, history: tuple[PastEvent, ...] | None, k: int, surface: str | None,
    failing: set[str], deadline: float | None, at_most: dict[str, int], explain: bool, genre: str | None,
) -> None:  # fmt: skip
    generator = Ranking(store)
    generator.failing = failing
    filters = Filters(include={"genres": (genre,)}) if genre else Filters()
    answer = Engine(store, generator).recommend(
        Request(
            user=user,
            history=history,
            k=k,
            surface=surface,
            deadline_ms=deadline,
            at_most=at_most,
            explain=explain,
            filters=filters,
        )
    )
    assert len(answer.items) == k or "fewer_items" in codes(answer)
    assert len({entry.item.id for entry in answer.items}) == len(answer.items)
    if at_most:
        for values in GENRES.values():
            assert sum(values[0] in entry.item.categories for entry in answer.items) <= 1
