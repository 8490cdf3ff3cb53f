"""Blended examples: a history strictly before a slate, the whole slate, the same for the same seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import BlendedExamples, SlateFilter, View

from .world import world


def keys(batches) -> list[tuple[int, int]]:
    return [(int(u), int(r)) for b in batches for u, r in zip(b.slate.user, b.slate.request, strict=True)]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 3),
    wall=st.integers(20, 260),
    gap=st.integers(0, 30),
    size=st.integers(1, 6),
    length=st.integers(0, 12),
    epoch=st.integers(0, 5),
    positives=st.booleans(),
)
def test_an_example_never_holds_its_own_outcome_or_anything_later(
    seed, wall, gap, size, length, epoch, positives
):
    view = View(world(seed), wall)
    source = BlendedExamples(
        view,
        history_length=length,
        slate_size=size,
        batch_size=7,
        gap_ms=gap,
        positives_only=positives,
        keep_empty=0.5,
        seed=seed,
    )
    for batch in source.epoch(epoch):
        assert (batch.history.lengths <= length).all() and batch.slate.item.shape[1] <= size
        times = np.where(batch.history.mask, batch.history.time, -(10**9))
        assert (times < batch.slate.time[:, None] - gap).all()
        for b in range(len(batch)):
            rows = set(batch.history.row[b, : batch.history.lengths[b]])
            assert not rows & set(batch.slate.row[b, : batch.slate.sizes[b]])
        assert (batch.slate.row[batch.slate.mask] >= 0).all()
        assert (view.take(batch.slate.row[batch.slate.mask]).time < wall).all()
        if positives:
            kept = batch.history.actions[batch.history.mask]
            assert ((kept & view.positive_mask) != 0).all()


def make(view: View, **settings_) -> BlendedExamples:
    return BlendedExamples(view, **{"history_length": 5, "slate_size": 50, "batch_size": 8, **settings_})


def test_every_acted_slate_is_there_once_and_a_share_of_the_empty_ones():
    view = View(world(0))
    every = make(view, keep_empty=1.0, filters=SlateFilter(min_history=0))
    found = keys(every.epoch(0))
    slates = view.slates()
    assert len(found) == len(set(found)) == len(slates) == len(every)
    acted = {(s.user, s.request) for s in slates if s.actions.any()}
    none = make(view, keep_empty=0.0, filters=SlateFilter(min_history=0))
    assert set(keys(none.epoch(0))) == acted
    some = make(view, keep_empty=0.3, filters=SlateFilter(min_history=0))
    kept = [len(set(keys(some.epoch(e))) - acted) for e in range(200)]
    assert np.mean(kept) == pytest.approx(0.3 * (len(found) - len(acted)), rel=0.15)
    for batch in some.epoch(1):
        empty = (batch.slate.actions == 0).all(axis=1)
        assert np.allclose(batch.weight, np.where(empty, 1 / 0.3, 1.0))


def test_same_seed_and_epoch_same_batches_and_otherwise_not():
    view = View(world(0))
    first, again = make(view, slate_size=2), make(view, slate_size=2)
    for left, right in zip(first.epoch(3), again.epoch(3), strict=True):
        assert (left.slate.row == right.slate.row).all() and (left.history.row == right.history.row).all()
    assert keys(first.epoch(3)) != keys(first.epoch(4))
    assert keys(first.epoch(3)) != keys(make(view, slate_size=2, seed=1).epoch(3))


def test_processes_share_each_batch_out_between_them():
    source = make(View(world(0)), slate_size=2)
    whole = list(source.epoch(2))
    shares = [list(source.epoch(2, rank, 2)) for rank in range(2)]
    for number, batch in enumerate(whole):
        for rank in range(2):
            if len(batch) > rank:
                part = shares[rank][number]
                assert keys([part]) == keys([batch])[rank::2]
                width = part.slate.row.shape[1]
                assert (part.slate.row == batch.slate.row[rank::2, :width]).all()


def test_rows_of_a_large_slate_are_drawn_evenly_and_kept_in_order():
    view = View(world(0))
    source = make(view, slate_size=2, keep_empty=1.0, filters=SlateFilter(min_size=4, min_history=0))
    slates = {(s.user, s.request): s.rows.tolist() for s in view.slates()}
    counts: dict[int, int] = {}
    epochs = 300
    for epoch in range(epochs):
        for batch in source.epoch(epoch):
            for b in range(len(batch)):
                rows = batch.slate.row[b, : batch.slate.sizes[b]].tolist()
                assert rows == sorted(rows) and len(rows) == 2
                assert set(rows) <= set(slates[int(batch.slate.user[b]), int(batch.slate.request[b])])
                for row in rows:
                    counts[row] = counts.get(row, 0) + 1
    for rows in slates.values():
        if len(rows) >= 4:
            for row in rows:
                assert counts[row] == pytest.approx(epochs * 2 / len(rows), abs=5 * np.sqrt(epochs / 4))


def test_filters():
    view = View(world(0))
    assert len(make(view, filters=SlateFilter(since=200, min_history=0))) == int(
        (view.slates().time >= 200).sum()
    )
    assert len(make(view, filters=SlateFilter(min_size=3, min_history=0))) == int(
        (view.slates().size >= 3).sum()
    )
    warm = make(view, history_length=100, keep_empty=1.0, filters=SlateFilter(min_history=4))
    lengths = np.concatenate([b.history.lengths for b in warm.epoch(0)])
    assert lengths.min() >= 4
    home = int(view.surfaces.encode(["home"])[0])
    only = make(view, filters=SlateFilter(surfaces=("home",)))
    assert all((b.slate.surface == home).all() for b in only.epoch(0))


def test_log_odds_offset_undoes_the_dropping():
    view = View(world(0))
    source = make(view, keep_empty=0.25, filters=SlateFilter(min_history=0))
    offset = source.log_odds_offset()
    total, kept = np.zeros(3), np.zeros(3)
    for slate in view.slates():
        share = 1.0 if slate.actions.any() else 0.25
        for code in range(3):
            without = int(((slate.actions >> code) & 1 == 0).sum())
            total[code] += without
            kept[code] += share * without
    np.testing.assert_allclose(offset, np.log(kept / total))
    # Nothing with an action is dropped, so true odds = odds after dropping x kept / total.
    assert (offset < 0).all()
    assert make(view, keep_empty=1.0).log_odds_offset() == pytest.approx(np.zeros(3))


@pytest.mark.parametrize(
    "bad",
    [
        {"history_length": -1},
        {"slate_size": 0},
        {"batch_size": 0},
        {"keep_empty": 1.5},
    ],
)
def test_senseless_settings_raise(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        make(View(world(0)), **bad)
