"""Last.fm from hand-made files: tags have dates, listens have none, and a held-out listen is visible nowhere."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.datasets import load_dataset
from bowerbird.tables.datasets.base import DAY_MS
from bowerbird.tables.datasets.graphs.lastfm import LISTENED_MS
from bowerbird.tables.errors import TableError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View, given_split

TAGS = ["metal", 'goth "rock"', "new wave"]
N_USERS, N_ARTISTS = 30, 40


def moment(year: int, month: int, day: int = 1) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everyone listened to ten artists and tagged five of them, and two more, over three years."""
    path = tmp_path_factory.mktemp("lastfm")
    rng = np.random.default_rng(0)
    listens, tagged = [], []
    for user in range(2, 2 + N_USERS):
        artists = rng.choice(N_ARTISTS, 12, replace=False).tolist()
        listens += [(user, a, 10 ** (k % 4)) for k, a in enumerate(artists[:10])]
        for k, artist in enumerate(artists[:5] + artists[10:]):
            tagged += [(user, artist, 1 + (k + extra) % 3, 1, 3 + k, 2008 + k % 3) for extra in range(2)]
    tagged += [(2, 0, 1, 1, 6, 1956), tagged[0]]
    frames = {
        "user_artists": (["userID", "artistID", "weight"], listens),
        "user_taggedartists": (["userID", "artistID", "tagID", "day", "month", "year"], tagged),
        "user_friends": (["userID", "friendID"], [(2, 3), (3, 2)]),
        "artists": (["id", "name"], [(a, f"artist {a}") for a in range(N_ARTISTS - 3)]),
        "tags": (["tagID", "tagValue"], list(enumerate(TAGS, 1))),
    }
    for name, (columns, rows) in frames.items():
        pl.DataFrame(rows, schema=columns, orient="row").write_parquet(path / f"{name}.parquet")
    return path


@pytest.fixture(scope="module")
def timed(folder, tmp_path_factory) -> Store:
    return load_dataset("lastfm-timed", folder, tmp_path_factory.mktemp("timed") / "store")


@pytest.fixture(scope="module")
def drawn(folder, tmp_path_factory) -> Store:
    return load_dataset("lastfm", folder, tmp_path_factory.mktemp("drawn") / "store")


def rows(view: View) -> pl.DataFrame:
    events = view.events.all()
    bit = view.actions.encode(["listen"])[0]
    return pl.DataFrame(
        {
            "user": view.user_ids.decode(events.user),
            "artist": view.item_ids.decode(events.item),
            "time": events.time,
            "listen": (events.actions >> np.uint32(bit) & 1).astype(bool),
            "query": view.queries.decode(events.query),
            "weight": events.weight,
            "request": events.request,
        }
    )


def test_tags_keep_their_dates_and_listens_come_after_them_all(timed, folder):
    found = rows(View(timed))
    published = pl.read_parquet(folder / "user_taggedartists.parquet").filter(pl.col("year") > 2000).unique()
    tags = found.filter(~pl.col("listen"))
    wanted = {(u, a, TAGS[t - 1], moment(y, m, d)) for u, a, t, d, m, y in published.iter_rows()}
    assert set(tags.select("user", "artist", "query", "time").iter_rows()) == wanted and len(tags) == len(
        wanted
    )
    listens = found.filter("listen")
    assert listens["time"].min() == LISTENED_MS > tags["time"].max()
    assert listens["query"].null_count() == len(listens) == 10 * N_USERS


def test_a_listen_weighs_by_the_magnitude_of_its_count(timed, folder):
    counts = {(u, a): w for u, a, w in pl.read_parquet(folder / "user_artists.parquet").iter_rows()}
    for user, artist, weight in (
        rows(View(timed)).filter("listen").select("user", "artist", "weight").iter_rows()
    ):
        assert weight == pytest.approx(1 + np.log10(counts[user, artist]))


def test_a_slate_is_one_tag_of_one_user_in_one_month(timed):
    found = rows(View(timed)).filter(~pl.col("listen"))
    assert found.filter(pl.col("request") < 0).is_empty()
    per_slate = found.group_by("request").agg(pl.col("user", "query", "time").n_unique())
    assert per_slate.drop("request").max().row(0) == (1, 1, 1)
    assert len(per_slate) == found.select("user", "query", "time").n_unique() == len(View(timed).slates())


