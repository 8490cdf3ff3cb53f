"""The engine on a world whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from bowerbird.serve.engine import Engine, UnknownEntityError
from bowerbird.serve.generators.base import Candidates, QueryVector, Question
from bowerbird.serve.past.given import given
from bowerbird.serve.request import Filters, PastEvent, Request, RequestError
from bowerbird.serve.response import Response
from bowerbird.tables.store import Store
from serve.knn import KnnGenerator, KnnRun
from serve.world import LONELY, N_ITEMS, START


def ids(answer: Response) -> list[str]:
    return [str(entry.item.id) for entry in answer.items]


def codes(answer: Response) -> list[str]:
    return [note.code for note in answer.notes]


def at_sea(item: str) -> bool:
    return item.startswith("f") and int(item[1:]) < N_ITEMS // 2


def test_an_answer_is_ranked_unseen_and_says_where_it_comes_from(engine: Engine) -> None:
    answer = engine.recommend(Request(user="u00", k=8))
    seen = {event.item.id for event in engine.history("u00").events}
    assert len(answer.items) == 8
    assert [entry.rank for entry in answer.items] == list(range(1, 9))
    assert not seen & set(ids(answer))
    assert all(at_sea(item) for item in ids(answer)), "the user's circle goes to sea"
    scores = [entry.score for entry in answer.items]
    assert scores == sorted(scores, reverse=True)
    for entry in answer.items:
        assert entry.why.stage == "model"
        assert entry.why.outcome in engine.generator.outcomes
        assert entry.why.step in (1, 2) and entry.why.offset in ("now", "+1 d")
    assert answer.stage == "model" and answer.history_used == 12 and answer.release == "item-knn-test"
    assert list(answer.timings_ms) == ["history", "encode", "generate", "retrieve", "guard", "total"]


def test_shares_account_for_every_item(engine: Engine) -> None:
    answer = engine.recommend(Request(user="u02", k=10, outcomes={"any": 3, "save": 1}))
    assert {share.outcome: share.weight for share in answer.shares} == {"any": 0.75, "save": 0.25}
    assert sum(share.items for share in answer.shares) == len(answer.items)


def test_an_outcome_brings_its_own_items(engine: Engine) -> None:
    saved = engine.recommend(Request(user="u04", k=3, outcomes={"save": 1}))
    assert all(int(item[1:]) % 3 == 0 for item in ids(saved) if item != LONELY), (
        "only every third film is ever saved"
    )
    clicked = engine.recommend(Request(user="u04", k=3, outcomes={"click": 1}))
    assert ids(saved) != ids(clicked)


@drawn(scale=st.floats(1e-6, 1e4), save=st.floats(0.01, 1))
def test_only_the_ratio_of_weights_matters(engine: Engine, scale: float, save: float) -> None:
    first = engine.recommend(Request(user="u06", k=6, outcomes={"any": 1.0, "save": save}))
    second = engine.recommend(Request(user="u06", k=6, outcomes={"any": scale, "save": save * scale}))
    assert ids(first) == ids(second)


def test_an_unknown_user_gets_what_is_popular_and_is_told(engine: Engine) -> None:
    answer = engine.recommend(Request(user="nobody", k=5))
    assert codes(answer) == ["unknown_user"]
    assert answer.stage == "popularity" and answer.history_used == 0
    assert ids(answer) == ids(engine.recommend(Request(k=5)))
    assert codes(engine.recommend(Request(k=5))) == ["anonymous"]


def test_a_user_without_positive_events_gets_what_is_popular_but_not_what_was_hidden(engine: Engine) -> None:
    answer = engine.recommend(Request(user="quiet", k=N_ITEMS))
    assert codes(answer)[0] == "empty_history" and answer.stage == "popularity"
    assert "f05" not in ids(answer)


def test_a_history_in_the_request_replaces_the_stored_one(engine: Engine) -> None:
    history = tuple(PastEvent(f"f{i}") for i in (40, 42, 44))
    anonymous = engine.recommend(Request(history=history, k=6))
    assert not any(at_sea(item) for item in ids(anonymous)) and anonymous.history_used == 3
    assert not {"f40", "f42", "f44"} & set(ids(anonymous))
    as_sailor = engine.recommend(Request(user="u00", history=history, k=6))
    assert set(ids(as_sailor)) <= set(ids(anonymous)) | {f"f{i:02d}" for i in range(N_ITEMS)}
    assert not {e.item.id for e in engine.history("u00").events} & set(ids(as_sailor)), (
        "what u00 has seen stays out"
    )


def test_unknown_items_in_a_history_are_left_out_with_a_note(engine: Engine) -> None:
    answer = engine.recommend(Request(history=(PastEvent("f40"), PastEvent("gone")), k=4))
    assert codes(answer) == ["unknown_item"] and answer.history_used == 1
    assert "gone" in answer.notes[0].message
    lost = engine.recommend(Request(history=(PastEvent("gone"),), k=4))
    assert codes(lost) == ["unknown_item", "empty_history"] and lost.stage == "popularity"


def test_a_negative_action_is_no_history_but_is_seen(engine: Engine) -> None:
    answer = engine.recommend(Request(history=(PastEvent("f41", "hide"),), k=N_ITEMS + 1))
    assert answer.history_used == 0 and answer.stage == "popularity"
    assert "f41" not in ids(answer)


def test_given_times_order_the_history(engine: Engine) -> None:
    history = (PastEvent("f01", time=START + 5), PastEvent("f02", time=START + 1))
    window = given(history, engine.store, 10, now=START + 10, action="click", surface=0).window
    assert engine.store.items.decode(window.item) == ["f02", "f01"]
    untimed = (PastEvent("f01"), PastEvent("f02"))
    window = given(untimed, engine.store, 10, now=START, action="click", surface=0).window
    assert window.time.tolist() == [START - 120_000, START - 60_000]


def test_more_than_there_is_comes_with_a_note(engine: Engine) -> None:
    answer = engine.recommend(Request(user="u00", k=1000))
    seen = {event.item.id for event in engine.history("u00").events}
    assert len(answer.items) == engine.store.n_items - len(seen)
    assert "fewer_items" in codes(answer)
    everything = engine.recommend(Request(user="u00", k=1000, exclude_seen=False))
    assert len(everything.items) == engine.store.n_items


def test_filters_hold_for_model_and_fallback(engine: Engine) -> None:
    only_town = Filters(include={"genres": ("Town",)})
    for request in (Request(user="u00", k=5, filters=only_town), Request(k=5, filters=only_town)):
        answer = engine.recommend(request)
        assert len(answer.items) == 5 and not any(at_sea(item) for item in ids(answer))
    no_town = engine.recommend(Request(k=N_ITEMS, filters=Filters(exclude={"genres": ("Town", "Adventure")})))
    assert ids(no_town) == [LONELY] and "fewer_items" in codes(no_town)


def test_a_category_no_item_has_is_named_and_a_column_that_does_not_exist_is_refused(engine: Engine) -> None:
    answer = engine.recommend(Request(user="u00", filters=Filters(include={"genres": ("Twon",)})))
    assert answer.items == () and codes(answer) == ["unknown_category", "fewer_items"]
    assert "'Town'" in answer.notes[0].message
    with pytest.raises(RequestError, match="did you mean 'genres'"):
        engine.recommend(Request(user="u00", filters=Filters(include={"genre": ("Town",)})))


def test_what_cannot_be_meant_is_refused_naming_the_field(engine: Engine) -> None:
    with pytest.raises(RequestError, match="did you mean 'save'") as error:
        engine.recommend(Request(user="u00", outcomes={"svae": 1}))
    assert error.value.field == "outcomes"
    with pytest.raises(RequestError, match="unknown action 'sold'"):
        engine.recommend(Request(history=(PastEvent("f01", "sold"),)))
    with pytest.raises(RequestError, match="at least 1"):
        Request(k=0)
    with pytest.raises(RequestError, match="above 0"):
        Request(outcomes={"save": 0})
    with pytest.raises(RequestError, match="0 or more"):
        Request(outcomes={"save": float("nan")})


def test_an_unknown_surface_is_noted_and_the_usual_one_used(engine: Engine) -> None:
    answer = engine.recommend(Request(user="u00", surface="hmoe", k=3))
    assert codes(answer) == ["unknown_surface"] and "'home'" in answer.notes[0].message
    assert ids(answer) == ids(engine.recommend(Request(user="u00", surface="home", k=3)))


class CarelessRun(KnnRun):
    """Ignores every rule it is given: repeats items, returns seen ones, padding in the middle, NaN scores."""

    def retrieve(self) -> list[Candidates]:
        seen = int(self.questions[0].window.item[0])
        item = np.array([seen, 50, 50, -1, 51, 52], np.int32)
        score = np.array([9, 8, 7, 6, np.nan, 5], np.float32)
        return [Candidates(item, score, np.zeros(6, np.int32), [QueryVector("any", 1, "now", 6)])]


class Careless(KnnGenerator):
    def start(self, questions: Sequence[Question]) -> CarelessRun:
        return CarelessRun(self, list(questions))


def test_the_guard_does_not_trust_the_generator(store: Store) -> None:
    answer = Engine(store, Careless(store)).recommend(Request(user="u00", k=3))
    assert ids(answer)[:2] == ["f50", "f52"], "no seen, repeated, padded or scoreless item"
    assert [entry.why.stage for entry in answer.items] == ["model", "model", "content"]
    assert at_sea(ids(answer)[2]), "filled up with what is like the recent items"
    assert codes(answer) == ["filled_up"]


def test_similar_items_come_from_the_same_circle(engine: Engine) -> None:
    answer = engine.similar("f10", 5)
    assert answer.stage == "model" and answer.item.id == "f10"
    assert "f10" not in [entry.item.id for entry in answer.items]
    assert all(at_sea(str(entry.item.id)) for entry in answer.items)


def test_similar_falls_back_to_content_then_to_popularity(engine: Engine) -> None:
    unwatched = [i for i in range(N_ITEMS) if engine.item(f"f{i:02d}").events == 0]
    assert unwatched, "the world keeps some films without positive events"
    by_content = engine.similar(f"f{unwatched[0]:02d}", 4)
    assert by_content.stage == "content" and by_content.notes[0].code == "not_indexed"
    assert {at_sea(str(entry.item.id)) for entry in by_content.items} == {unwatched[0] < N_ITEMS // 2}
    nothing = engine.similar(LONELY, 4)
    assert (
        nothing.stage == "popularity"
        and nothing.notes[-1].code == "no_neighbours"
        and len(nothing.items) == 4
    )
    unknown = engine.similar("gone", 4)
    assert (
        unknown.stage == "popularity"
        and unknown.notes[0].code == "unknown_item"
        and unknown.item.title == "gone"
    )


def test_similar_to_more_than_there_is(engine: Engine) -> None:
    answer = engine.similar("f10", 10_000)
    assert 0 < len(answer.items) < engine.store.n_items and answer.notes[-1].code == "fewer_items"


def test_histories_are_newest_first_with_names_of_actions(engine: Engine) -> None:
    timeline = engine.history("u00", limit=3)
    assert timeline.total == 13 and len(timeline.events) == 3
    times = [event.time for event in timeline.events]
    assert times == sorted(times, reverse=True)
    assert timeline.events[0].actions == ("hide",) and not timeline.events[0].positive
    assert timeline.events[1].actions[0] == "click" and timeline.events[1].positive
    assert timeline.events[1].surface == "home"
    with pytest.raises(UnknownEntityError, match="'nobody' is unknown"):
        engine.history("nobody")
    with pytest.raises(UnknownEntityError, match="'gone' is unknown"):
        engine.item("gone")


def test_about_says_what_is_served(engine: Engine) -> None:
    about = engine.about
    assert (about.dataset, about.users, about.items, about.events) == ("two circles", 41, N_ITEMS + 1, 521)
    assert {outcome.name for outcome in about.outcomes} == {"any", "click", "save"}
    assert sum(outcome.default for outcome in about.outcomes) == pytest.approx(1)
    assert about.facets[0].column == "genres"
    assert dict(about.facets[0].values) == {"Adventure": 30, "Comedy": 30, "Sea": 30, "Town": 30}
