"""Raw ids to dense ids and back."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import TableError
from bowerbird.tables.store import Vocabulary
from bowerbird.tables.store.writing.growing import GrowingVocabulary

integers = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=40)
@given(
    st.one_of(
        st.lists(st.lists(st.one_of(st.integers(0, 50), integers), max_size=20), max_size=4),
        st.lists(st.lists(st.text(max_size=5), max_size=20), max_size=4),
    )
)
def test_growing_gives_ids_in_order_of_first_appearance(batches):
    values = [value for batch in batches for value in batch]
    kind = "string" if any(isinstance(value, str) for value in values) else "integer"
    dtype = pl.String if kind == "string" else pl.Int64
    growing = GrowingVocabulary("users", kind)
    codes = np.concatenate([np.empty(0, int), *[growing.encode(pl.Series(b, dtype=dtype)) for b in batches]])
    order = list(dict.fromkeys(values))
    assert codes.tolist() == [order.index(value) for value in values]
    frozen = growing.freeze()
    assert list(frozen) == order
    assert frozen.decode(codes.astype(np.int32)) == values
    assert frozen.encode(values).tolist() == codes.tolist()


def test_known_ids_keep_their_code_when_new_ones_arrive():
    growing = GrowingVocabulary("items", "integer", Vocabulary.of([30, 10], "integer"))
    assert not growing.grown
    # 2**40 is far outside the array of small ids.
    assert growing.encode(pl.Series([10, 2**40, 30, 5, None, 2**40])).tolist() == [1, 2, 0, 3, -1, 2]
    assert growing.grown
    assert list(growing.freeze()) == [30, 10, 2**40, 5]


def test_a_vocabulary_has_one_type():
    with pytest.raises(TableError, match="integer ids; new rows bring string ids"):
        GrowingVocabulary("items", "string", Vocabulary.of([1], "integer"))


def test_save_and_open_round_trip(tmp_path):
    for values, kind in ((["b", "a", "ü", ""], "string"), ([5, -1, 2**62], "integer"), ([], "string")):
        Vocabulary.of(values, kind).save(tmp_path / "v.parquet")
        found = Vocabulary.open(tmp_path / "v.parquet")
        assert list(found) == values
        assert found.kind == kind


def test_unknown_ids_and_ids_of_the_other_type():
    numbers, words = Vocabulary.of([7, 8], "integer"), Vocabulary.of(["7", "x"])
    assert numbers.encode(["8", 7, "x", None, 9]).tolist() == [1, 0, -1, -1, -1]
    assert words.encode([7, "x", "y", None]).tolist() == [0, 1, -1, -1]
    assert numbers.decode([1, -1, 0]) == [8, None, 7]
    assert "7" in numbers
    assert 9 not in numbers
    with pytest.raises(IndexError, match="dense id 2"):
        numbers.decode([2])


def test_long_requests_agree_with_short_ones():
    vocabulary = Vocabulary.of([f"user{n}" for n in range(6000)])
    values = [f"user{n}" for n in range(5990, 6010)]
    expected = [*range(5990, 6000), *[-1] * 10]
    assert vocabulary.encode(values).tolist() == expected
    assert vocabulary.encode(values * 300).tolist() == expected * 300
    assert vocabulary.encode(np.array(values)).tolist() == expected
