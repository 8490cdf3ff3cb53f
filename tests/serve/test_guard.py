"""Rules of the last look, on lists small enough to check by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.diversity import Sameness
from bowerbird.serve.engine import Engine
from bowerbird.serve.fallback import Popularity
from bowerbird.serve.generators.base import Candidates, QueryVector
from bowerbird.serve.guard import Guard, in_shares
from bowerbird.serve.request import Request, RequestError
from bowerbird.serve.response import Why
from bowerbird.tables.store import Store, build_store
from serve.world import N_ITEMS

MODEL = Why("model")


def offer(guard: Guard, items: list[int], scores: list[float] | None = None) -> list[int]:
    score = np.array(scores or range(len(items), 0, -1), float)
    guard.offer(np.array(items, np.int32), score, [MODEL] * len(items), np.arange(len(items)))
    return [entry.item for entry in guard.picked]


def test_a_full_answer_takes_nothing_more() -> None:
    guard = Guard(3, allowed=np.array([1, 2, 3, 4, 5]), exclude=np.array([2]))
    assert offer(guard, [9, 2, 5, 5, -1, 4, 3, 1]) == [5, 4, 3] and guard.missing == 0
    assert offer(guard, [1]) == [5, 4, 3]
    assert [entry.row for entry in guard.picked] == [2, 5, 6]


def test_creators_and_categories_are_spread(tmp_path) -> None:  # type: ignore[no-untyped-def]
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d", "e"],
            "creator_id": ["x", "x", "x", "y", None],
            "genres": [["sea"], ["sea", "town"], ["town"], ["sea"], None],
        }
    )
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": [1], "actions": [["click"]]})
    store = build_store(tmp_path / "store", {"items": items, "events": events})
    sameness = Sameness(store.item_table)
    codes = dict(zip(store.items.decode(np.arange(5)), range(5), strict=True))

    def spread(**at_most: int) -> tuple[str, list[str | None]]:
        rules = sameness.rules(at_most)
        guard = Guard(5, allowed=None, exclude=np.empty(0, np.int32), rules=rules)
        found = offer(guard, [codes[name] for name in "abcde"])
        return "".join(store.items.decode(np.array(found))), [rule.reason for rule in rules]

    assert spread() == ("abcde", [])
    assert spread(creator=1) == ("ade", ["at most 1 items may share a creator: 2 held back (2 with 'x')"])
    assert spread(genres=1)[0] == "ace"
    assert spread(genres=2) == ("abce", ["at most 2 items may share a genres: 1 held back (1 with 'sea')"])
    assert spread(creator=2, genres=1)[0] == "ace"
    with pytest.raises(RequestError, match="did you mean 'creator'"):
        sameness.rules({"creators": 1})


def test_an_answer_keeps_to_the_rules_at_every_stage(engine: Engine) -> None:
    for user in ("u00", "nobody"):
        answer = engine.recommend(Request(user=user, k=6, at_most={"genres": 2}))
        counts = pl.Series([c for entry in answer.items for c in entry.item.categories]).value_counts()
        assert counts["count"].max() == 2
    model = engine.recommend(Request(user="u00", k=6, at_most={"genres": 2}))
    assert any(note.code == "at_most_genres" and "'Adventure'" in note.message for note in model.notes)
    assert "fewer_items" in [note.code for note in model.notes], "four genres in pairs and one film without"
    with pytest.raises(RequestError, match="at least 1"):
        Request(at_most={"genres": 0})


def found(budgets: list[int], vector: list[int]) -> Candidates:
    vectors = [QueryVector("any", 1, "now", budget) for budget in budgets]
    n = len(vector)
    return Candidates(np.arange(n, dtype=np.int32), np.arange(n, 0, -1.0), np.array(vector), vectors)


def test_a_longer_list_is_cut_by_shares() -> None:
    assert in_shares(found([6, 3], [0, 0, 0, 0, 0, 0, 1, 1, 1]), 3)[:3].tolist() == [0, 1, 6]
    assert in_shares(found([2, 1], [0, 0, 1]), 3).tolist() == [0, 1, 2], "nothing was fetched beyond k"


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(1, 10))
def test_a_cut_loses_and_repeats_nothing(vector: list[int], k: int) -> None:
    order = in_shares(found([9, 6, 3], vector), k)
    assert sorted(order.tolist()) == list(range(len(vector)))


@given(seed=st.integers(0, 100), k=st.integers(1, 2 * N_ITEMS), barred=st.integers(0, 20))
def test_the_most_popular_items_are_those_of_a_sort(store: Store, seed: int, k: int, barred: int) -> None:
    from bowerbird.tables.view import View

    rng = np.random.default_rng(seed)
    popularity = Popularity(View(store), 0)
    popularity.add(rng.integers(-1, store.n_items, 50).astype(np.int32))
    exclude = rng.integers(-1, store.n_items, barred).astype(np.int32)
    allowed = None if seed % 2 else np.unique(rng.integers(0, store.n_items, 30)).astype(np.int32)
    items, share = popularity.best(k, allowed=allowed, exclude=exclude)
    fit = set(range(store.n_items) if allowed is None else allowed.tolist()) - set(exclude.tolist())
    expected = sorted(fit, key=lambda item: (-popularity.counts[item], item))[:k]
    assert items.tolist() == expected
    assert share == pytest.approx(popularity.counts[items] / popularity.counts.sum(), abs=1e-6)
