"""The published files themselves, where BOWERBIRD_DATA names the folder that holds them; no download is made."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.datasets import load_dataset
from bowerbird.tables.view import View, given_split

DATA = Path(os.environ.get("BOWERBIRD_DATA", "no data"))
FOLDERS = {
    "citeulike": "citeulike_a",
    "citeulike-cold": "citeulike_a",
    "lastfm": "lastfm_hetrec2011",
    "lastfm-timed": "lastfm_hetrec2011",
    "dblp": "hin_dblp",
    "hin-amazon": "hin_amazon",
    "grocery": "amazon_grocery_rechorus",
}
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="BOWERBIRD_DATA names no folder of data sets")


def load(name, tmp_path):
    folder = DATA / FOLDERS[name]
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return load_dataset(name, folder, tmp_path / "store")


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("citeulike", {"events": 164_334, "users": 5_551, "collections": 164_334, "links": 89_322 + 239_253}),
        ("lastfm-timed", {"events": 92_834 + 186_473, "users": 1_892, "links": 25_434}),
        ("dblp", {"events": 41_794, "items": 14_376, "labels": 2_031, "links": 14_376 + 114_624}),
        ("hin-amazon", {"events": 195_791, "items": 2_753, "links": 5_694 + 5_508 + 2_753}),
        ("grocery", {"events": 121_892, "users": 14_681, "items": 8_713, "links": 248_444 + 124_933}),
    ],
)
def test_no_row_is_lost(name, counts, tmp_path):
    store = load(name, tmp_path)
    assert {table: store.manifest.counts[table] for table in counts} == counts


def test_citeulike_hides_the_same_fifth_in_events_and_libraries(tmp_path):
    split = given_split(load("citeulike", tmp_path))
    held = split.test.held_out(split.valid)
    assert len(held) == 32_867 and len(np.unique(held.user)) > 5_200
    seen = set(
        zip(*(getattr(split.valid.events.all(), name).tolist() for name in ("user", "item")), strict=True)
    )
    listed = split.valid.collections().select("user", "item").collect()
    assert set(listed.iter_rows()) == seen and len(seen) == 164_334 - 32_867


def test_popularity_on_citeulike_scores_its_known_bar(tmp_path):
    """Recall at 20 of the 20 most saved articles, saved ones left out: .019, as measured apart from this code."""
    split = given_split(load("citeulike", tmp_path))
    order = np.argsort(-split.valid.item_counts(), kind="stable")[:400]
    seen, held = split.valid.events.all(), split.test.held_out(split.valid)
    saved = pl.DataFrame({"user": seen.user, "item": seen.item}).group_by("user").agg("item")
    wanted = (
        pl.DataFrame({"user": held.user, "item": held.item})
        .group_by("user")
        .agg(pl.col("item").alias("held"))
    )
    recalls = []
    for _, items, targets in saved.join(wanted, on="user").iter_rows():
        own = set(items)
        best = [item for item in order.tolist() if item not in own][:20]
        recalls.append(len(set(best) & set(targets)) / len(targets))
    assert np.mean(recalls) == pytest.approx(0.019, abs=0.002)


def test_cold_articles_have_no_past(tmp_path):
    split = given_split(load("citeulike-cold", tmp_path))
    held = np.unique(split.test.held_out(split.valid).item)
    assert len(held) == round(0.2 * 16_919) and split.valid.item_counts()[held].sum() == 0


def test_lastfm_tags_cut_as_in_the_published_bar(tmp_path):
    split = given_split(load("lastfm-timed", tmp_path))
    assert split.valid.n_events == 142_913 and split.test.n_events - split.valid.n_events == 43_560
    drawn = given_split(load_dataset("lastfm", DATA / FOLDERS["lastfm"], tmp_path / "drawn"))
    assert drawn.test.n_events - drawn.valid.n_events == round(0.2 * 92_834)
    assert View(drawn.test._store).n_events == 92_834 + 186_473
