"""What users named, beside a plain-Python reading of the same rows, and never past the wall or ahead of its moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.errors import WallError
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import LastOut, MentionKind, TimeWall, View, Wall
from bowerbird.tables.view.leaks import RequestInputs, audit, audit_requests

from .world import world

WALLS = [None, TimeWall(100), TimeWall(187), LastOut(2)]
KINDS: tuple[MentionKind, ...] = ("query", "collection")
Mention = tuple[int, int, str]
"""(user, time, text)"""


def searched(store: Store, view: View) -> list[Mention]:
    """Row by row: a search begins where the query or the request of a user's visible rows changes."""
    rows, found, last = view.events.all(), [], None
    texts = store.queries.decode(np.arange(len(store.queries), dtype=np.int32))
    for user, time, query, request in zip(rows.user, rows.time, rows.query, rows.request, strict=True):
        if query >= 0 and (user, query, request) != last:
            found.append((int(user), int(time), str(texts[query])))
        last = user, query, request
    return found


def filed(store: Store, view: View) -> list[Mention]:
    """Titles of lists of known users, where they differ from the one before."""
    rows = view.collections(undated=False).sort("user", "timestamp", "title").collect()
    found: list[Mention] = []
    for user, time, title in rows.select("user", "timestamp", "title").drop_nulls().iter_rows():
        if not found or (found[-1][0], found[-1][2]) != (user, title):
            found.append((user, time + 1, title))
    return found


def read(view: View, kinds: Sequence[MentionKind]) -> list[Mention]:
    mentions = view.mentions(kinds)
    texts = view.texts.text
    return sorted(
        (int(u), int(t), texts[int(c)]) for u, t, c in zip(mentions.user, mentions.time, mentions.code, strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("wall", WALLS, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_mentions_are_those_of_the_visible_rows(wall: Wall | None, seed: int) -> None:
    store = world(seed)
    view = View(store, wall)
    assert read(view, ["query"]) == sorted(searched(store, view)) != []
    assert read(view, ["collection"]) == sorted(filed(store, view)) != []
    assert read(view, KINDS) == sorted(searched(store, view) + filed(store, view))


@pytest.mark.parametrize("wall", WALLS, ids=str)
@pytest.mark.parametrize("length", [0, 1, 5, 200])
def test_histories_hold_them_in_the_order_of_time(wall: Wall | None, length: int) -> None:
    store = world(2)
    view = View(store, wall)
    users = view.users
    rows = view.positives.all()
    named = read(view, KINDS)
    codes = {text: code for code, text in enumerate(view.texts.text)}
    rng = np.random.default_rng(0)
    until = rng.integers(0, 260, len(users))
    batch = view.histories(users, length, mentions=KINDS, until=until)
    for b, user in enumerate(users):
        expected = [
            (t, 0, n, store.n_items + codes[text])
            for n, (u, t, text) in enumerate(named)
            if u == user and t <= until[b]
        ]
        expected += [
            (int(t), 1, int(r), int(i))
            for r, u, t, i in zip(rows.row, rows.user, rows.time, rows.item, strict=True) if u == user
        ]  # fmt: skip
        wanted = (
            sorted((time, kind, place, item) for time, kind, place, item in expected)[-length:]
            if length
            else []
        )
        n = int(batch.lengths[b])
        found = list(zip(batch.time[b, :n].tolist(), batch.item[b, :n].tolist(), strict=True))
        # texts of one moment come by code, which a set of pairs does not know
        assert sorted(found) == sorted((time, item) for time, _, _, item in wanted)
        assert [t for t, _ in found] == [t for t, _, _, _ in wanted]
        events = [item for _, item in found if item < store.n_items]
        assert events == [item for _, kind, _, item in wanted if kind == 1]
        assert (batch.row[b, :n] < 0).tolist() == [item >= store.n_items for _, item in found]
        assert (batch.item[b, n:] == 0).all() and (batch.row[b, n:] == -1).all()


def test_a_search_stands_before_what_it_brought_and_a_title_behind() -> None:
    store = world(0)
    view = View(store)
    mentions = view.mentions(["query"])
    for user in view.users:
        batch = view.histories(np.array([user], np.int32), 500, mentions=["query"])
        n = int(batch.lengths[0])
        named = batch.item[0, :n] >= store.n_items
        for place in np.flatnonzero(named):
            later = batch.time[0, place + 1 : n][~named[place + 1 :]]
            assert (later >= batch.time[0, place]).all()
            assert (batch.time[0, :place] <= batch.time[0, place]).all()
            same = np.flatnonzero((batch.time[0, :place] == batch.time[0, place]) & ~named[:place])
            assert not len(same), "no event of its own moment stands before it"
    assert (
        mentions.until(np.array([0], np.int32), np.array([10**6]))[0] == mentions.start[mentions.rank[0] + 1]
    )


@pytest.mark.parametrize("wall", [TimeWall(100), TimeWall(187), LastOut(2)], ids=str)
def test_the_audit_sees_no_mention_past_the_wall(wall: Wall) -> None:
    def mentions(view: View) -> dict[str, np.ndarray]:
        found = view.mentions()
        order = np.lexsort((found.code, found.time, found.user))  # other worlds hold users in another order
        return {name: getattr(found, name)[order] for name in ("user", "time", "code", "request", "surface")}

    def histories(view: View) -> np.ndarray:
        return view.histories(view.users, 40, mentions=KINDS).item

    assert not audit(mentions, world(), wall).leaks
    assert not audit(histories, world(), wall).leaks


def test_an_example_knows_no_mention_of_its_own_future() -> None:
    def inputs(view: View, ahead: int) -> RequestInputs:
        slates = view.slates()
        batch = view.histories(
            slates.user, 60, end=slates.history_end, mentions=KINDS, until=slates.time + ahead
        )
        request = np.stack([slates.user.astype(np.int64), slates.first_row], axis=1)
        return RequestInputs(
            request, slates.time, {"item": batch.item, "time": batch.time, "n": batch.lengths}
        )

    assert not audit_requests(lambda view: inputs(view, -1), world(), moments=12).leaks
    assert audit_requests(lambda view: inputs(view, 40), world(), moments=12).leaks


def test_a_store_without_searches_has_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    events = pl.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "y"], "timestamp": [1, 2]})
    store = build_store(
        tmp_path_factory.mktemp("plain"), {"events": events}, actions=["seen"], dataset="plain"
    )
    view = View(store)
    assert len(view.texts) == 0 and len(view.mentions()) == 0
    plain, asked = view.histories(view.users, 3), view.histories(view.users, 3, mentions=KINDS)
    assert plain.item.tolist() == asked.item.tolist() and plain.lengths.tolist() == asked.lengths.tolist()


@pytest.mark.parametrize("columns", [("user_id",), ("user_id", "timestamp"), ("title", "timestamp"), ()])
def test_lists_need_no_title_owner_or_time(tmp_path: Path, columns: tuple[str, ...]) -> None:
    given = {"user_id": ["u"], "timestamp": [3], "title": ["birds"]}
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": [1], "actions": [["save"]]})
    lists = pl.DataFrame({"collection_id": ["c"], "item_id": ["i"]} | {name: given[name] for name in columns})
    view = View(build_store(tmp_path / "store", {"events": events, "collections": lists}))
    assert read(view, KINDS) == []
    assert len(view.texts) == ("title" in columns)
    assert view.histories(view.users, 4, mentions=view.mentions(KINDS)).lengths.tolist() == [1]


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(WallError, match=r"unknown kind 'querry'; did you mean 'query'"):
        View(world()).mentions(["querry"])  # type: ignore[list-item]
