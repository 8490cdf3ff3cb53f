"""Hashed n-grams and hashed ids: the same everywhere, and collisions only where they belong."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.nn import HashEmbedding, encode_text

BUCKETS = 1 << 20


def bag(text: str | None, **settings: object) -> list[int]:
    ids, offsets = encode_text([text], BUCKETS, **settings)  # type: ignore[arg-type]
    assert offsets.tolist() == [0, len(ids)]
    return ids.tolist()


def code(gram: str) -> int:
    return zlib.crc32(gram.encode()) % BUCKETS


def test_words_pairs_and_pieces_of_a_title() -> None:
    grams = [
        "<red>",
        "<tea>",
        "<red tea>",
        "<re",
        "red",
        "ed>",
        "<red",
        "red>",
        "<te",
        "tea",
        "ea>",
        "<tea",
        "tea>",
    ]
    assert bag("Red tea!") == [code(gram) for gram in grams]


def test_codes_never_change() -> None:
    assert bag("tea", characters=(9, 9)) == [zlib.crc32(b"<tea>") % BUCKETS] == [383959]


def test_case_accents_and_width_are_folded() -> None:
    assert bag("CRÈME Brûlée") == bag("creme brulee")
    assert bag("ＡＢＣ") == bag("abc")


def test_a_word_differs_from_the_same_letters_inside_another() -> None:
    assert code("<art>") in bag("art")
    assert code("<art>") not in bag("party")


def test_texts_without_words_are_empty_bags() -> None:
    ids, offsets = encode_text([None, "", "?!", "tea", "_"], BUCKETS)
    assert np.diff(offsets).tolist() == [0, 0, 0, len(bag("tea")), 0]
    assert ids.dtype == np.int32 and offsets.dtype == np.int64


def test_a_repeated_word_counts_once() -> None:
    assert bag("tea tea", characters=(9, 9)) == [code("<tea>"), code("<tea tea>")]


def test_long_texts_keep_their_words() -> None:
    words = [f"w{i}" for i in range(40)]
    assert bag(" ".join(words), most=40) == [code(f"<{word}>") for word in words]


def test_broken_unicode_is_text_like_any_other() -> None:
    assert len(bag("caf\ud800e tea")) > 2


@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=6), st.integers(1, 50))
def test_a_bag_does_not_depend_on_its_neighbours(texts: list[str | None], buckets: int) -> None:
    ids, offsets = encode_text(texts, buckets)
    assert ((ids >= 0) & (ids < buckets)).all()
    for row, text in enumerate(texts):
        alone, _ = encode_text([text], buckets)
        assert alone.tolist() == ids[offsets[row] : offsets[row + 1]].tolist()


def test_no_buckets_is_an_error() -> None:
    with pytest.raises(ValueError, match="bucket"):
        encode_text(["tea"], 0)


def test_an_id_is_the_concatenation_of_its_rows() -> None:
    made = HashEmbedding(dim=12, rows=101, hashes=3)
    ids = torch.tensor([[0, 5], [7, 2**31 + 11]])
    slots = made.slots(ids)
    assert slots.shape == (2, 2, 3)
    assert (slots // 101 == torch.arange(3)).all(), "each hash function has its own table"
    rows = [made.table.weight[slot] for slot in slots[1, 0].tolist()]
    assert torch.equal(made(ids)[1, 0], torch.cat(rows))


@given(st.integers(0, 2**62))
def test_hashing_is_exact_for_every_id(number: int) -> None:
    made = HashEmbedding(dim=4, rows=1009, hashes=2)
    expected = [
        (number % (2**31 - 1) * a + b) % (2**31 - 1) % 1009 + 1009 * k
        for k, (a, b) in enumerate(zip(made.multipliers.tolist(), made.offsets.tolist(), strict=True))
    ]
    assert made.slots(torch.tensor(number)).tolist() == expected


def test_ids_collide_in_one_table_but_hardly_ever_in_all() -> None:
    slots = HashEmbedding(dim=8, rows=997, hashes=4).slots(torch.arange(4000))
    assert len(slots[:, 0].unique()) < 1000
    assert len(slots.unique(dim=0)) == 4000


def test_hash_functions_are_saved_with_the_weights() -> None:
    one, other = HashEmbedding(8, 50, 2, seed=1), HashEmbedding(8, 50, 2, seed=2)
    ids = torch.arange(30)
    assert not torch.equal(one(ids), other(ids))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(ids), other(ids))


@pytest.mark.parametrize("wrong", [{"dim": 9}, {"rows": 0}, {"hashes": 0}])
def test_impossible_tables_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        HashEmbedding(**({"dim": 8, "rows": 10, "hashes": 2} | wrong))
