"""Side tables: rows come out sorted by key whatever arrived, in one bucket or several, cut at the wall."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.schema import TABLES
from bowerbird.tables.store import build_store
from bowerbird.tables.store.writing.side import merge_rows
from bowerbird.tables.view import View

WORDS = st.sampled_from(["a", "b", "ä", "", "tag with blanks", "Z", "10", "9"])
LINK = st.tuples(st.sampled_from(["item", "user"]), WORDS, st.just("tag"), WORDS, st.sampled_from(["r", "s"]))
COLUMNS = ["source_type", "source_id", "target_type", "target_id", "relation"]


def links(rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


@settings(max_examples=60)
@given(rows=st.lists(LINK, min_size=1, max_size=80), cut=st.integers(0, 80))
def test_links_are_kept_once_and_sorted_by_key_in_one_go_or_two(rows, cut):
    spec = TABLES["links"]
    at_once = merge_rows(spec, None, links(rows))
    wanted = sorted(set(rows), key=lambda row: [row[COLUMNS.index(name)].encode() for name in spec.key])
    assert at_once.rows.rows() == wanted and at_once.accepted == len(wanted)
    if 0 < cut < len(rows):
        first = merge_rows(spec, None, links(rows[:cut]))
        second = merge_rows(spec, first.rows, links(rows[cut:]))
        assert second.rows.equals(at_once.rows) and second.content == at_once.content
        assert first.accepted + second.accepted == len(wanted)


def test_empty_cells_of_a_repeating_key_come_first():
    spec = TABLES["collections"]
    rows = pl.DataFrame({"collection_id": ["b", None, "a", "b"] * 20, "item_id": list(range(80))})
    found = merge_rows(spec, None, rows).rows
    assert found.equals(rows.sort("collection_id", "item_id", maintain_order=True))


def test_a_table_of_several_buckets_is_whole_and_cut_at_the_wall(tmp_path, monkeypatch):
    monkeypatch.setattr("bowerbird.tables.store.writing.settings._ROWS_PER_BUCKET", 10_000)
    n = 30_000
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "source_type": "item",
            "source_id": pl.Series(rng.integers(0, 17_000, n)).cast(pl.String),
            "target_type": "tag",
            "target_id": pl.Series(np.arange(n) % 4_639).cast(pl.String),
            "relation": np.where(np.arange(n) % 3, "tag", "cites"),
            "timestamp": np.arange(n),
        }
    )
    events = pl.DataFrame({"user_id": [1, 1], "item_id": [1, 2], "timestamp": [0, n]})
    store = build_store(tmp_path / "store", {"events": events, "links": rows})
    assert store.manifest.buckets["links"] == 4 and store.manifest.counts["links"] == n
    found = View(store, n // 2).links("tag").select("timestamp", "source_id").sort("timestamp").collect()
    wanted = rows.filter((pl.col("relation") == "tag") & (pl.col("timestamp") < n // 2))
    assert found.equals(wanted.select("timestamp", "source_id"))
