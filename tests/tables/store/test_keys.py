"""Stable keys: the same today and in any later version."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.store.keys import mix, stable_keys


def test_keys_are_frozen():
    # These numbers are on people's disks: a change here makes every store lose track of its slates.
    assert stable_keys(pl.Series([0, 1, -1])).tolist() == [
        16294208416658607535,
        10451216379200822465,
        16490336266968443936,
    ]
    text = pl.Series(["", "a", "grüße", "x" * 8, "y" * 9, "z" * 65])
    assert stable_keys(text).tolist() == [
        13441156890354882375,
        14616817824546908118,
        13683773298168129084,
        14183590304718737296,
        8374561667118518145,
        18415010655565571136,
    ]


def test_mix_is_splitmix64():
    # The first output of the published generator for state 0.
    assert int(mix(np.array([0], dtype=np.uint64))[0]) == 0xE220A8397B1DCDAF


@settings(max_examples=40)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=30))
def test_a_key_depends_on_its_text_alone(texts):
    together = stable_keys(pl.Series(texts, dtype=pl.String))
    alone = [int(stable_keys(pl.Series([text], dtype=pl.String))[0]) for text in texts]
    assert together.tolist() == alone
    assert len(set(alone)) == len(set(texts))
    assert 0 not in alone


def test_null_has_key_zero_and_integers_differ_from_their_text():
    assert stable_keys(pl.Series(["a", None]))[1] == 0
    assert stable_keys(pl.Series([7]))[0] != stable_keys(pl.Series(["7"]))[0]
