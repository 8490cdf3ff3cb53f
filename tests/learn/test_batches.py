"""Batch sources and the prefetch thread: order, sharing, resuming, errors, no thread left behind."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.learn.batches.prefetch import Prefetch
from bowerbird.learn.batches.source import ShuffledRows
from bowerbird.tables.errors import ConfigError


def keep(rows: np.ndarray, rng: np.random.Generator) -> tuple[list[int], float]:
    return rows.tolist(), float(rng.random())


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_order_is_the_sources(depth: int) -> None:
    with Prefetch(iter(range(100)), depth) as ready:
        assert list(ready) == list(range(100))
        with pytest.raises(StopIteration):
            next(ready)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_error_arrives_after_the_items_before_it(depth: int) -> None:
    def items():
        yield 1
        yield 2
        raise ValueError("row 7 is broken")

    with Prefetch(items(), depth) as ready:
        assert (next(ready), next(ready)) == (1, 2)
        with pytest.raises(ValueError, match="row 7 is broken"):
            next(ready)


def test_batches_are_built_ahead_but_not_further_than_asked() -> None:
    built = []
    enough = threading.Event()

    def items():
        for i in range(100):
            built.append(i)
            if len(built) == 4:
                enough.set()
            yield i

    with Prefetch(items(), 3) as ready:
        assert enough.wait(timeout=20)  # three wait in the queue, the fourth is in the thread's hand
        assert next(ready) == 0
    assert len(built) <= 6


def test_leaving_early_ends_the_thread_and_closes_the_source() -> None:
    closed = []

    def items():
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    before = threading.active_count()
    with Prefetch(items(), 2) as ready:
        next(ready)
    assert threading.active_count() == before
    assert closed == [True]


def test_every_row_once_in_a_new_order_each_epoch() -> None:
    source = ShuffledRows(23, 5, keep, seed=1)
    epochs = [[row for rows, _ in source.epoch(e) for row in rows] for e in (0, 1)]
    assert [sorted(e) for e in epochs] == [list(range(23))] * 2
    assert epochs[0] != epochs[1]
    assert list(source.epoch(0)) == list(ShuffledRows(23, 5, keep, seed=1).epoch(0))
    assert list(source.epoch(0)) != list(ShuffledRows(23, 5, keep, seed=2).epoch(0))
    assert len(source) == 5
    assert len(ShuffledRows(23, 5, keep, seed=1, drop_last=True)) == 4


@given(n=st.integers(1, 60), batch=st.integers(1, 20), world=st.integers(1, 4), start=st.integers(0, 5))
def test_shares_of_all_processes_are_the_whole_batch_in_order(
    n: int, batch: int, world: int, start: int
) -> None:
    source = ShuffledRows(n, batch, lambda rows, rng: rows.tolist(), seed=0)
    whole = [rows for rows in source.epoch(2) if len(rows) >= world]
    shares = [list(source.epoch(2, start=start, rank=r, world=world)) for r in range(world)]
    assert {len(s) for s in shares} == {max(0, len(whole) - start)}
    for expected, *parts in zip(whole[start:], *shares, strict=True):
        assert [row for part in parts for row in part] == expected
        assert all(parts)


def test_nothing_to_train_on() -> None:
    with pytest.raises(ConfigError, match="0 training rows"):
        ShuffledRows(0, 4, keep, seed=0)
    with pytest.raises(ConfigError, match="do not fill one batch"):
        ShuffledRows(3, 4, keep, seed=0, drop_last=True)
    with pytest.raises(ConfigError, match="batch size"):
        ShuffledRows(3, 0, keep, seed=0)
