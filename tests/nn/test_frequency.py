"""Counting draws: exactly, and by a sketch that never counts too few."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.nn import CountMinSketch, ExactCounter, LogitScale, frequency_counter

streams = st.lists(st.lists(st.integers(0, 500), max_size=60), min_size=1, max_size=4)


def fed(counter: ExactCounter | CountMinSketch, stream: list[list[int]]) -> ExactCounter | CountMinSketch:
    for batch in stream:
        counter.update(torch.tensor(batch, dtype=torch.long))
    return counter


@given(streams, st.integers(1, 7), st.integers(1, 3))
def test_a_sketch_never_underestimates(stream: list[list[int]], log2_width: int, depth: int) -> None:
    ids = torch.arange(501)
    exact, sketch = fed(ExactCounter(501), stream), fed(CountMinSketch(depth, log2_width), stream)
    assert (sketch.count(ids) >= exact.count(ids)).all()
    assert int(sketch.total) == int(exact.total) == sum(len(batch) for batch in stream)


@given(streams)
def test_a_wide_sketch_is_exact(stream: list[list[int]]) -> None:
    ids = torch.arange(501)
    exact, sketch = fed(ExactCounter(501), stream), fed(CountMinSketch(3, 20), stream)
    assert torch.equal(sketch.count(ids), exact.count(ids))
    torch.testing.assert_close(sketch.log_probability(ids), exact.log_probability(ids), atol=0, rtol=0)


def test_more_rows_of_counters_mean_smaller_errors() -> None:
    ids = torch.arange(501)
    stream = [torch.randint(501, (4000,), generator=torch.Generator().manual_seed(0)).tolist()]
    exact = fed(ExactCounter(501), stream).count(ids)
    excess = [
        (fed(CountMinSketch(depth, 8), stream).count(ids) - exact).float().mean() for depth in (1, 2, 4)
    ]
    assert excess[0] > excess[1] > excess[2]


@pytest.mark.parametrize("kind", ["exact", "sketch"])
@given(st.lists(st.integers(0, 500), max_size=60), st.lists(st.integers(0, 500), max_size=60))
def test_merging_equals_counting_both_streams(kind: str, one: list[int], other: list[int]) -> None:
    def make() -> ExactCounter | CountMinSketch:
        return ExactCounter(501) if kind == "exact" else CountMinSketch(2, 5)

    ids, merged = torch.arange(501), fed(make(), [one])
    merged.merge(fed(make(), [other]))  # type: ignore[arg-type]
    together = fed(make(), [one, other])
    assert torch.equal(merged.count(ids), together.count(ids))
    assert int(merged.total) == len(one) + len(other)
    resumed = make()
    resumed.load_state({name: tensor.clone() for name, tensor in merged.state().items()})
    resumed.update(torch.tensor([3, 3]))
    merged.update(torch.tensor([3, 3]))
    assert torch.equal(resumed.count(ids), merged.count(ids))


@pytest.mark.parametrize("counter", [ExactCounter(4), CountMinSketch(2, 16)])
def test_log_probability_is_the_share_of_draws(counter: ExactCounter | CountMinSketch) -> None:
    counter.update(torch.tensor([[0, 1], [1, 1]]))
    got = counter.log_probability(torch.tensor([0, 1, 2]))
    assert got.dtype == torch.float32
    expected = [math.log(1 / 4), math.log(3 / 4), math.log(0.5 / 4)]
    torch.testing.assert_close(got, torch.tensor(expected), atol=1e-6, rtol=0)


def test_ids_can_come_with_their_counts() -> None:
    for one, other in ((ExactCounter(9), ExactCounter(9)), (CountMinSketch(2, 12), CountMinSketch(2, 12))):
        one.update(torch.tensor([2, 7]), torch.tensor([5, 1]))
        other.update(torch.tensor([2, 2, 2, 7, 2, 2]))
        assert torch.equal(one.count(torch.arange(9)), other.count(torch.arange(9)))
        assert int(one.total) == 6


def test_counters_that_do_not_match_cannot_be_added() -> None:
    with pytest.raises(ValueError):
        CountMinSketch(seed=1, log2_width=4).merge(CountMinSketch(seed=2, log2_width=4))
    with pytest.raises(ValueError):
        CountMinSketch(seed=1, log2_width=4).load_state(CountMinSketch(seed=1, log2_width=5).state())
    with pytest.raises(ValueError):
        ExactCounter(3).merge(ExactCounter(4))
    with pytest.raises(ValueError):
        ExactCounter(3).load_state(ExactCounter(4).state())


def test_the_kind_of_counter_follows_the_number_of_ids() -> None:
    assert isinstance(frequency_counter(1_000), ExactCounter)
    large = frequency_counter(10_000_000)
    assert isinstance(large, CountMinSketch) and large.width >= 10_000_000


def test_the_scale_starts_where_asked_stops_at_100_and_comes_back() -> None:
    scale = LogitScale(99.9)
    assert math.isclose(scale().item(), 99.9, rel_tol=1e-6)
    optimizer = torch.optim.SGD(scale.parameters(), lr=1.0)
    for _ in range(3):  # pushed up far beyond the limit
        optimizer.zero_grad()
        (-scale()).backward()
        optimizer.step()
    assert math.isclose(scale().item(), 100.0, rel_tol=1e-6)
    optimizer.zero_grad()
    (scale() * 0.01).backward()
    optimizer.step()
    assert scale().item() < 60.0, "a scale at its limit still learns"
    assert not LogitScale(12.0, learned=False).log_scale.requires_grad
