"""citeulike-a from hand-made files: the wall shows exactly the seeded draw, in events and in libraries alike."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.datasets import DatasetError, load_dataset
from bowerbird.tables.errors import TableError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View, given_split
from bowerbird.tables.view.leaks import audit

N_USERS, N_ITEMS = 60, 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 libraries of 10 of 48 articles; article 48 is only cited, 49 only tagged, 0 has no tag."""
    path = tmp_path_factory.mktemp("citeulike_a")
    rng = np.random.default_rng(0)
    saves = [(u, int(i)) for u in range(N_USERS) for i in rng.choice(48, 10, replace=False)]
    pl.DataFrame(saves, schema=["user", "item"], orient="row").write_parquet(path / "user_library.parquet")
    cited = [(0, 1), (1, 0), (2, 48), (48, 2), (5, 5)]
    pl.DataFrame(cited, schema=["item", "dst"], orient="row").write_parquet(path / "citations.parquet")
    tagged = [(i, t) for i in range(1, N_ITEMS) if i != 48 for t in {0, i % 3}]
    pl.DataFrame(tagged, schema=["item", "dst"], orient="row").write_parquet(path / "item_tag.parquet")
    pl.DataFrame({"tag": ["protein_folding", "to-read", "networks"]}).write_parquet(path / "tags.parquet")
    return path


@pytest.fixture(scope="module")
def warm(folder, tmp_path_factory) -> Store:
    return load_dataset("citeulike", folder, tmp_path_factory.mktemp("warm") / "store")


@pytest.fixture(scope="module")
def cold(folder, tmp_path_factory) -> Store:
    return load_dataset("citeulike-cold", folder, tmp_path_factory.mktemp("cold") / "store")


def saves(view: View) -> set[tuple[int, int]]:
    """Raw pairs of the visible events."""
    rows = view.events.all()
    return set(zip(view.user_ids.decode(rows.user), view.item_ids.decode(rows.item), strict=True))


def entries(view: View) -> set[tuple[int, int]]:
    """Raw pairs of the visible libraries."""
    return set(view.collections().select("collection_id", "item_id").collect().iter_rows())


def published(folder) -> set[tuple[int, int]]:
    return set(pl.read_parquet(folder / "user_library.parquet").iter_rows())


def test_a_library_entry_is_an_event_and_a_row_of_its_library(warm, folder):
    view = View(warm)
    assert saves(view) == entries(view) == published(folder)
    rows = warm.table("collections").collect()
    assert (rows["collection_id"] == rows["user_id"]).all() and "title" not in rows.columns
    assert warm.manifest.actions == ["save"] and len(view.slates()) == 0


def test_the_walls_of_the_split_show_exactly_the_drawn_shares(warm, folder):
    split = given_split(warm)
    n = len(published(folder))
    assert len(saves(split.train)) == n - round(0.1 * n) - round(0.2 * n)
    assert len(saves(split.valid)) == n - round(0.2 * n)
    assert saves(split.test) == published(folder)
    assert "20% of the library entries test" in split.description and "seed 0" in split.description
    assert "Days are made up" in warm.manifest.slate_rule and "seed 0" in warm.manifest.dataset


@pytest.mark.parametrize("setting", ["warm", "cold"])
def test_a_held_out_entry_is_in_neither_table(setting, request):
    store = request.getfixturevalue(setting)
    split = given_split(store)
    for view in (split.train, split.valid):
        assert entries(view) == saves(view)  # a library shows what its owner is seen to have saved, no more
    hidden = saves(split.test) - saves(split.valid)
    assert hidden and not hidden & entries(split.valid) and not hidden & saves(split.valid)
    reads = audit(
        lambda v: (v.events.item, v.histories(v.users, 50), v.collections().collect(), v.links().collect()),
        store,
        split.valid.end_time,
    )
    reads.demand()


def test_another_seed_is_another_split_of_the_same_rows(folder, warm, tmp_path):
    again = load_dataset("citeulike", folder, tmp_path / "again", seed=0)
    assert again.manifest.content_hash == warm.manifest.content_hash
    other = load_dataset("citeulike", folder, tmp_path / "other", seed=1)
    assert saves(View(other)) == saves(View(warm))
    first, second = (saves(given_split(store).valid) for store in (warm, other))
    assert len(first) == len(second) and first != second


def test_the_order_of_the_files_does_not_matter(folder, warm, tmp_path):
    for name in ("user_library", "citations", "item_tag"):
        pl.read_parquet(folder / f"{name}.parquet").reverse().write_parquet(tmp_path / f"{name}.parquet")
    pl.read_parquet(folder / "tags.parquet").write_parquet(tmp_path / "tags.parquet")
    turned = load_dataset("citeulike", tmp_path, tmp_path / "store")
    assert turned.manifest.content_hash == warm.manifest.content_hash


