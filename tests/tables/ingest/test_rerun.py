"""Ingesting again changes nothing; ingesting more adds what is new."""

import io
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bowerbird.tables.ingest import ingest, parse_config
from bowerbird.tables.ingest.readers.lines import read_blocks
from bowerbird.tables.store import Store


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_same_ingest_changes_no_byte(workspace):
    workspace.events("u,a,1600000000\nu,a,bad\n")
    assert workspace.ingest().changed
    before = files(workspace.folder / "store")
    again = workspace.ingest()
    assert not again.changed
    assert again.tables["events"].unchanged_files == 1
    assert again.tables["events"].read == 0
    assert files(workspace.folder / "store") == before


def test_a_file_that_grew_adds_its_new_rows(workspace):
    workspace.events("u,a,1600000000\n")
    workspace.ingest()
    workspace.events("u,a,1600000000\nu,b,1600000001\n")
    counts = workspace.ingest().tables["events"]
    assert (counts.accepted, counts.duplicates) == (1, 1)
    sources = [source for source in workspace.store.manifest.sources if source.table == "events"]
    assert [(source.name, source.rows) for source in sources] == [("events.csv", 2)]


def test_other_settings_read_the_file_again(workspace):
    workspace.events("u,a,1600000000\n")
    workspace.ingest()
    columns = {**workspace.config["events"]["columns"], "actions": {"constant": "click"}}
    counts = workspace.ingest(events={"files": "events.csv", "columns": columns}).tables["events"]
    assert (counts.read, counts.accepted) == (1, 1)


def test_settings_that_touch_no_row_are_kept_without_reading(workspace):
    workspace.events("u,a,1600000000\n")
    workspace.ingest()
    summary = workspace.ingest(dataset="renamed", actions={"negative": ["hide"]})
    assert (summary.changed, summary.tables["events"].read) == (True, 0)
    assert (workspace.store.manifest.dataset, workspace.store.manifest.negative_actions) == (
        "renamed",
        ["hide"],
    )


def test_fresh_starts_over(workspace):
    workspace.events("u,a,1600000000\n")
    workspace.ingest()
    workspace.events("v,b,1600000001\n")
    config = parse_config(workspace.config, folder=workspace.folder)
    ingest(config, workspace.folder / "store", fresh=True)
    assert workspace.rows() == [("v", "b", 1_600_000_001_000)]


event = st.tuples(
    st.sampled_from(["u1", "u2", "ü", ""]),
    st.sampled_from(["a", "b", "long name, with comma"]),
    st.one_of(st.integers(1_600_000_000, 1_600_000_005), st.sampled_from(["", "x", 5, 1_600_000_000_000])),
    st.sampled_from(["", "click", "click|save", "hide"]),
)


def reference(rows):
    """What should be in the store, in plain Python: the good rows once each, and how many there were of each kind."""
    good = [(u, i, t * 1000, frozenset(a.split("|")) - {""}) for u, i, t, a in rows if u and _is_possible(t)]
    return sorted(set(good), key=str), len(good) - len(set(good)), len(rows) - len(good)


def _is_possible(time):
    return isinstance(time, int) and 1_500_000_000 < time < 1_700_000_000


@settings(max_examples=20)
@given(st.lists(event, min_size=1, max_size=20), st.data())
def test_ingest_equals_a_plain_reference(tmp_path_factory, rows, data):
    folder = tmp_path_factory.mktemp("property")
    columns = {"user_id": "u", "item_id": "i", "timestamp": {"column": "t", "unit": "s"}}
    columns["actions"] = {"column": "a", "separator": "|"}
    content = {
        "max_rejected_share": 1.0,
        "ids": {"user": "string", "item": "string"},
        "events": {"files": "log", "columns": columns},
        "items": {"files": "items.csv", "columns": {"item_id": "id"}},
    }
    (folder / "items.csv").write_text("id\na\n")
    (folder / "log").mkdir()

    def write(name, chosen):
        lines = [f'{u},"{i}",{t},{a}' for u, i, t, a in chosen]
        (folder / "log" / name).write_text("\n".join(["u,i,t,a", *lines]))

    write("1.csv", rows)
    config = parse_config(content, folder=folder)
    summary = ingest(config, folder / "one")
    store = Store.open(folder / "one")
    counts = summary.tables["events"]
    expected, duplicates, rejected = reference(rows)
    assert (counts.read, counts.duplicates, counts.rejected) == (len(rows), duplicates, rejected)

    def content_of(found):
        e = found.events
        names = [frozenset(n for b, n in enumerate(found.actions) if int(m) >> b & 1) for m in e.actions]
        users, items = found.users.decode(e.user), found.items.decode(e.item)
        return sorted(zip(users, items, e.time.tolist(), names, strict=True), key=str)

    assert content_of(store) == expected

    # The same rows in several files, overlapping, one ingest after the other, in any cut.
    cut = data.draw(st.integers(0, len(rows)))
    overlap = data.draw(st.integers(0, cut))
    write("1.csv", rows[:cut])
    ingest(config, folder / "two")
    write("2.csv", rows[overlap:])
    ingest(config, folder / "two")
    assert Store.open(folder / "two").manifest.content_hash == store.manifest.content_hash


def test_many_small_batches_equal_one(workspace, monkeypatch):
    rng = random.Random(3)
    rows = [
        f"u{rng.randrange(30)},i{rng.randrange(50)},{1_600_000_000 + rng.randrange(90)}" for _ in range(2000)
    ]
    workspace.events("\n".join(rows))
    workspace.ingest()
    whole = workspace.store

    def small(file, *, quote, max_line, block=0):
        return read_blocks(file, quote=quote, max_line=max_line, block=700)

    monkeypatch.setattr("bowerbird.tables.ingest.readers.delimited.read_blocks", small)
    config = parse_config(workspace.config, folder=workspace.folder)
    ingest(config, workspace.folder / "small")
    assert Store.open(workspace.folder / "small").manifest == whole.manifest


def test_progress_is_shown_on_the_given_console_only(workspace, capsys):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    workspace.events("u,a,1600000000\n")
    config = parse_config(workspace.config, folder=workspace.folder)
    ingest(config, workspace.folder / "store", progress=console)
    assert "reading" in console.file.getvalue() or "writing" in console.file.getvalue()
    ingest(config, workspace.folder / "store")
    assert capsys.readouterr().out == ""
