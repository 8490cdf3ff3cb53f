"""Lists behind a `LastOut` wall: the past of each user ends at another moment, and a list must not know more."""

from __future__ import annotations

import polars as pl
import pytest

from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import LastOut, View
from bowerbird.tables.view.leaks import audit

EVENTS = [
    # user, item, time
    (1, 10, 100),
    (1, 11, 200),
    (1, 12, 300),
    (1, 13, 300),  # held out by LastOut(1), in the millisecond of the last visible event
    (2, 10, 5),
    (2, 14, 900),
    (3, 15, 50),
]


@pytest.fixture
def store(tmp_path) -> Store:
    """Every event is filed in its user's list too; list 9 is nobody's, one row of list 1 is undated, 2 filed early."""
    rows = [(user, item, user, time) for user, item, time in EVENTS]
    rows += [(9, 16, None, 250), (1, 17, 1, None), (2, 18, 2, 4), (2, 19, 2, 700)]
    columns = ["collection_id", "item_id", "user_id", "timestamp"]
    events = pl.DataFrame(EVENTS, schema=["user_id", "item_id", "timestamp"], orient="row")
    return build_store(
        tmp_path / "store",
        {
            "events": events.with_columns(actions=pl.lit(["save"])),
            "collections": pl.DataFrame(rows, schema=columns, orient="row"),
        },
    )


def listed(view: View, **options) -> set[tuple[int, int]]:
    return set(view.collections(**options).select("collection_id", "item_id").collect().iter_rows())


def test_a_list_shows_what_its_user_is_seen_to_have_done(store):
    assert listed(View(store, LastOut(1))) == {(1, 10), (1, 11), (1, 12), (2, 10), (2, 18), (9, 16), (1, 17)}
    assert listed(View(store, LastOut(1)), undated=False) == {
        (1, 10),
        (1, 11),
        (1, 12),
        (2, 10),
        (2, 18),
        (9, 16),
    }
    assert listed(View(store, LastOut(2))) == {(1, 10), (1, 11), (1, 17)}
    assert len(listed(View(store))) == len(EVENTS) + 4


def test_a_held_out_item_is_in_no_list_of_its_user(store):
    for k in (1, 2, 3):
        view = View(store, LastOut(k))
        held = View(store).held_out(view)
        hidden = set(zip(store.users.decode(held.user), store.items.decode(held.item), strict=True))
        assert hidden and not hidden & listed(view)


def test_a_time_wall_cuts_everybody_at_one_moment(store):
    assert listed(View(store, 250)) == {(1, 10), (1, 11), (2, 10), (2, 18), (3, 15), (1, 17)}
    assert listed(View(store, 250).narrow(LastOut(1))) == {(1, 10), (1, 17)}


def test_what_is_hidden_does_not_decide_what_is_shown(store):
    """The same lists come out whatever the hidden events are."""
    audit(lambda view: view.collections().collect(), store, LastOut(1)).demand()


def test_columns_stay_as_they_are(store):
    columns = store.table("collections").collect_schema()
    assert View(store, LastOut(1)).collections().collect_schema() == columns
