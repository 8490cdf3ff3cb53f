"""Amazon, Beibei and goodbooks: logs without times get stated, fixed orders and no trap is stepped into."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.datasets import DatasetError, load_dataset
from bowerbird.tables.datasets.base import DAY_MS, PSEUDO_EPOCH_MS
from bowerbird.tables.errors import TableError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View, leave_last_out


def sequences(store: Store) -> dict[int, list[int]]:
    """Raw items of each raw user in order; also checks the made-up clock."""
    found: dict[int, list[int]] = {}
    events = View(store).events.all()
    pairs = zip(store.users.decode(events.user), store.items.decode(events.item), events.time, strict=True)
    for user, item, time in pairs:
        mine = found.setdefault(user, [])
        assert time == PSEUDO_EPOCH_MS + len(mine) * DAY_MS
        mine.append(item)
    return found


def masks(store: Store) -> dict[tuple[int, int], set[str]]:
    events = View(store).events.all()
    names = store.manifest.actions
    pairs = zip(store.users.decode(events.user), store.items.decode(events.item), events.actions, strict=True)
    return {(u, i): {n for b, n in enumerate(names) if m >> b & 1} for u, i, m in pairs}


WANTED = {1: [7, 3, 9, 1, 5], 2: [3, 7]}


@pytest.fixture
def beauty_parquet(tmp_path):
    folder = tmp_path / "s3rec_beauty"
    folder.mkdir()
    rows = [(u, i, p) for u, items in WANTED.items() for p, i in enumerate(items)]
    pl.DataFrame(rows[::-1], schema=["user", "item", "pos"], orient="row").write_parquet(
        folder / "sequences.parquet"
    )
    pl.DataFrame({"item": [1, 3, 5, 7, 9], "attributes": [[1], [2, 3], [], [1, 2], [3]]}).write_parquet(
        folder / "item_attributes.parquet"
    )
    return folder


@pytest.fixture
def beauty_text(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "Beauty.txt").write_text("1 7 3 9 1 5\n2 3 7\n")
    attributes = {"1": [1], "3": [2, 3], "5": [], "7": [1, 2], "9": [3]}
    (folder / "Beauty_item2attributes.json").write_text(json.dumps(attributes))
    return folder


def test_amazon_in_both_layouts_is_one_store(beauty_parquet, beauty_text, tmp_path):
    stores = [load_dataset("amazon", f, tmp_path / f"store-{f.name}") for f in (beauty_parquet, beauty_text)]
    for store in stores:
        assert sequences(store) == WANTED
        assert store.item_table.roles == {"attributes": "categories"}
        assert store.item_table.frame["attributes"][1].to_list() == ["attribute 2", "attribute 3"]
        assert store.manifest.dataset == "Amazon Beauty"
        assert len(View(store).slates()) == 0 and "Time is made up" in store.manifest.slate_rule
    assert stores[0].manifest.content_hash == stores[1].manifest.content_hash


def test_amazon_leave_last_out_is_the_published_protocol(beauty_parquet, tmp_path):
    split = leave_last_out(load_dataset("amazon", beauty_parquet, tmp_path / "store"))
    test, valid = split.test.held_out(split.valid), split.valid.held_out(split.train)
    assert split.test.item_ids.decode(test.item) == [5, 7]
    assert split.test.item_ids.decode(valid.item) == [1, 3]


def test_amazon_broken_line_is_named(beauty_text, tmp_path):
    (beauty_text / "Beauty.txt").write_text("1 7 3\n2 x 4\n")
    with pytest.raises(TableError, match=r"Beauty\.txt.*row 2.*2 x 4"):
        load_dataset("amazon", beauty_text, tmp_path / "store")
    with pytest.raises(DatasetError, match=r"\*\.txt.*S3Rec"):
        load_dataset("amazon", tmp_path, tmp_path / "store")


@pytest.fixture
def beibei(tmp_path):
    rng = np.random.default_rng(0)
    train, test, cart = [], [], []
    for user in range(40):
        items = rng.choice(60, 14, replace=False).tolist()
        train += [(user, i) for i in items[:5]]
        test.append((user, items[5]))
        cart += [(user, i) for i in items[:5] + items[6:]] + ([(user, items[5])] if user % 2 else [])
    for name, rows in {"buy_train": train, "buy_test": test, "cart": cart}.items():
        pl.DataFrame(rows, schema=["user", "item"], orient="row").write_parquet(tmp_path / f"{name}.parquet")
    return tmp_path, set(train), dict(test), set(cart)


def test_beibei_pairs_carry_their_outcomes_once(beibei, tmp_path):
    folder, train, test, cart = beibei
    store = load_dataset("beibei", folder, tmp_path / "store")
    found = masks(store)
    bought = train | set(test.items())
    assert set(found) == bought | cart and len(store.events) == len(found)
    for pair, names in found.items():
        assert ("buy" in names) == (pair in bought) and ("cart" in names) == (pair in cart)


def test_beibei_tests_on_the_published_pair_and_never_shows_its_cart_before(beibei, tmp_path):
    folder, train, test, _ = beibei
    store = load_dataset("beibei", folder, tmp_path / "store")
    split = leave_last_out(store)
    last = split.test.held_out(split.valid)
    assert dict(zip(store.users.decode(last.user), store.items.decode(last.item), strict=True)) == test
    before = split.valid.held_out(split.train)
    assert set(zip(store.users.decode(before.user), store.items.decode(before.item), strict=True)) <= train
    seen = split.valid.events.all()
    shown = set(zip(store.users.decode(seen.user), store.items.decode(seen.item), strict=True))
    assert not shown & set(test.items())


def test_beibei_order_is_fixed_and_not_by_item(beibei, tmp_path):
    folder, *_ = beibei
    first = sequences(load_dataset("beibei", folder, tmp_path / "a"))
    shuffled = pl.read_parquet(folder / "cart.parquet").sample(fraction=1, shuffle=True, seed=3)
    shuffled.write_parquet(folder / "cart.parquet")
    assert sequences(load_dataset("beibei", folder, tmp_path / "b")) == first
    rising = [b > a for items in first.values() for a, b in pairwise(items[:-1])]
    assert 0.4 < np.mean(rising) < 0.6
    (folder / "cart.parquet").unlink()
    with pytest.raises(DatasetError, match=r"cart\.parquet"):
        load_dataset("beibei", folder, tmp_path / "c")


@pytest.fixture
def goodbooks(tmp_path):
    """The id spaces overlap on purpose: joining on books.book_id would match, wrongly."""
    pl.DataFrame(
        {
            "id": [1, 2, 3],
            "book_id": [3, 1, 77],
            "authors": ["A. One, B. Two", "C. Three", "D. Four"],
            "original_publication_year": [1990.0, -500.0, None],
            "title": ["First", "Second", "Third"],
            "language_code": ["eng", None, "fre"],
            "ratings_count": [9, 9, 9],
        }
    ).write_parquet(tmp_path / "books.parquet")
    pl.DataFrame(
        {"book_id": [1, 2, 3, 1], "user_id": [8, 8, 8, 8], "rating": [5, 1, 3, 2], "row": [0, 1, 2, 3]}
    ).write_parquet(tmp_path / "ratings.parquet")
    return tmp_path


def test_goodbooks_avoids_the_key_trap_and_keeps_the_first_of_repeated_pairs(goodbooks, tmp_path):
    store = load_dataset("goodbooks", goodbooks, tmp_path / "store")
    assert masks(store) == {(8, 1): {"rate", "like", "love"}, (8, 2): {"dislike"}, (8, 3): {"rate"}}
    assert store.n_items == 3 and store.item_table.title(0) == "First"
    assert store.item_table.frame["authors"][0].to_list() == ["A. One", "B. Two"]
    assert "ratings_count" not in store.item_table.frame.columns  # counted over test ratings too


def test_goodbooks_version_two_is_in_file_order_with_its_own_key(goodbooks, tmp_path):
    books = pl.read_parquet(goodbooks / "books.parquet").rename(
        {"book_id": "goodreads_book_id", "id": "book_id"}
    )
    books.write_csv(goodbooks / "books.csv")
    (goodbooks / "books.parquet").unlink()
    (goodbooks / "ratings.parquet").unlink()
    (goodbooks / "ratings.csv").write_text("user_id,book_id,rating\n8,3,4\n9,1,5\n8,1,5\n8,2,3\n")
    store = load_dataset("goodbooks", goodbooks, tmp_path / "store")
    assert sequences(store) == {8: [3, 1, 2], 9: [1]}
    assert store.item_table.title(int(store.items.encode([3])[0])) == "Third"
