"""What happens to each kind of bad input: a stated rule or a clear error, and nothing lost."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from bowerbird.tables.errors import ConfigError, StoreError, TableError
from bowerbird.tables.ingest import IngestStoppedError

GOOD = "u,a,1600000000\n"


def reasons(workspace):
    return [(row["line"], row["column"], row["value"], row["reason"]) for row in workspace.rejected()]


def test_good_rows_and_a_row_of_each_problem(workspace):
    workspace.events(
        GOOD
        + ",a,1600000000\n"  # no user
        + "u,,1600000000\n"  # no item
        + "u,a,\n"  # no time
        + "u,a,soon\n"
        + "u,a,1600000000000\n"  # milliseconds
        + "u,a,7\n"  # 1970
        + "u,a\n"
        + GOOD
        + "u,b,1600000001\n"
    )
    summary = workspace.ingest()
    counts = summary.tables["events"]
    assert (counts.read, counts.accepted, counts.duplicates, counts.rejected) == (10, 2, 1, 7)
    assert workspace.rows() == [("u", "a", 1_600_000_000_000), ("u", "b", 1_600_000_001_000)]
    assert reasons(workspace) == [
        (3, "user", "", "required value is empty"),
        (4, "item", "", "required value is empty"),
        (5, "time", "", "required value is empty"),
        (6, "time", "soon", "not a number, though the column holds times as numbers"),
        (7, "time", "1600000000000", "mixed units: looks like milliseconds in a column of seconds"),
        (8, "time", "7", "impossible time: before 1980-01-01"),
        (9, None, "u,a", "wrong number of fields: 2 instead of 3"),
    ]
    assert {(row["table"], row["file"]) for row in workspace.rejected()} == {("events", "events.csv")}
    assert summary.rejected_file == workspace.folder / "store/rejected/000001.jsonl"
    assert workspace.store.manifest.rejected == "rejected/000001.jsonl"
    text = str(summary)
    for words in ("required value is empty (column user)", "10", "2 events, 1 users, 2 items", "events/s"):
        assert words in text
    assert summary.to_dict()["tables"]["events"]["rejected"] == 7


def test_events_of_tomorrow_are_possible_those_of_next_week_are_not(workspace):
    now = datetime.now(UTC)
    times = [now + timedelta(hours=20), now + timedelta(days=7)]
    workspace.events("".join(f"u,a,{time.isoformat()}\n" for time in times))
    assert workspace.ingest().tables["events"].rejected == 1
    workspace.events("".join(f"u,a,{time.isoformat()}\n" for time in times) + "u,a,1899-01-01\n")
    bounds = {"earliest": False, "latest_days_ahead": False}
    assert workspace.ingest(times=bounds).tables["events"].rejected == 0
    assert len(workspace.rows()) == 3


def test_the_zone_of_naive_times_is_utc_unless_told(workspace):
    workspace.events("u,a,2020-09-13 12:26:40\n")
    workspace.ingest()
    assert workspace.rows()[0][2] == 1_600_000_000_000
    workspace.ingest(times={"zone": "America/New_York"})
    assert workspace.rows()[1][2] == 1_600_000_000_000 + 4 * 3_600_000


def test_too_many_rejected_rows_stop_the_ingest_and_leave_the_store(workspace):
    workspace.events(GOOD)
    workspace.ingest()
    before = (workspace.folder / "store/manifest.json").read_bytes()
    workspace.events(GOOD * 97 + "u,b,1600000001\n" + "u,a,no\n" * 2)
    with pytest.raises(IngestStoppedError) as stopped:
        workspace.ingest(max_rejected_share=0.01)
    for words in ("2 of 100 rows", "2.0%", "1.0%", "not a number", "stopped.jsonl"):
        assert words in str(stopped.value)
    assert (workspace.folder / "store/manifest.json").read_bytes() == before
    assert len((workspace.folder / "store/rejected/stopped.jsonl").read_text().splitlines()) == 2
    assert workspace.ingest(max_rejected_share=0.02).tables["events"].accepted == 1


def test_a_hopeless_file_is_not_read_to_its_end(workspace, monkeypatch):
    monkeypatch.setattr("bowerbird.tables.ingest.run._HOPELESS_ROWS", 100)
    monkeypatch.setattr("bowerbird.tables.ingest.readers.parquet.BATCH", 50)
    frame = pl.DataFrame({"user": [None] * 1000, "item": ["a"] * 1000, "time": [1_600_000_000] * 1000})
    frame.cast({"user": pl.String}).write_parquet(workspace.folder / "events.parquet")
    with pytest.raises(IngestStoppedError) as stopped:
        workspace.ingest(events={"files": "events.parquet", "columns": workspace.config["events"]["columns"]})
    assert stopped.value.summary.tables["events"].read == 100


def test_missing_columns_are_named_with_what_there_is(workspace):
    workspace.events("1,2,3\n", header="usr,item,time")
    with pytest.raises(TableError) as error:
        workspace.ingest()
    for words in ("'events'", "'user'", "events.csv", "'usr', 'item', 'time'", "did you mean 'usr'"):
        assert words in str(error.value)
    workspace.write("events.jsonl", '{"user": 1, "item": "a"}\n')
    with pytest.raises(TableError, match=r"column 'time' is not in file events\.jsonl"):
        workspace.ingest(events={"files": "events.jsonl", "columns": workspace.config["events"]["columns"]})


def test_optional_keys_may_be_missing_from_some_json_lines(workspace):
    lines = [
        {"user": 1, "item": "a", "time": 1_600_000_000},
        {"user": 1, "item": "b", "time": 1_600_000_001, "q": "cats"},
    ]
    workspace.write("events.jsonl", "\n".join(map(json.dumps, lines)))
    workspace.ingest(
        events={"files": "events.jsonl", "columns": {**workspace.config["events"]["columns"], "query": "q"}}
    )
    store = workspace.store
    assert store.queries.decode(store.events.query) == [None, "cats"]


def test_empty_files(workspace):
    workspace.events("")
    assert workspace.ingest().tables["events"].read == 0
    workspace.write("events.csv", "")
    with pytest.raises(TableError, match=r"every file is empty: events\.csv"):
        workspace.ingest()
    workspace.write("more.csv", "user,item,time\n" + GOOD)
    both = {"files": ["events.csv", "more.csv"], "columns": workspace.config["events"]["columns"]}
    summary = workspace.ingest(events=both)
    assert summary.tables["events"].empty_files == ["events.csv"]
    assert "empty file in events: events.csv" in str(summary)
    assert len(workspace.rows()) == 1


def test_files_that_do_not_exist(workspace):
    workspace.events(GOOD)
    columns = workspace.config["events"]["columns"]
    for files, words in (
        ("event.csv", "did you mean 'events.csv'"),
        ("nothing/*.csv", "no such file"),
        (".", None),
        ("empty", "holds no"),
    ):
        (workspace.folder / "empty").mkdir(exist_ok=True)
        if words:
            with pytest.raises(ConfigError, match=words):
                workspace.ingest(events={"files": files, "columns": columns})
    workspace.write("noname", "user,item,time\n" + GOOD)
    with pytest.raises(ConfigError, match="format = 'csv'"):
        workspace.ingest(events={"files": "noname", "columns": columns})
    assert (
        workspace.ingest(events={"files": "noname", "format": "csv", "columns": columns})
        .tables["events"]
        .accepted
        == 1
    )


@pytest.mark.parametrize("kind", ["folder", "glob", "gz", "tsv", "jsonl", "parquet", "list"])
def test_every_way_to_name_files_and_every_format(workspace, kind):
    names = ["user", "item", "time"]
    rows = [("u", "a", 1_600_000_000), ("v", "b", 1_600_000_001), ("v", "a", 1_600_000_002)]
    text = "user,item,time\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    if kind in ("folder", "glob", "list"):
        for number, row in enumerate(rows):
            workspace.write(f"log/{number}.csv", "user,item,time\n" + ",".join(map(str, row)))
        workspace.write("log/_SUCCESS", "")
        files = {"folder": "log", "glob": "log/*.csv", "list": [f"log/{n}.csv" for n in range(3)]}[kind]
    else:
        files = f"log.{'csv.gz' if kind == 'gz' else kind}"
        if kind == "gz":
            workspace.write(files, gzip.compress(text.encode()))
        elif kind == "tsv":
            workspace.write(files, text.replace(",", "\t"))
        elif kind == "jsonl":
            workspace.write(files, "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
        else:
            pl.DataFrame(rows, schema=names, orient="row").write_parquet(workspace.folder / files)
    summary = workspace.ingest(events={"files": files, "columns": workspace.config["events"]["columns"]})
    assert workspace.rows() == sorted((user, item, time * 1000) for user, item, time in rows)
    assert summary.tables["events"].files == (3 if kind in ("folder", "glob", "list") else 1)


def test_items_without_a_row_are_kept_and_counted(workspace):
    workspace.events("u,a,1600000000\nu,new,1600000001\n")
    summary = workspace.ingest()
    assert summary.items_without_row == 1
    assert "1 items appear in events only" in str(summary)
    table = workspace.store.item_table
    assert table.frame["title"].to_list() == ["One bird", "Two birds", None]
    assert table.has_row.tolist() == [True, True, False]


def test_of_two_rows_of_an_item_the_last_wins(workspace):
    workspace.events(GOOD)
    workspace.write("items.csv", "id,title\na,old title\nb,Two birds\na,new title\n")
    counts = workspace.ingest().tables["items"]
    assert (counts.read, counts.accepted, counts.duplicates) == (3, 2, 1)
    assert workspace.store.item_table.title(0) == "new title"


def test_ids_are_integers_only_where_every_table_agrees(workspace):
    workspace.write("items.csv", "id,title\n1,One bird\n2,Two birds\n")
    workspace.events("7,1,1600000000\n8,2,1600000000\n")
    workspace.ingest()
    assert workspace.store.manifest.id_types == {"user": "integer", "item": "integer"}
    # Later rows are held to what the store is.
    workspace.events("7,1,1600000000\nx9,2,1600000001\n07,2,1600000001\n99999999999999999999,2,1600000001\n")
    summary = workspace.ingest()
    assert summary.tables["events"].rejected == 3
    last = json.loads(summary.rejected_file.read_text().splitlines()[-1])
    assert (last["column"], last["reason"]) == ("user", "id does not fit 64 bits")
    with pytest.raises(TableError, match="integer user ids"):
        workspace.ingest(ids={"user": "string"})


def test_leading_zeros_make_ids_text_and_integers_are_read_as_text_then(workspace):
    workspace.write("items.csv", "id,title\n007,One bird\n8,Two birds\n")
    pl.DataFrame({"user": [5.0, None], "item": [8, 8], "time": [1_600_000_000] * 2}).write_parquet(
        workspace.folder / "e.parquet"
    )
    workspace.ingest(events={"files": "e.parquet", "columns": workspace.config["events"]["columns"]})
    assert workspace.rows() == [(5, "8", 1_600_000_000_000)]
    assert list(workspace.store.items) == ["007", "8"]


def test_a_float_column_of_ids_with_fractions(workspace):
    frame = pl.DataFrame(
        {"user": [1.0, 2.5, float("nan"), 1e30], "item": ["a"] * 4, "time": [1_600_000_000] * 4}
    )
    frame.write_parquet(workspace.folder / "e.parquet")
    events = {"files": "e.parquet", "columns": workspace.config["events"]["columns"]}
    workspace.ingest(events=events, ids={"user": "integer"})
    assert [row["reason"] for row in workspace.rejected()] == [
        "id is not a plain whole number",
        "required value is empty",
        "id does not fit 64 bits",
    ]


def test_lists_where_a_single_value_belongs(workspace):
    frame = pl.DataFrame({"user": [["x"]], "item": ["a"], "time": [1_600_000_000]})
    frame.write_parquet(workspace.folder / "e.parquet")
    with pytest.raises(TableError, match=r"file e\.parquet: holds List\(String\), which cannot be an id"):
        workspace.ingest(events={"files": "e.parquet", "columns": workspace.config["events"]["columns"]})


def test_a_second_writer_is_refused(workspace):
    from bowerbird.tables.store import StoreSettings, StoreWriter

    workspace.events(GOOD)
    with (
        StoreWriter(workspace.folder / "store", StoreSettings(), {"user": "string", "item": "string"}),
        pytest.raises(StoreError, match="another writer"),
    ):
        workspace.ingest()


def test_values_in_the_report_are_shortened(workspace):
    workspace.events(f"{'u' * 900},a,{'9' * 900}\n")
    workspace.ingest()
    (row,) = workspace.rejected()
    assert row["value"] == "9" * 200
