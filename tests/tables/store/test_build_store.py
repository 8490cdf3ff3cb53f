"""A known small world through the whole store."""

from datetime import date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.errors import ConfigError, StoreError, TableError
from bowerbird.tables.store import UNKNOWN_TIME, Store, build_store

EVENTS = pl.DataFrame(
    {
        "user_id": ["u1", "u2", "u1", "u1", "u1"],
        "item_id": ["a", "b", "b", "a", "a"],
        "timestamp": [1000, 2000, 3000, 1000, 500],
        "surface": ["home", "home", "search", "home", None],
        "request_id": ["r1", "r1", None, "r1", "r0"],
        "position": [0, 1, None, 0, 2],
        "query": [None, None, "cats", None, None],
        "actions": [["click", "save"], [], ["hide"], ["click", "save"], ["click"]],
        "weight": [1.0, 0.5, None, 1.0, 1.0],
    }
)
ITEMS = pl.DataFrame(
    {
        "item_id": ["c", "a"],
        "title": ["Third one", "A blue bird"],
        "genres": [["x"], ["x", "y"]],
        "price": [1.0, None],
        "creator_id": ["k2", "k1"],
        "created_at": [5, None],
        "vector": [[0.5, 1.0], [1.0, 2.0]],
    }
)


def test_columns_of_a_known_world(tmp_path):
    store = build_store(
        tmp_path / "s",
        {"events": EVENTS, "items": ITEMS, "users": pl.DataFrame({"user_id": ["u0"], "age": [30]})},
        negative_actions=["hide"],
        slate_rule="the log's request_id",
        dataset="toy",
    )
    events = store.events
    # Dense order: rows of `users` and `items` first, then ids in order of appearance in `events`.
    assert store.users.ids.to_list() == ["u0", "u1", "u2"]
    assert store.items.ids.to_list() == ["c", "a", "b"]
    assert events.user_start.tolist() == [0, 0, 3]
    assert events.user_count.tolist() == [0, 3, 1]
    assert events.user.tolist() == [1, 1, 1, 2]
    assert events.item.tolist() == [1, 1, 2, 2]
    assert events.time.tolist() == [500, 1000, 3000, 2000]
    assert [store.surfaces.decode([code])[0] for code in events.surface] == [
        "default",
        "home",
        "search",
        "home",
    ]
    # The same request id of two users names two slates.
    assert events.request.tolist() == [0, 1, -1, 2]
    assert events.position.tolist() == [2, 0, -1, 1]
    assert [store.queries.decode([code])[0] for code in events.query] == [None, None, "cats", None]
    assert events.weight.tolist() == [1.0, 1.0, 1.0, 0.5]
    assert store.actions.ids.to_list() == ["click", "save", "hide"]
    assert events.actions.tolist() == [1, 3, 4, 0]
    assert store.is_positive(events.actions).tolist() == [True, True, False, False]
    assert store.negative_mask == 4
    dtypes = {
        name: getattr(events, name).dtype.name for name in ("user", "time", "actions", "surface", "request")
    }
    assert dtypes == {
        "user": "int32",
        "time": "int64",
        "actions": "uint32",
        "surface": "int16",
        "request": "int32",
    }
    assert len(events) == 4
    manifest = store.manifest
    assert manifest.counts == {
        "events": 4,
        "items": 3,
        "items_rows": 2,
        "slates": 3,
        "users": 3,
        "users_rows": 1,
    }
    assert (manifest.dataset, manifest.slate_rule, manifest.time_range) == (
        "toy",
        "the log's request_id",
        (500, 3000),
    )
    assert "order in which they were read" in manifest.tie_rule_text


def test_item_table_is_in_dense_order_with_roles(tmp_path):
    table = build_store(tmp_path / "s", {"events": EVENTS, "items": ITEMS}).item_table
    assert table.frame["item_id"].to_list() == ["c", "a", "b"]
    assert table.frame["title"].to_list() == ["Third one", "A blue bird", None]
    assert table.roles == {"title": "text", "genres": "categories", "price": "number", "vector": "vector"}
    assert table.columns("number") == ["price"]
    assert table.created.tolist() == [5, UNKNOWN_TIME, UNKNOWN_TIME]
    assert table.creators.decode(table.creator) == ["k2", "k1", None]
    assert table.has_row.tolist() == [True, True, False]
    assert [table.title(item) for item in range(3)] == ["Third one", "A blue bird", "b"]
    assert len(table) == 3


