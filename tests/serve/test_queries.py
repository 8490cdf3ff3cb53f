"""A search is read where it was made: in the log, in posted events, and in the request itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from bowerbird.serve.engine import Engine
from bowerbird.serve.generators.pinrec import UniPinRecGenerator
from bowerbird.serve.online import OnlineEvent, OnlineHistory
from bowerbird.serve.past.trails import Trails
from bowerbird.serve.past.window import Window
from bowerbird.serve.request import PastEvent, Request, RequestError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View
from serve import searches, world
from serve.models import LENGTH, generator

LATER = world.START + 90 * world.DAY


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return searches.build(tmp_path_factory.mktemp("searched"))


@pytest.fixture(scope="module")
def model(searched: Store) -> UniPinRecGenerator:
    return generator(searched, mentions=("query",))


@pytest.fixture
def history(searched: Store, tmp_path: Path) -> Iterator[OnlineHistory]:
    with OnlineHistory.for_store(tmp_path / "online.sqlite", searched) as found:
        yield found


def trails(store: Store, model: UniPinRecGenerator, history: OnlineHistory | None) -> Trails:
    return Trails(
        store, View(store), LENGTH, history=history, mentions=model.mentions, query_id=model.query_id
    )


def test_the_log_is_read_as_the_model_was_trained(searched: Store, model: UniPinRecGenerator) -> None:
    window = trails(searched, model, None).of("u03").window
    whole = View(searched).histories(np.array([searched.users.encode(["u03"])[0]]), 100, mentions=("query",))
    n = int(whole.lengths[0])
    assert n == 12 + 3 and window.start + len(window) == n
    assert window.item.tolist() == whole.item[0, window.start : n].tolist()
    assert (window.item >= searched.n_items).any()


def test_posted_searches_stand_before_what_they_brought(
    searched: Store, model: UniPinRecGenerator, history: OnlineHistory
) -> None:
    kept = trails(searched, model, history)
    kept.of("new")
    rows = [
        ("f01", ["click"], "at sea", "a", 0), ("f02", ["click"], "at sea", "a", 1), ("f03", [], "whales", "b", 2),
        ("f04", ["save"], None, "c", 3), ("f05", ["click"], "at sea", "d", 4),
    ]  # fmt: skip
    items = searched.items.encode([item for item, *_ in rows])
    sea, whales = model.query_id("at sea"), model.query_id("whales")
    expected: list[int] = []
    for number, (item, actions, query, request, second) in enumerate(rows):
        history.append(
            [
                OnlineEvent(
                    f"e{number}", "new", item, LATER + second, tuple(actions), query=query, request=request
                )
            ]
        )
        if number == 2:
            expected.append(whales)
            continue  # seen only: what was searched counts, the film does not
        expected += [sea] if number in (0, 4) else []
        expected.append(int(items[number]))
        assert kept.of("new").window.item.tolist() == expected[-LENGTH:], "continued event by event"
    fresh = trails(searched, model, history).of("new")
    assert fresh.window.item.tolist() == expected
    assert fresh.recent.tolist() == [int(items[n]) for n in (0, 1, 3, 4)]
    assert fresh.seen.tolist() == sorted(int(item) for item in items)


def test_a_requests_query_is_read_behind_the_history_and_forgotten(
    searched: Store, model: UniPinRecGenerator
) -> None:
    own = trails(searched, model, None)
    windows = [own.of(f"u{u:02d}").window for u in (1, 2, 3)]
    query = Window.of([model.query_id("a boat in the harbour")], [LATER], [0], [1])
    contexts = [None, query, query]
    reader = model.reader
    for keys in (["u01", "u02", "u03"], ["u01", "u02", "u03"], [None, None, None]):
        read = reader.read(keys, windows, contexts)
        plain = reader.read(keys, windows)
        for b, context in enumerate(contexts):
            whole = windows[b] if context is None else windows[b].followed_by(context)
            fresh = reader.encode([whole])
            torch.testing.assert_close(read.encoded.last_BD[b], fresh.last_BD[0], atol=1e-5, rtol=1e-4)
            assert int(read.encoded.cache.lengths_B[b]) == len(whole)
            torch.testing.assert_close(
                plain.encoded.last_BD[b], reader.encode([windows[b]]).last_BD[0], atol=1e-5, rtol=1e-4
            )
    alone = reader.read(["u02"], [windows[1]], [query])
    assert model.pool.entry("u02") is not None
    torch.testing.assert_close(
        alone.encoded.last_BD[0],
        reader.encode([windows[1].followed_by(query)]).last_BD[0],
        atol=1e-5,
        rtol=1e-4,
    )
    nothing = reader.read(["nobody"], [Window.of()], [query])
    torch.testing.assert_close(nothing.encoded.last_BD, reader.encode([query]).last_BD)
    assert model.pool.entry("nobody") is None


def test_the_engine_answers_a_search(searched: Store, model: UniPinRecGenerator) -> None:
    engine = Engine(searched, model)
    plain = engine.recommend(Request(user="u02", k=10, surface="search"))
    asked = engine.recommend(Request(user="u02", k=10, surface="search", query="in town", explain=True))
    again = engine.recommend(Request(user="u02", k=10, surface="search"))
    assert [i.score for i in plain.items] == [i.score for i in again.items]
    assert [i.score for i in asked.items] != [i.score for i in plain.items]
    assert asked.stage == "model" and asked.history_used == plain.history_used <= 12
    looked = [event for item in asked.items for event in item.looked_at]
    assert looked and all(str(event.item.id).startswith("f") for event in looked)
    stranger = engine.recommend(Request(k=5, query="in town"))
    assert stranger.stage == "model" and len(stranger.items) == 5, "a query alone is enough to answer from"
    given = engine.recommend(Request(history=(PastEvent("f01"),), query="never searched before", k=5))
    assert given.stage == "model"
    batch = engine.recommend_many(
        [
            Request(user="u02", k=10, surface="search"),
            Request(user="u02", k=10, surface="search", query="in town"),
        ]
    )
    for one, other in zip(batch, (plain, asked), strict=True):
        np.testing.assert_allclose(
            [i.score for i in one.items], [i.score for i in other.items], rtol=1e-3, atol=1e-5
        )


def test_a_model_that_reads_no_queries_says_so(searched: Store) -> None:
    engine = Engine(searched, generator(searched))
    found = engine.recommend(Request(user="u02", k=5, query="in town"))
    assert [note.code for note in found.notes] == ["query_unused"] and len(found.items) == 5
    with pytest.raises(RequestError, match="query"):
        Request(user="u02", query="")