def test_what_a_user_named_with_one_tag_is_a_titled_list(timed):
    lists = timed.table("collections").collect()
    tags = rows(View(timed)).filter(~pl.col("listen"))
    keys = ["user_id", "item_id", "title", "timestamp"]
    assert set(lists.select(keys).iter_rows()) == set(
        tags.select("user", "artist", "query", "time").iter_rows()
    )
    assert lists["collection_id"].n_unique() == lists.select("user_id", "title").n_unique()


def test_friends_are_links_and_artists_items_with_names(timed):
    links = timed.table("links").collect()
    assert set(links.select("source_type", "source_id", "target_type", "target_id").iter_rows()) == {
        ("user", "2", "user", "3"),
        ("user", "3", "user", "2"),
    }
    table = timed.item_table
    assert table.title_column == "name" and table.frame["name"].drop_nulls().len() == N_ARTISTS - 3
    assert timed.n_items > N_ARTISTS - 3  # some tagged artists have no name


def test_the_split_in_time_is_over_the_tags(timed):
    split = given_split(timed)
    held = split.test.held_out(split.valid)
    assert len(held) and (held.time >= moment(2010, 7)).all() and (held.time < LISTENED_MS).all()
    assert not rows(split.test)["listen"].any()


def test_the_drawn_split_tests_listens_and_hides_their_tags(drawn, folder):
    split = given_split(drawn)
    total = 10 * N_USERS
    sizes = [rows(view)["listen"].sum() for view in (split.train, split.valid, split.test)]
    assert sizes == [total * 7 // 10, total * 8 // 10, total]
    assert "20% of the listens test" in split.description
    targets = rows(split.test).join(
        rows(split.valid), on=["user", "artist", "query"], how="anti", nulls_equal=True
    )
    assert targets["listen"].all() and len(targets) == total // 5
    hidden = set(targets.select("user", "artist").iter_rows())
    for view in (split.train, split.valid):
        assert not hidden & set(rows(view).select("user", "artist").iter_rows())
        assert not hidden & set(view.collections().select("user_id", "item_id").collect().iter_rows())


def test_no_tag_is_lost_and_only_those_of_held_out_listens_move(drawn, timed):
    columns = ["user", "artist", "query", "time"]
    real = rows(View(timed)).filter(~pl.col("listen")).select(columns)
    found = rows(View(drawn)).filter(~pl.col("listen")).select(columns)
    assert found.drop("time").sort(pl.all()).equals(real.drop("time").sort(pl.all()))
    moved = found.join(real, on=columns, how="anti")
    assert (moved["time"] == LISTENED_MS + 3 * DAY_MS).all()
    held = rows(View(drawn)).filter("listen").filter(pl.col("time") >= LISTENED_MS + DAY_MS)
    tagged = real.join(held, on=["user", "artist"], how="semi")
    assert (
        moved.select("user", "artist")
        .unique()
        .sort(pl.all())
        .equals(tagged.select("user", "artist").unique().sort(pl.all()))
    )


def test_published_dat_files_read_alike(folder, timed, tmp_path):
    for file in folder.iterdir():
        frame = pl.read_parquet(file)
        lines = ["\t".join(map(str, row)) for row in [frame.columns, *frame.iter_rows()]]
        (tmp_path / f"{file.stem}.dat").write_text("\n".join(lines) + "\n")
    store = load_dataset("lastfm-timed", tmp_path, tmp_path / "store")
    assert store.manifest.content_hash == timed.manifest.content_hash
    assert 'goth "rock"' in store.queries


def test_a_missing_column_is_named(folder, tmp_path):
    for file in folder.iterdir():
        pl.read_parquet(file).write_parquet(tmp_path / file.name)
    pl.DataFrame({"userID": [2], "artist": [1], "weight": [3]}).write_parquet(
        tmp_path / "user_artists.parquet"
    )
    with pytest.raises(TableError, match=r"user_artists\.parquet.*'artistID'"):
        load_dataset("lastfm", tmp_path, tmp_path / "store")
