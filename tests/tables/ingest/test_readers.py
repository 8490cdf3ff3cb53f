"""Readers: every row is handed on or reported, memory stays bounded, lines are numbered right."""

import csv
import io
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import TableError
from bowerbird.tables.ingest.layout import ColumnConfig, SourceConfig
from bowerbird.tables.ingest.readers import find_files
from bowerbird.tables.ingest.readers.batch import BAD_CSV, NOT_UTF8, OPEN_QUOTE, TOO_LONG
from bowerbird.tables.ingest.readers.lines import read_blocks


def read(tmp_path, name, content, columns=None, **options):
    """All rows with their lines, and all broken lines, of one file."""
    (tmp_path / name).write_bytes(content)
    source = SourceConfig(files=[name], columns={"x": ColumnConfig(column="x")}, **options)
    (file,) = find_files("events", source, tmp_path)
    reader = file.reader(1000)
    rows, broken = [], []
    for batch in reader.batches(columns or reader.columns()):
        rows += [(line, *row) for line, row in zip(batch.lines.tolist(), batch.frame.rows(), strict=True)]
        broken += [(row.line, row.reason) for row in batch.broken]
    return rows, broken


texts = st.text(alphabet='ab ,"\n;é\t', max_size=6)


@settings(max_examples=60)
@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=8), st.booleans())
def test_csv_reads_what_the_csv_module_writes(tmp_path_factory, rows, crlf):
    # A record of empty fields only may be written as a blank line by other programs; ours is three fields wide.
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n" if crlf else "\n")
    writer.writerows([("x", "y", "z"), *rows])
    found, broken = read(tmp_path_factory.mktemp("csv"), "a.csv", text.getvalue().encode())
    assert broken == []
    assert [row[1:] for row in found] == [tuple(value or None for value in row) for row in rows]
    # Line numbers point at the first line of each record.
    lines, at = [], 2
    for row in rows:
        lines.append(at)
        at += 1 + sum(value.count("\n") for value in row)
    assert [row[0] for row in found] == lines


def test_columns_are_picked_by_name(tmp_path):
    rows, _ = read(tmp_path, "a.csv", b"x,y,z\n1,2,3\n4,5,6\n", ["z", "x"])
    assert rows == [(2, "3", "1"), (3, "6", "4")]


def test_broken_csv_rows_are_reported_and_the_others_read(tmp_path):
    content = b'x,y\n1,2\nonly\n3,4,5\n\n  \n6,"7\n8,9\n10,"a"b\n11,12"\n13,14'
    rows, broken = read(tmp_path, "a.csv", content)
    assert [row[0] for row in rows] == [2, 8, 11]
    assert [line for line, _ in broken] == [3, 4, 7, 9, 10]
    assert [reason for _, reason in broken] == [
        "wrong number of fields: 1 instead of 2",
        "wrong number of fields: 3 instead of 2",
        OPEN_QUOTE,
        BAD_CSV,
        OPEN_QUOTE,
    ]


def test_stray_quotes_far_apart_lose_their_own_lines_only(tmp_path):
    # Two inch marks 300 lines apart: what lies between looks like one quoted field longer than a record may be.
    middle = [f"{n},row number {n}" for n in range(300)]
    content = "\n".join(
        ["x,y", '1,5" disk', *middle, '2,7" disk', "3,ok", '4,3" by 4" box', '5,"5"" disk"', ""]
    )
    rows, broken = read(tmp_path, "a.csv", content.encode())
    assert broken == [(2, OPEN_QUOTE), (303, OPEN_QUOTE)]
    assert [row[2] for row in rows] == [
        *(line.split(",")[1] for line in middle),
        "ok",
        '3" by 4" box',
        '5" disk',
    ]


def test_tabs_have_no_quotes_and_other_delimiters_work(tmp_path):
    assert read(tmp_path, "a.tsv", b'x\ty\n5" disk\t2\n')[0] == [(2, '5" disk', "2")]
    assert read(tmp_path, "b.csv", b"x;y\n1,5;2\n", delimiter=";")[0] == [(2, "1,5", "2")]
    assert read(tmp_path, "c.csv", b"x|y\n'a|b'|2\n", delimiter="|", quote="'")[0] == [(2, "a|b", "2")]