def test_side_tables_carry_dense_ids_where_known(tmp_path):
    store = build_store(
        tmp_path / "s",
        {
            "events": EVENTS,
            "collections": pl.DataFrame(
                {"collection_id": ["l", "l", "l"], "item_id": ["b", "zz", "b"], "user_id": ["u2"] * 3}
            ),
            "labels": pl.DataFrame(
                {"task": ["spam"], "entity_type": ["user"], "entity_id": ["u2"], "label": ["yes"]}
            ),
        },
    )
    rows = store.table("collections").collect()
    # Exact duplicates count once; an item nobody showed has no dense id.
    assert rows.select("item_id", "item", "user").rows() == [("b", 1, 1), ("zz", None, 1)]
    assert store.table("labels").collect().rows() == [("spam", "user", "u2", "yes")]
    assert store.table("links").collect().shape == (0, 7)
    decoded = store.table("events").collect()
    assert decoded["item_id"].to_list() == store.items.decode(store.events.item)
    with pytest.raises(StoreError, match="did you mean 'labels'"):
        store.table("label")


def test_integer_ids_round_trip(tmp_path):
    events = pl.DataFrame({"user_id": [2**40, -3], "item_id": [9, 9], "timestamp": [1, 2]})
    store = build_store(tmp_path / "s", {"events": events})
    assert store.users.decode(store.events.user) == [2**40, -3]
    assert (store.users.kind, store.items.kind) == ("integer", "integer")
    assert store.events.actions.tolist() == [0, 0]


def test_datetimes_become_milliseconds_utc(tmp_path):
    zone = timezone(timedelta(hours=2))
    for values, expected in (
        ([datetime(1970, 1, 1, 0, 0, 1)], 1000),
        ([datetime(1970, 1, 1, 2, 0, 1, tzinfo=zone)], 1000),
        ([date(1970, 1, 2)], 86_400_000),
    ):
        events = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": values})
        store = build_store(tmp_path / "s", {"events": events}, overwrite=True)
        assert store.events.time.tolist() == [expected]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("input", ["c", "a", "b", "d"]), ("item", ["a", "b", "c", "d"]), ("slate", ["b", "c", "a", "d"])],
)
def test_tie_rules(tmp_path, rule, expected):
    items = pl.DataFrame({"item_id": ["a", "b", "c", "d"]})
    events = pl.DataFrame(
        {
            "user_id": ["u"] * 4,
            "item_id": ["c", "a", "b", "d"],
            "timestamp": [5] * 4,
            "request_id": ["r1", "r2", "r1", "r2"],
            "position": [1, 0, 0, 1],
        }
    )
    store = build_store(tmp_path / "s", {"events": events, "items": items}, tie_rule=rule)
    assert store.items.decode(store.events.item) == expected


def test_streamed_frames_equal_one_frame(tmp_path):
    whole = build_store(tmp_path / "one", {"events": EVENTS, "items": ITEMS})
    parts = build_store(
        tmp_path / "two",
        {"events": (EVENTS.slice(at, 2) for at in range(0, 5, 2)), "items": ITEMS.lazy()},
    )
    assert whole.manifest.content_hash == parts.manifest.content_hash
    assert np.array_equal(whole.events.item, parts.events.item)


def test_buckets_change_nothing_but_the_order_of_users(tmp_path):
    rng = np.random.default_rng(0)
    events = pl.DataFrame(
        {
            "user_id": rng.integers(0, 40, 500),
            "item_id": rng.integers(0, 30, 500),
            "timestamp": rng.integers(0, 50, 500),
            "request_id": rng.integers(0, 9, 500),
        }
    )
    one = build_store(tmp_path / "one", {"events": events})
    many = build_store(tmp_path / "many", {"events": events}, expected_events=4_000_000)
    assert (one.manifest.buckets["events"], many.manifest.buckets["events"]) == (1, 8)
    assert one.manifest.content_hash == many.manifest.content_hash
    assert one.manifest.counts == many.manifest.counts
    for user in range(one.n_users):
        for name in ("item", "time"):
            slices = [
                getattr(s.events, name)[s.events.user_start[user] :][: s.events.user_count[user]]
                for s in (one, many)
            ]
            assert slices[0].tolist() == slices[1].tolist()
    assert sorted(set(many.events.request.tolist())) == list(range(many.manifest.counts["slates"]))


