"""Searching people and items, popularity windows, content neighbours, integer ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.serve.engine import Engine
from bowerbird.serve.fallback import ContentNeighbours, Popularity
from bowerbird.serve.request import PastEvent, Request
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import View
from serve.knn import KnnGenerator
from serve.world import DAY, START

NONE = np.empty(0, np.int32)


def titles(engine: Engine, search: str, limit: int = 100) -> list[str]:
    return [item.title for item in engine.items(search, limit)]


def test_items_are_found_by_every_word_without_case_or_accents(engine: Engine) -> None:
    assert titles(engine, "ete MER") == ["L'Été à la Mer 00"]
    assert titles(engine, "sea 07") == ["The Sea 07"]
    assert titles(engine, "f31") == ["The Town 31"], "ids count too"
    assert titles(engine, "sea town") == []
    assert titles(engine, "(.*") == [], "words are text, not patterns"


def test_items_come_most_popular_first(engine: Engine) -> None:
    counts = [item.events for item in engine.items("", 100)]
    assert counts == sorted(counts, reverse=True) and len(counts) == engine.store.n_items
    assert len(engine.items("", 5)) == 5


def test_users_are_found_by_prefix_first_then_activity(engine: Engine) -> None:
    assert [user.id for user in engine.users("u00")] == ["u00"]
    assert next(user.id for user in engine.users("U3")).startswith("u3")
    everyone = engine.users("", 100)
    assert len(everyone) == 41 and everyone[-1].id == "quiet" and everyone[-1].events == 1
    assert everyone[0].first is not None and everyone[0].last - everyone[0].first == 13 * DAY
    assert engine.users("no such user") == ()


def test_cards_show_titles_categories_and_facts(engine: Engine) -> None:
    card = engine.item("f03")
    assert (card.title, card.categories, card.facts) == ("The Sea 03", ("Sea", "Adventure"), {"year": 1983})


def log(path: Path, days: list[tuple[int, int, int]]) -> Store:
    """A store from (day, item, number of events)."""
    rows = [(user, item, START + day * DAY + user) for day, item, n in days for user in range(n)]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return build_store(path, {"events": events.with_columns(actions=pl.lit(["click"]))}, actions=["click"])


def test_popularity_counts_the_last_month_only_where_that_is_enough(tmp_path: Path) -> None:
    store = log(tmp_path / "s", [(0, 1, 1500), (100, 2, 900), (101, 3, 600)])
    popular = Popularity(View(store), store.manifest.time_range[0])
    items, shares = popular.best(3, allowed=None, exclude=NONE)
    assert popular.days == 30
    assert store.items.decode(items) == [2, 3, 1], "item 1 was popular long ago"
    assert shares.tolist() == [np.float32(0.6), np.float32(0.4), 0]


def test_popularity_looks_further_back_where_a_month_is_thin(tmp_path: Path) -> None:
    store = log(tmp_path / "s", [(0, 1, 1500), (100, 2, 900)])
    popular = Popularity(View(store), store.manifest.time_range[0])
    assert store.items.decode(popular.best(2, allowed=None, exclude=NONE)[0]) == [1, 2]
    assert popular.days == 120


def test_popularity_keeps_to_its_filters(tmp_path: Path) -> None:
    store = log(tmp_path / "s", [(0, 1, 5), (0, 2, 4), (0, 3, 3)])
    popular = Popularity(View(store), store.manifest.time_range[0])
    one, two, three = store.items.encode([1, 2, 3])
    found = popular.best(9, allowed=np.array([two, three]), exclude=np.array([two]))[0]
    assert found.tolist() == [three]
    assert popular.best(9, allowed=None, exclude=np.array([-1]))[0].tolist() == [one, two, three]


def test_content_neighbours_prefer_rare_shared_categories(tmp_path: Path) -> None:
    items = pl.DataFrame({
        "item_id": ["a", "b", "c", "d", "e"],
        "genres": [["Drama", "Noir"], ["Drama"], ["Noir"], ["Drama"], None],
    })  # fmt: skip
    store = build_store(tmp_path / "s", {"items": items, "events": pl.DataFrame(
        {"user_id": ["u"], "item_id": ["a"], "timestamp": [1], "actions": [["x"]]})})  # fmt: skip
    near = ContentNeighbours(store.item_table)
    found = near.near(0, 5)
    assert store.items.decode(found.item[0])[0] == "c", "Noir is rarer than Drama"
    assert store.items.decode(found.item[0]) == ["c", "b", "d"]
    assert near.near(4, 5).item.shape == (1, 0), "an item without categories has no neighbours"


def test_a_catalogue_without_categories_has_no_content_neighbours(tmp_path: Path) -> None:
    store = log(tmp_path / "s", [(0, 1, 5), (0, 2, 4)])
    assert ContentNeighbours(store.item_table).near(0, 3).item.shape == (1, 0)


def test_integer_ids_are_understood_as_text_too(tmp_path: Path) -> None:
    store = log(tmp_path / "s", [(day, item, 9) for day, item in enumerate((7, 8, 9))])
    engine = Engine(store, KnnGenerator(store))
    assert engine.history("3").user == 3 and engine.item("7").id == 7
    by_text = engine.recommend(Request(history=(PastEvent("7"),), k=2))
    by_number = engine.recommend(Request(history=(PastEvent(7),), k=2))
    assert by_text.items == by_number.items and by_text.history_used == 1
    for odd in ("--5", "-", "", "9" * 500, "1e3", " "):
        assert engine.recommend(Request(user=odd, k=1)).notes[0].code == "unknown_user"
        assert engine.similar(odd, 1).notes[0].code == "unknown_item"
