"""MovieLens: the bundled release has its published counts, and hand-made files give known rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.datasets import DATASETS, DatasetError, bundled, dataset, load_dataset
from bowerbird.tables.errors import ConfigError, StoreError, TableError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View, leave_last_out

MINUTE = 60


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Store:
    return load_dataset("movielens", bundled("movielens"), tmp_path_factory.mktemp("ml") / "store")


@pytest.fixture
def folder(tmp_path):
    """Two users. User 1: two sessions; movie 30 is tagged in the session of its rating, 10 long after."""
    (tmp_path / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n"
        f"1,10,5.0,{1000 * MINUTE}\n1,20,4.5,{1010 * MINUTE}\n1,30,3.0,{1041 * MINUTE}\n1,40,2.0,{1071 * MINUTE}\n"
        f"2,10,0.5,{7 * MINUTE}\n2,20,2.5,{7 * MINUTE}\n"
    )
    (tmp_path / "tags.csv").write_text(
        "userId,movieId,tag,timestamp\n"
        f"1,30,slow,{1050 * MINUTE}\n1,30,long,{1050 * MINUTE}\n1,10,classic,{5000 * MINUTE}\n"
        f"3,20,fun,{9 * MINUTE}\n"
    )
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n10,"Jar, The (1999)",Comedy|Drama\n20,Untitled,(no genres listed)\n'
        "30,Thirty (2001) ,War\n40,Forty (1940),War\n"
    )
    return tmp_path


def rows(store: Store) -> list[tuple]:
    view = View(store)
    events = view.events.all()
    names = view.actions.decode(range(len(view.actions)))
    return [
        (user, item, int(time) // 60000, [n for b, n in enumerate(names) if mask >> b & 1])
        for user, item, time, mask in zip(
            view.user_ids.decode(events.user), view.item_ids.decode(events.item), events.time, events.actions,
            strict=True,
        )
    ]  # fmt: skip


def test_ratings_and_tags_become_outcomes(folder, tmp_path):
    store = load_dataset("movielens", folder, tmp_path / "store")
    assert sorted(r for r in rows(store) if r[0] == 1) == [
        (1, 10, 1000, ["rate", "like", "love"]),
        (1, 10, 5000, ["tag"]),
        (1, 20, 1010, ["rate", "like"]),
        (1, 30, 1041, ["rate", "tag"]),
        (1, 40, 1071, ["dislike"]),
    ]
    assert sorted(r for r in rows(store) if r[0] == 2) == [(2, 10, 7, ["dislike"]), (2, 20, 7, ["rate"])]
    assert [r for r in rows(store) if r[0] == 3] == [(3, 20, 9, ["tag"])]
    assert len(View(store).positives) == 6


def test_sessions_are_slates(folder, tmp_path):
    store = load_dataset("movielens", folder, tmp_path / "store")
    user = int(store.users.encode([1])[0])
    items = [store.items.decode(s.items) for s in View(store).slates() if s.user == user]
    assert items == [
        [10, 20],
        [30, 40],
        [10],
    ]  # pauses of 10 and 30 minutes stay, 31 minutes and days begin anew
    assert "30 minutes" in store.manifest.slate_rule and "hash" in store.manifest.slate_rule


def test_items_have_title_genres_and_year(folder, tmp_path):
    table = load_dataset("movielens", folder, tmp_path / "store").item_table
    assert table.frame.rows() == [
        (10, "Jar, The", ["Comedy", "Drama"], 1999.0),
        (20, "Untitled", [], None),
        (30, "Thirty", ["War"], 2001.0),
        (40, "Forty", ["War"], 1940.0),
    ]
    assert table.roles == {"title": "text", "genres": "categories", "year": "number"}
    assert table.title(0) == "Jar, The"


def test_file_order_does_not_matter(folder, tmp_path):
    first = load_dataset("movielens", folder, tmp_path / "a")
    lines = (folder / "ratings.csv").read_text().splitlines()
    (folder / "ratings.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    again = load_dataset("movielens", folder, tmp_path / "b")
    assert first.manifest.content_hash == again.manifest.content_hash
    assert rows(first) == rows(again)


def test_ties_are_not_in_item_order(small):
    """Bulk-entered ratings share a second; listing them by movie id would be a pattern to learn."""
    events = View(small).events.all()
    tied = (np.diff(events.time) == 0) & (np.diff(events.user) == 0)
    rising = np.diff(events.item)[tied] > 0
    assert tied.sum() > 10_000
    assert abs(rising.mean() - 0.5) < 0.02


def test_tags_are_optional(folder, tmp_path):
    (folder / "tags.csv").unlink()
    assert len(load_dataset("movielens", folder, tmp_path / "store").events) == 6


def test_the_bundled_release_has_its_published_counts(small):
    view = View(small)
    assert small.manifest.counts["users"] == 610 and small.manifest.counts["items"] == 9742
    rated = sum(view.item_counts(action=code).sum() for code in (0, 4))
    assert rated == 100_836  # every rating is either at least 2.5 stars or a dislike
    stars = pl.read_parquet(bundled("movielens") / "ratings.parquet")["rating"]
    for name, wanted in {"like": stars >= 4, "love": stars == 5, "dislike": stars <= 2}.items():
        assert view.item_counts(action=int(view.actions.encode([name])[0])).sum() == wanted.sum()
    assert small.manifest.dataset == "MovieLens latest-small"


def test_popularity_on_the_bundled_release_scores_its_known_bar(small):
    """Popularity, leave-last-out over all rows, hit rate at 10: .0426, as measured apart from this code."""
    split = leave_last_out(small)
    users = split.valid.users
    counts = split.valid.item_counts(positives_only=False).astype(np.float64)
    held = split.test.held_out(split.valid)
    first = np.unique(held.user, return_index=True)[1]
    target = dict(zip(held.user[first].tolist(), held.item[first].tolist(), strict=True))
    hits = 0
    for user in users:
        score = counts.copy()
        history = split.valid.histories(np.array([user]), 3000, positives_only=False)
        score[history.item[0, : history.lengths[0]]] = -1
        hits += target[int(user)] in np.argsort(-score, kind="stable")[:10]
    assert hits in (25, 26)  # two films near place ten have equal counts


def test_the_bundled_data_carry_their_terms():
    licence = (bundled("movielens") / "LICENSE.txt").read_text()
    assert "commercial" in licence and "GroupLens" in licence
    assert "Usage License" in (bundled("movielens") / "README.txt").read_text()
    with pytest.raises(ConfigError, match=r"not bundled.*Kaggle"):
        bundled("globo")


def test_missing_files_and_columns_are_named_with_the_way_to_get_them(tmp_path):
    with pytest.raises(DatasetError, match=r"no folder .*nowhere.*grouplens"):
        load_dataset("movielens", tmp_path / "nowhere", tmp_path / "store")
    with pytest.raises(DatasetError, match=r"movies\.parquet or movies\.csv.*grouplens"):
        load_dataset("movielens", tmp_path, tmp_path / "store")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,A (2000),War\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,stars,timestamp\n1,1,5,100\n")
    with pytest.raises(TableError, match=r"ratings\.csv.*'rating'"):
        load_dataset("movielens", tmp_path, tmp_path / "store")
    assert not (tmp_path / "store" / "manifest.json").exists()


def test_a_store_is_only_replaced_when_asked(folder, tmp_path):
    load_dataset("movielens", folder, tmp_path / "store")
    with pytest.raises(StoreError, match="already"):
        load_dataset("movielens", folder, tmp_path / "store")
    assert len(load_dataset("movielens", folder, tmp_path / "store", overwrite=True).events) == 8


def test_every_adapter_states_its_rules():
    for name, adapter in DATASETS.items():
        assert adapter.name == name and dataset(name) is adapter
        for text in (
            adapter.licence,
            adapter.how_to_get,
            adapter.citation,
            adapter.slate_rule,
            adapter.tie_rule,
        ):
            assert len(text) > 10
        assert set(adapter.negative_actions) <= set(adapter.actions)
    with pytest.raises(ConfigError, match="movielens"):
        dataset("movielense")