def test_a_store_is_not_overwritten_by_accident(tmp_path):
    build_store(tmp_path / "s", {"events": EVENTS})
    with pytest.raises(StoreError, match="overwrite=True"):
        build_store(tmp_path / "s", {"events": EVENTS})
    smaller = build_store(tmp_path / "s", {"events": EVENTS.head(1)}, overwrite=True)
    assert (smaller.n_users, smaller.n_items, len(smaller.events)) == (1, 1, 1)
    assert Store.open(tmp_path / "s").manifest == smaller.manifest


def test_an_empty_log_is_a_store(tmp_path):
    store = build_store(tmp_path / "s", {"events": EVENTS.clear(), "items": ITEMS})
    assert (len(store.events), store.n_users, store.n_items) == (0, 0, 2)
    assert store.manifest.time_range is None
    assert build_store(tmp_path / "s", {"events": EVENTS}, append=True).manifest.counts["events"] == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user_id": None}, ["'user_id'", "row 1", "empty"]),
        ({"user_id": 1.5}, ["'user_id'", "integers or text"]),
        ({"timestamp": "2020"}, ["'timestamp'", "bowerbird ingest"]),
        ({"position": 70000}, ["'position'", "32767"]),
        ({"weight": float("inf")}, ["'weight'", "finite"]),
        ({"actions": 3}, ["'actions'", "lists of action names"]),
        ({"actoins": "x"}, ["'actoins'", "did you mean 'actions'"]),
    ],
)
def test_wrong_events_are_refused(tmp_path, change, words):
    base = {"user_id": "u", "item_id": "a", "timestamp": 1}
    with pytest.raises(TableError) as error:
        build_store(tmp_path / "s", {"events": pl.DataFrame([{**base, **change}])})
    for word in ["'events'", *words]:
        assert word in str(error.value)
    assert not (tmp_path / "s" / "manifest.json").exists()


def test_a_missing_column_names_the_near_one(tmp_path):
    with pytest.raises(TableError, match="did you mean 'itemid'"):
        build_store(
            tmp_path / "s", {"events": pl.DataFrame({"user_id": ["u"], "itemid": ["a"], "timestamp": [1]})}
        )


def test_settings_are_checked(tmp_path):
    tables = {"events": EVENTS}
    with pytest.raises(TableError, match="did you mean 'click'"):
        misspelt = EVENTS.with_columns(pl.Series("actions", [["clck"]] * 5))
        build_store(tmp_path / "a", {"events": misspelt}, actions=["click"])
    with pytest.raises(ConfigError, match="did you mean 'input'"):
        build_store(tmp_path / "b", tables, tie_rule="inputs")
    with pytest.raises(ConfigError, match="negative action 'hate'"):
        build_store(tmp_path / "c", tables, actions=["click", "save", "hide"], negative_actions=["hate"])
    with pytest.raises(ConfigError, match="did you mean 'events'"):
        build_store(tmp_path / "d", {"event": EVENTS})
    with pytest.raises(TableError, match="did you mean 'title'"):
        build_store(tmp_path / "e", {"events": EVENTS, "items": ITEMS}, item_roles={"titel": "text"})
    with pytest.raises(ConfigError, match="did you mean 'number'"):
        build_store(tmp_path / "f", {"events": EVENTS, "items": ITEMS}, item_roles={"price": "nunber"})
    many = pl.DataFrame({"user_id": ["u"] * 33, "item_id": ["a"] * 33, "timestamp": range(33)})
    with pytest.raises(TableError, match="more than 32 different actions"):
        actions = pl.Series("actions", [[f"a{n}"] for n in range(33)])
        build_store(tmp_path / "g", {"events": many.with_columns(actions)})