def test_files_without_a_header(tmp_path):
    assert read(tmp_path, "a.csv", b"\xef\xbb\xbf1,2\n3,4\n", header=False, names=["x", "y"])[0] == [
        (1, "1", "2"),
        (2, "3", "4"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    assert read(tmp_path, "a.csv", b"\xef\xbb\xbfx,y\n1,2\n", ["x"])[0] == [(2, "1")]
    assert read(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"x":1}\n', ["x"])[0] == [(1, "1")]


@pytest.mark.parametrize(("header", "reason"), [(b"x,\xff", NOT_UTF8), (b"x," + b"y" * 2000, TOO_LONG)])
def test_a_header_that_cannot_be_read_is_not_replaced_by_the_first_row(tmp_path, header, reason):
    with pytest.raises(TableError, match=f"its header cannot be read .{reason}"):
        read(tmp_path, "a.csv", header + b"\n1,2\n")


def test_twice_the_same_column_is_an_error(tmp_path):
    with pytest.raises(TableError, match="names a column twice"):
        read(tmp_path, "a.csv", b"x,y,x\n1,2,3\n")


def test_jsonl_values_become_text(tmp_path):
    lines = [
        {"x": "s", "y": 1.5},
        {"y": True, "x": ["a", 'q"']},
        {"x": 12345678901234567},
        {"z": 1, "x": 3.0},
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    expected = [(1, "s", "1.5"), (2, '["a", "q\\""]', "true"), (3, "12345678901234567", None), (4, "3", None)]
    rows, broken = read(tmp_path, "a.jsonl", content, ["x", "y"])
    assert [(row[0], row[1].replace('","', '", "') if row[1] else None, row[2]) for row in rows] == expected
    assert broken == []
    # One broken line sends the block down the slow road; the answers are the same.
    rows, broken = read(
        tmp_path, "a.jsonl", content + b"\n{\n[1]\n\n" + b'{"x": 99999999999999999999}', ["x", "y"]
    )
    assert rows[:4] == expected
    assert rows[4:] == [(8, "99999999999999999999", None)]
    assert broken == [(5, "not valid JSON"), (6, "not a JSON object")]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_bytes_that_are_not_utf8_cost_their_line_only(tmp_path, name):
    good = [b"x,y", b"1,2", b"3,4"] if name.endswith("csv") else [b'{"x":1}', b'{"x":2}', b'{"x":3}']
    rows, broken = read(tmp_path, name, b"\n".join([*good[:2], b"\xff\xfe,bad", good[2], b"\xc3"]), ["x"])
    assert [reason for _, reason in broken] == [NOT_UTF8, NOT_UTF8]
    assert [line for line, _ in broken] == [3, 5]
    assert [row[0] for row in rows][-1] == 4


def test_utf16_and_damaged_gzip_are_named(tmp_path):
    with pytest.raises(TableError, match="save it as UTF-8"):
        read(tmp_path, "a.csv", "x,y\n1,2\n".encode("utf-16"))
    import gzip

    with pytest.raises(TableError, match="damaged gzip"):
        read(tmp_path, "a.csv.gz", gzip.compress(b"x,y\n" + b"1,2\n" * 1000)[:-20])


class GigantLine:
    """A file of ten gigabytes in one line, followed by a short one."""

    chunk = b"x" * (16 << 20)

    def __init__(self):
        self.left = 640

    def read(self, size):
        self.left -= 1
        return self.chunk if self.left >= 0 else b"\nlast\n" if self.left == -1 else b""


def test_a_gigantic_line_is_never_held():
    tracemalloc.start()
    blocks = list(read_blocks(GigantLine(), quote='"', max_line=1 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 2**20
    assert [(row.line, row.reason) for block in blocks for row in block.broken] == [(1, TOO_LONG)]
    assert [block.record(n) for block in blocks for n in range(len(block))] == [b"last\n"]
    assert [line for block in blocks for line in block.lines.tolist()] == [2]


pieces = st.sampled_from([b"ab", b'"', b"\n", b",", b"\xc3\xa9", b"c" * 12, b"\xff", b"\r\n"])


@settings(max_examples=150)
@given(st.lists(pieces, max_size=40).map(b"".join), st.integers(1, 50), st.sampled_from([None, '"']))
def test_blocks_of_any_size_cut_the_same_records(data, block, quote):
    def cut(size):
        blocks = list(read_blocks(io.BytesIO(data), quote=quote, max_line=30, block=size))
        records = [(int(b.lines[n]), b.record(n)) for b in blocks for n in range(len(b))]
        return records, sorted((row.line, row.reason) for b in blocks for row in b.broken)

    records, broken = cut(1 << 20)
    assert cut(block) == (records, broken)
    lines = (data + (b"" if data.endswith(b"\n") or not data else b"\n")).split(b"\n")
    named = {line for line, _ in broken}
    for line, record in records:
        span = record.split(b"\n")[:-1]
        assert lines[line - 1 : line - 1 + len(span)] == span
        named |= set(range(line, line + len(span)))
    # No line is lost: it is in a record, reported, or blank.
    for number, line in enumerate(lines[:-1], start=1):
        assert number in named or not line.strip(b"\r")


def test_parquet_rows_are_numbered(tmp_path):
    import polars as pl

    from bowerbird.tables.ingest.readers import parquet

    frame = pl.DataFrame({"x": range(2500), "y": ["a"] * 2500})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=700)
    reader = parquet.ParquetReader(tmp_path / "a.parquet", "a.parquet", "events")
    original, parquet.BATCH = parquet.BATCH, 1000
    try:
        batches = list(reader.batches(["x"]))
    finally:
        parquet.BATCH = original
    assert [batch.frame.height for batch in batches] == [1000, 1000, 500]
    assert np.concatenate([batch.lines for batch in batches]).tolist() == list(range(1, 2501))
    assert np.concatenate([batch.frame["x"].to_numpy() for batch in batches]).tolist() == list(range(2500))
    with pytest.raises(TableError, match="not a readable Parquet file"):
        (tmp_path / "b.parquet").write_text("nonsense")
        parquet.ParquetReader(tmp_path / "b.parquet", "b.parquet", "events").columns()