def test_cold_articles_have_no_save_before_their_part_but_have_content_and_citations(cold, folder):
    split = given_split(cold)
    known = {item for _, item in published(folder)}
    assert len(known) == 48
    train, valid = ({item for _, item in saves(view)} for view in (split.train, split.valid))
    assert len(known - valid) == round(0.2 * 48) and len(valid - train) == round(0.1 * 48)
    held = split.test.held_out(split.valid)
    assert set(split.test.item_ids.decode(held.item)) == known - valid  # nothing else is tested
    dense = np.unique(held.item)
    assert split.valid.item_counts()[dense].sum() == 0
    assert split.valid.known_items()[dense].all()  # in the catalogue, with their tags
    assert split.valid.links().collect().height == split.test.links().collect().height
    assert "20% of the articles test" in split.description


def test_citations_go_both_ways_and_tags_are_text(warm):
    links = warm.table("links").collect()
    cites = links.filter(pl.col("relation") == "cites").select("source_id", "target_id")
    assert set(cites.iter_rows()) == {
        ("0", "1"),
        ("1", "0"),
        ("2", "48"),
        ("48", "2"),
    }  # 5 does not cite itself
    tags = links.filter(pl.col("relation") == "tag")
    assert set(tags["target_type"]) == {"tag"} and set(tags["source_type"]) == {"item"}
    of_seven = tags.filter(pl.col("source_id") == "7")["target_id"]
    assert set(of_seven) == {"protein_folding", "to-read"}
    assert warm.items.encode(links["source_id"]).min() >= 0  # text ids find their integer items


def test_the_text_of_an_article_is_its_tags_the_common_ones_first(warm):
    table = warm.item_table
    text = dict(zip(warm.items.ids.to_list(), table.frame["tags"].to_list(), strict=True))
    assert table.roles == {"tags": "text"} and len(text) == N_ITEMS
    assert text[7] == "protein folding, to read" and text[3] == "protein folding"
    assert text[0] is None and text[48] is None and text[49] is not None


def archive(path, users="2 3 1\n1 0\n"):
    (path / "users.dat").write_text(users)
    (path / "citations.dat").write_text("1 3\n0\n0\n1 0\n")
    (path / "item-tag.dat").write_text("1 1\n0\n2 0 1\n0\n")
    (path / "tags.dat").write_text("protein_folding\nto-read\n")
    return path


def test_the_published_archive_reads_alike(tmp_path):
    files = archive(tmp_path)
    store = load_dataset("citeulike", files, tmp_path / "store")
    assert saves(View(store)) == {(0, 3), (0, 1), (1, 0)}
    cites = View(store).links("cites").select("source_id", "target_id").collect()
    assert set(cites.iter_rows()) == {("0", "3"), ("3", "0")}
    (files / "raw-data.csv").write_text(
        '"doc.id","title","citeulike.id","raw.title","raw.abstract"\n'
        '1,t,9,"The first, of all",About proteins\n3,t,8,Third,\n'
    )
    table = load_dataset("citeulike", files, tmp_path / "titled").item_table
    assert table.frame.select("item_id", "title", "tags").rows() == [
        (0, "The first, of all", "to read"),
        (1, None, None),
        (2, "Third", "to read, protein folding"),
        (3, None, None),
    ]
    assert table.frame["abstract"][0] == "About proteins" and table.title(0) == "The first, of all"


def test_broken_files_are_named(tmp_path, folder):
    with pytest.raises(TableError, match=r"users\.dat.*row 2.*2 0"):
        load_dataset("citeulike", archive(tmp_path, users="1 3\n2 0\n"), tmp_path / "store")
    with pytest.raises(TableError, match=r"users\.dat.*row 1.*x"):
        load_dataset("citeulike", archive(tmp_path, users="1 x\n"), tmp_path / "store")
    with pytest.raises(DatasetError, match=r"no user_library\.parquet.*js05212"):
        load_dataset("citeulike", _empty(tmp_path), tmp_path / "store")
    lost = archive(tmp_path)
    (lost / "item-tag.dat").write_text("1 9\n")
    with pytest.raises(TableError, match=r"item_tag.*tag that the list of tags does not hold.*9"):
        load_dataset("citeulike", lost, tmp_path / "store")


def _empty(path):
    folder = path / "empty"
    folder.mkdir()
    return folder
