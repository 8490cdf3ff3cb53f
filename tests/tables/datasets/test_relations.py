"""DBLP, heterogeneous Amazon and Grocery from hand-made files: every relation becomes links, apart from each other."""

from __future__ import annotations

import polars as pl
import pytest

from bowerbird.tables.datasets import load_dataset
from bowerbird.tables.errors import TableError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View

DAY = 86_400


def write(folder, **tables):
    for name, (columns, *rows) in tables.items():
        pl.DataFrame(rows, schema=columns.split(), orient="row").write_parquet(folder / f"{name}.parquet")
    return folder


def edges(store: Store, relation: str) -> set[tuple[str, str, str, str]]:
    found = View(store).links(relation).select("source_type", "source_id", "target_type", "target_id")
    return set(found.collect().iter_rows())


def events(store: Store) -> list[tuple]:
    rows = View(store).events.all()
    names = store.manifest.actions
    return [
        (user, item, int(time), [n for bit, n in enumerate(names) if mask >> bit & 1])
        for user, item, time, mask in zip(
            store.users.decode(rows.user), store.items.decode(rows.item), rows.time, rows.actions, strict=True
        )
    ]


@pytest.fixture
def dblp(tmp_path):
    return write(
        tmp_path,
        paper_author=("paper author w", (1, 7, 1), (1, 8, 1), (2, 7, 1), (2, 7, 1), (3, 9, 1)),
        paper_conference=("paper conf w", (1, 4, 1), (2, 5, 1), (3, 4, 1)),
        paper_type=("paper term w", (1, 30, 1), (1, 31, 1), (3, 30, 1)),
        author_label=("author_orig label author", (8, 2, 7), (7, 4, 9)),
    )


def test_dblp_authors_are_users_papers_items_and_the_label_joins_on_the_paper_files_author(dblp, tmp_path):
    store = load_dataset("dblp", dblp, tmp_path / "store")
    assert {(u, i) for u, i, _, _ in events(store)} == {(7, 1), (7, 2), (8, 1), (9, 3)} and len(
        store.events
    ) == 4
    labels = store.table("labels").select("task", "entity_type", "entity_id", "label").collect()
    assert labels.rows() == [("area", "user", 7, "2"), ("area", "user", 9, "4")]
    assert edges(store, "published in") == {
        ("item", str(p), "venue", v) for p, v in [(1, "4"), (2, "5"), (3, "4")]
    }
    assert edges(store, "term") == {
        ("item", p, "term", t) for p, t in [("1", "30"), ("1", "31"), ("3", "30")]
    }
    terms = store.item_table.frame["terms"].to_list()
    assert terms == [["term 30", "term 31"], None, ["term 30"]]
    assert "published in" not in store.item_table.frame.columns  # the venue gives the label away: a link only


@pytest.fixture
def hin_amazon(tmp_path):
    return write(
        tmp_path,
        user_item=(
            "user item rating ts",
            (0, 4, 5, DAY),
            (0, 5, 4, 3 * DAY),
            (0, 6, 1, 3 * DAY),
            (1, 4, 3, 2 * DAY),
        ),
        item_view=("item view", (4, 5), (4, 900)),
        item_category=("item category", (4, 1), (4, 2), (5, 1)),
        item_brand=("item brand", (4, 3), (6, 3)),
    )


def test_hin_amazon_ratings_are_dated_outcomes_and_views_are_no_items(hin_amazon, tmp_path):
    store = load_dataset("hin-amazon", hin_amazon, tmp_path / "store")
    assert sorted(events(store)) == [
        (0, 4, DAY * 1000, ["rate", "like", "love"]),
        (0, 5, 3 * DAY * 1000, ["rate", "like"]),
        (0, 6, 3 * DAY * 1000, ["dislike"]),
        (1, 4, 2 * DAY * 1000, ["rate"]),
    ]
    assert edges(store, "viewed with") == {("item", "4", "view", "5"), ("item", "4", "view", "900")}
    assert edges(store, "brand") == {("item", "4", "brand", "3"), ("item", "6", "brand", "3")}
    assert len(edges(store, "category")) == 3 and store.n_items == 3
    frame = store.item_table.frame
    assert frame["categories"].to_list() == [["category 1", "category 2"], ["category 1"], None]
    assert frame["brand"].to_list() == ["brand 3", None, "brand 3"]


META = "item_id i_category r_complement r_substitute"


@pytest.fixture
def grocery(tmp_path):
    return write(
        tmp_path,
        interactions=("user_id item_id time", (1, 1, DAY), (1, 2, DAY), (2, 3, 2 * DAY)),
        item_meta=(META, (1, 0, [2, 3], [4]), (2, 5, [1], []), (3, 0, [], []), (4, 0, [], [1])),
    )


def test_grocery_relations_are_directed_links_of_items(grocery, tmp_path):
    store = load_dataset("grocery", grocery, tmp_path / "store")
    pairs = {(source, target) for _, source, _, target in edges(store, "complement")}
    assert pairs == {("1", "2"), ("1", "3"), ("2", "1")}
    assert edges(store, "substitute") == {("item", "1", "item", "4"), ("item", "4", "item", "1")}
    assert sorted(events(store)) == [
        (1, 1, DAY * 1000, ["review"]),
        (1, 2, DAY * 1000, ["review"]),
        (2, 3, 2 * DAY * 1000, ["review"]),
    ]
    assert store.n_items == 4 and store.item_table.frame["category"][1] == "category 5"


def test_the_published_text_files_of_grocery_read_alike(grocery, tmp_path):
    text = tmp_path / "text"
    text.mkdir()
    (text / "train.csv").write_text(f"user_id\titem_id\ttime\n1\t1\t{DAY}\n1\t2\t{DAY}\n")
    (text / "test.csv").write_text(f"user_id\titem_id\ttime\tneg_items\n2\t3\t{2 * DAY}\t[1, 2]\n")
    lines = ["1\t0\t[2, 3]\t[4]", "2\t5\t[1]\t[]", "3\t0\t[]\t[]", "4\t0\t[]\t[1]"]
    (text / "item_meta.csv").write_text("\n".join(["\t".join(META.split()), *lines]) + "\n")
    first = load_dataset("grocery", grocery, tmp_path / "a")
    second = load_dataset("grocery", text, tmp_path / "b")
    assert first.manifest.content_hash == second.manifest.content_hash
    (text / "item_meta.csv").write_text("\n".join(["\t".join(META.split()), "1\t0\t[2 3]\t[]"]) + "\n")
    with pytest.raises(TableError, match=r"item_meta\.csv.*r_complement.*row 1.*\[2 3\]"):
        load_dataset("grocery", text, tmp_path / "c")


@pytest.mark.parametrize(
    ("fixture", "name", "table", "column"),
    [
        ("dblp", "dblp", "author_label", "author"),
        ("hin_amazon", "hin-amazon", "user_item", "ts"),
        ("grocery", "grocery", "item_meta", "r_substitute"),
    ],
)
def test_a_missing_column_is_named(fixture, name, table, column, request, tmp_path):
    folder = request.getfixturevalue(fixture)
    pl.read_parquet(folder / f"{table}.parquet").drop(column).write_parquet(folder / f"{table}.parquet")
    with pytest.raises(TableError, match=rf"{table}\.parquet.*'{column}'"):
        load_dataset(name, folder, tmp_path / "store")
