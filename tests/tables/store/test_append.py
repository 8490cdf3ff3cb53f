"""Adding to a store equals making it at once, and never moves an id."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import ConfigError, StoreError, TableError
from bowerbird.tables.schema import TIE_RULES
from bowerbird.tables.store import Manifest, Store, StoreSettings, StoreWriter, build_store

row = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from("uvwx"),
        "item_id": st.sampled_from("abcde"),
        "timestamp": st.integers(0, 4),
        "request_id": st.sampled_from([None, "r", "s"]),
        "position": st.sampled_from([None, 0, 1]),
        "query": st.sampled_from([None, "cats"]),
        "surface": st.sampled_from([None, "home"]),
        "actions": st.lists(st.sampled_from(["click", "save", "hide"]), max_size=2),
        "weight": st.sampled_from([None, 2.0]),
    }
)
SCHEMA = {
    "user_id": pl.String,
    "item_id": pl.String,
    "timestamp": pl.Int64,
    "request_id": pl.String,
    "position": pl.Int64,
    "query": pl.String,
    "surface": pl.String,
    "actions": pl.List(pl.String),
    "weight": pl.Float64,
}


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA)


def raw_rows(store):
    """What the store says, in raw values and stored order, users in order of their ids."""
    events, found = store.events, []
    requests = {}
    for user, raw in sorted(enumerate(store.users), key=lambda pair: pair[1]):
        start = events.user_start[user]
        for at in range(start, start + events.user_count[user]):
            request = int(events.request[at])
            found.append(
                (
                    raw,
                    store.items.decode([events.item[at]])[0],
                    int(events.time[at]),
                    frozenset(n for b, n in enumerate(store.actions) if int(events.actions[at]) >> b & 1),
                    store.surfaces.decode([events.surface[at]])[0],
                    requests.setdefault(request, len(requests)) if request >= 0 else None,
                    int(events.position[at]),
                    store.queries.decode([events.query[at]])[0],
                    float(events.weight[at]),
                )
            )
    return found


def reference(rows, rule):
    """The same in plain Python: drop repeated rows, sort by user, time, tie rule."""
    items = list(dict.fromkeys(r["item_id"] for r in rows))
    unique, seen = [], set()
    for r in rows:
        key = (*(r[n] for n in ("user_id", "item_id", "timestamp", "request_id", "position", "query")),)
        key += (r["surface"] or "default", frozenset(r["actions"]), r["weight"] or 1.0)
        if key not in seen:
            seen.add(key)
            unique.append(r)
    first = {}
    for at, r in enumerate(unique):
        group = (r["user_id"], r["timestamp"], r["request_id"]) if r["request_id"] else at
        first.setdefault(group, at)

    def order(pair):
        at, r = pair
        ties = {
            "input": (),
            "item": (items.index(r["item_id"]),),
            "slate": (
                first[(r["user_id"], r["timestamp"], r["request_id"]) if r["request_id"] else at],
                -1 if r["position"] is None else r["position"],
            ),
        }[rule]
        return (r["user_id"], r["timestamp"], *ties, at)

    requests, found = {}, []
    for _, r in sorted(enumerate(unique), key=order):
        request = r["request_id"] and requests.setdefault((r["user_id"], r["request_id"]), len(requests))
        found.append(
            (
                r["user_id"],
                r["item_id"],
                r["timestamp"],
                frozenset(r["actions"]),
                r["surface"] or "default",
                request,
                -1 if r["position"] is None else r["position"],
                r["query"],
                r["weight"] or 1.0,
            )
        )
    return found


@settings(max_examples=15)
@given(st.lists(row, min_size=1, max_size=25), st.sampled_from(sorted(TIE_RULES)), st.data())
def test_store_equals_a_plain_reference_at_once_and_appended(tmp_path_factory, rows, rule, data):
    folder = tmp_path_factory.mktemp("append")
    at_once = build_store(folder / "one", {"events": frame(rows)}, tie_rule=rule)
    assert raw_rows(at_once) == reference(rows, rule)
    cut = data.draw(st.integers(1, len(rows)))
    overlap = data.draw(st.integers(0, cut))
    first = build_store(
        folder / "two", {"events": frame(rows[:cut])}, tie_rule=rule, expected_events=2_000_000
    )
    users, items = list(first.users), list(first.items)
    both = build_store(folder / "two", {"events": frame(rows[overlap:])}, append=True)
    assert both.manifest.content_hash == at_once.manifest.content_hash
    assert raw_rows(both) == raw_rows(at_once)
    assert list(both.users)[: len(users)] == users
    assert list(both.items)[: len(items)] == items


def test_adding_what_is_there_writes_nothing(tmp_path):
    rows = frame([{"user_id": "u", "item_id": "a", "timestamp": 1, "actions": ["x"]}])
    items = pl.DataFrame({"item_id": ["a"], "title": ["one"]})
    build_store(tmp_path / "s", {"events": rows, "items": items}, dataset="d")
    before = {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()}
    build_store(tmp_path / "s", {"events": rows, "items": items}, append=True)
    assert {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()} == before


def test_items_are_replaced_by_id_and_untouched_buckets_keep_their_file(tmp_path):
    events = pl.DataFrame({"user_id": range(8), "item_id": [1] * 8, "timestamp": range(8)})
    items = pl.DataFrame({"item_id": [1, 2], "title": ["one", "two"], "price": [1.0, 2.0]})
    store = build_store(tmp_path / "s", {"events": events, "items": items}, expected_events=4_000_000)
    old = {part.bucket: part for part in store.manifest.parts["events"]}
    new = build_store(
        tmp_path / "s",
        {
            "events": pl.DataFrame({"user_id": [3], "item_id": [3], "timestamp": [0]}),
            "items": pl.DataFrame({"item_id": [2, 2], "title": ["zwei", "deux"]}),
        },
        append=True,
    )
    changed = [part.bucket for part in new.manifest.parts["events"] if part != old[part.bucket]]
    assert changed == [3]
    assert new.item_table.frame.select("title", "price").rows() == [
        ("one", 1.0),
        ("deux", None),
        (None, None),
    ]
    assert new.events.time[new.events.user_start[3] :][:2].tolist() == [0, 3]
    assert new.manifest.generation == 2


def test_what_a_store_is_cannot_change_later(tmp_path):
    rows = frame([{"user_id": "u", "item_id": "a", "timestamp": 1, "actions": ["x"]}])
    build_store(tmp_path / "s", {"events": rows})
    with pytest.raises(ConfigError, match="keeps tie rule 'input'"):
        build_store(tmp_path / "s", {"events": rows}, append=True, tie_rule="item")
    with pytest.raises(TableError, match="string ids; new rows bring integer ids"):
        integers = pl.DataFrame({"user_id": [1], "item_id": [1], "timestamp": [1]})
        build_store(tmp_path / "s", {"events": integers}, append=True)
    with pytest.raises(TableError, match="give the column the same type"):
        for price in (["cheap"], [[1]]):
            items = pl.DataFrame({"item_id": ["a"], "price": price})
            build_store(tmp_path / "s", {"items": items}, append=True)


def test_settings_can_change_without_rows(tmp_path):
    rows = frame([{"user_id": "u", "item_id": "a", "timestamp": 1, "actions": ["hide"]}])
    before = build_store(tmp_path / "s", {"events": rows}, dataset="old")
    after = build_store(tmp_path / "s", {}, append=True, negative_actions=["hide"])
    assert (after.manifest.dataset, after.negative_mask) == ("old", 1)
    assert after.manifest.content_hash == before.manifest.content_hash
    assert after.manifest.columns == before.manifest.columns


def test_users_without_events_have_no_rows(tmp_path):
    build_store(tmp_path / "s", {"events": frame([{"user_id": "u", "item_id": "a", "timestamp": 1}])})
    store = build_store(tmp_path / "s", {"users": pl.DataFrame({"user_id": ["new"]})}, append=True)
    assert (store.events.user_count.tolist(), store.events.user_start.tolist()) == ([1, 0], [0, 0])


def test_the_order_of_events_is_part_of_the_fingerprint(tmp_path):
    rows = [{"user_id": "u", "item_id": item, "timestamp": 1} for item in "ab"]
    one = build_store(tmp_path / "one", {"events": frame(rows)})
    two = build_store(tmp_path / "two", {"events": frame(rows[::-1])})
    assert one.manifest.content_hash != two.manifest.content_hash


def test_spilled_rows_equal_rows_kept_in_memory(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    highest = {"user_id": 9, "item_id": 9, "timestamp": 30}
    frames = [pl.DataFrame({name: rng.integers(0, n, 200) for name, n in highest.items()}) for _ in range(6)]
    ends = {"source_type": "a", "target_type": "b", "target_id": 1, "relation": "r"}
    links = [pl.DataFrame({**ends, "source_id": rng.integers(0, 50, 60)}) for _ in range(6)]

    def build(name):
        tables = {"events": iter(frames), "links": iter(links)}
        return build_store(tmp_path / name, tables, expected_events=2_000_000)

    kept = build("kept")
    monkeypatch.setattr("bowerbird.tables.store.writing.spill.EventSpill.__init__.__defaults__", (5000,))
    monkeypatch.setattr("bowerbird.tables.store.writing.spill.RowSpill.__init__.__defaults__", (5000,))
    spilled = build("spilled")
    assert spilled.manifest == kept.manifest
    assert np.array_equal(spilled.events.item, kept.events.item)
    assert not [path for path in (tmp_path / "spilled").iterdir() if path.name.startswith(".")]


def test_a_second_writer_is_refused_and_the_first_still_commits(tmp_path):
    rows = frame([{"user_id": "u", "item_id": "a", "timestamp": 1}])
    with StoreWriter(tmp_path / "s", StoreSettings(), {"user": "string", "item": "string"}) as writer:
        with pytest.raises(StoreError, match="another writer"):
            build_store(tmp_path / "s", {"events": rows})
        writer.add_events(rows)
        assert writer.commit().accepted == {"events": 1}
    assert len(Store.open(tmp_path / "s").events) == 1


def test_leaving_a_writer_without_commit_changes_nothing(tmp_path):
    rows = frame([{"user_id": "u", "item_id": "a", "timestamp": 1}])
    store = build_store(tmp_path / "s", {"events": rows})
    with StoreWriter(tmp_path / "s", StoreSettings(), {"user": "string", "item": "string"}) as writer:
        writer.add_events(rows.with_columns(item_id=pl.lit("z")))
    assert Store.open(tmp_path / "s").manifest == store.manifest


def test_leftovers_are_swept_and_foreign_stores_refused(tmp_path):
    rows = frame([{"user_id": "u", "item_id": "a", "timestamp": 1}])
    folder = tmp_path / "s"
    build_store(folder, {"events": rows})
    litter = [
        folder / "columns/.writing-000002",
        folder / "columns/000009",
        folder / "vocabulary/users-000009.parquet",
        folder / "tables/events/bucket=00/part-000009.parquet",
        folder / ".writing-spill",
    ]
    for path in litter:
        (path.mkdir if "." not in path.suffix else path.touch)()
    build_store(folder, {"events": rows.with_columns(timestamp=pl.lit(2))}, append=True)
    assert [path for path in litter if path.exists()] == []
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "nowhere")
    (tmp_path / "half").mkdir()
    with pytest.raises(StoreError, match="holds no finished store"):
        Store.open(tmp_path / "half")
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 99'))
    with pytest.raises(StoreError, match="store version 99"):
        Manifest.read(folder)
    manifest.write_text("{")
    with pytest.raises(StoreError, match="not readable"):
        Store.open(folder)
