"""What MovieLens and goodbooks know beyond ratings: tags, lists, authors and shelves, behind the wall."""

from __future__ import annotations

import polars as pl
import pytest

from bowerbird.tables.datasets import load_dataset
from bowerbird.tables.view import View

MINUTE = 60_000


@pytest.fixture
def movielens(tmp_path):
    (tmp_path / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,10,5.0,60\n1,20,5.0,600\n1,30,4.5,660\n2,10,5.0,120\n"
    )
    (tmp_path / "tags.csv").write_text(
        "userId,movieId,tag,timestamp\n1,10,Slow ,660\n1,10,slow,720\n1,30,slow,1200\n2,20,,60\n2,30,five stars,60\n"
    )
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n10,A,War\n20,B,War\n30,C,War\n")
    return load_dataset("movielens", tmp_path, tmp_path / "store")


def test_movielens_lists_are_what_a_user_tagged_alike_and_what_got_five_stars(movielens):
    rows = movielens.table("collections").sort("collection_id", "timestamp").collect()
    assert rows.select(
        "collection_id", "item_id", "title", "user_id", pl.col("timestamp") // MINUTE
    ).rows() == [
        ("1, five stars", 10, None, 1, 1),
        ("1, five stars", 20, None, 1, 10),
        ("1: slow", 10, "slow", 1, 11),
        ("1: slow", 30, "slow", 1, 20),
        ("2, five stars", 10, None, 2, 2),
        ("2: five stars", 30, "five stars", 2, 1),
    ]


def test_movielens_tags_are_dated_links_of_their_users(movielens):
    columns = ("source_id", "target_id", "user_id", "timestamp")
    rows = movielens.table("links").select(columns).sort("timestamp", "source_id").collect()
    assert [(*row[:3], row[3] // MINUTE) for row in rows.iter_rows()] == [
        ("30", "five stars", 2, 1),
        ("10", "slow", 1, 11),
        ("10", "slow", 1, 12),
        ("30", "slow", 1, 20),
    ]


def test_movielens_lists_and_links_end_at_the_wall(movielens):
    view = View(movielens, 12 * MINUTE)
    assert view.links().select("source_id").collect()["source_id"].sort().to_list() == ["10", "30"]
    assert view.collections().collect().height == 5
    assert View(movielens, MINUTE).collections().collect().is_empty()


@pytest.fixture
def goodbooks(tmp_path):
    """Version 2: the key of shelves is the Goodreads id, and the two id spaces overlap."""
    (tmp_path / "books.csv").write_text(
        "book_id,goodreads_book_id,authors,original_publication_year,title,language_code\n"
        '1,3,"A. One, B. Two",1990.0,First,eng\n2,1,C. Three,1991.0,Second,eng\n3,77,A. One,1992.0,Third,eng\n'
    )
    (tmp_path / "ratings.csv").write_text("user_id,book_id,rating\n8,3,4\n8,1,5\n9,1,5\n")
    (tmp_path / "tags.csv").write_text(
        "tag_id,tag_name\n0,to-read\n1,fantasy\n2,favourites\n3,currently-reading\n"
    )
    (tmp_path / "book_tags.csv").write_text(
        "goodreads_book_id,tag_id,count\n3,0,900\n3,1,30\n3,2,10\n3,3,50\n1,1,5\n1,2,-1\n"
    )
    (tmp_path / "to_read.csv").write_text("user_id,book_id\n8,2\n8,3\n9,3\n9,3\n")
    return tmp_path


def test_goodbooks_authors_and_shelves_are_links(goodbooks, tmp_path):
    store = load_dataset("goodbooks", goodbooks, tmp_path / "store")
    authors = View(store).links("author").select("source_id", "target_id").collect()
    assert sorted(authors.iter_rows()) == [
        ("1", "A. One"),
        ("1", "B. Two"),
        ("2", "C. Three"),
        ("3", "A. One"),
    ]
    shelves = View(store).links("shelf").select("source_id", "target_id", "weight").collect()
    # Shares of what is left without the shelves that count readers; a broken count is no shelf.
    assert sorted(shelves.iter_rows()) == [
        ("1", "fantasy", 0.75),
        ("1", "favourites", 0.25),
        ("2", "fantasy", 1.0),
    ]


def test_goodbooks_to_read_lists_hold_no_book_the_user_rated(goodbooks, tmp_path):
    store = load_dataset("goodbooks", goodbooks, tmp_path / "store")
    rows = store.table("collections").select("collection_id", "item_id", "user_id").collect()
    assert sorted(rows.iter_rows()) == [("8: to read", 2, 8), ("9: to read", 3, 9)]
    for file in ("to_read.csv", "book_tags.csv", "tags.csv"):
        (goodbooks / file).unlink()
    bare = load_dataset("goodbooks", goodbooks, tmp_path / "bare")
    assert bare.table("collections").collect().is_empty()
    assert set(bare.table("links").collect()["relation"]) == {"author"}
