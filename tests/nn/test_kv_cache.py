"""Cached steps and scores equal the dense pass, and cache surgery leaves the right tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bowerbird.nn import Decoder, DecoderConfig, KVCache

WIDTH, LAYERS, HEADS = 16, 3, 2


@pytest.fixture
def model() -> Decoder:
    return build()


def build() -> Decoder:
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(width=WIDTH, layers=LAYERS, heads=HEADS, max_positions=32)).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return decoder


def inputs(lengths: list[int], new: int, candidates: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    batch = len(lengths)
    return (
        torch.randn(batch, max(lengths), WIDTH),
        torch.tensor(lengths),
        torch.randn(batch, new, WIDTH),
        torch.randn(batch, candidates, WIDTH),
    )


def dense(model: Decoder, x: Tensor, lengths: Tensor, new: Tensor) -> Tensor:
    """h of the new tokens when every row is encoded afresh with them at its end."""
    rows = []
    for row, length in enumerate(lengths.tolist()):
        whole = torch.cat([x[row, :length], new[row]])[None]
        rows.append(model(whole, torch.tensor([whole.shape[1]]))[0, length:])
    return torch.stack(rows)


def same_cache(one: KVCache, other: KVCache) -> bool:
    tensors = zip(
        (*one.keys, *one.values, one.lengths_B), (*other.keys, *other.values, other.lengths_B), strict=True
    )
    return all(torch.equal(a, b) for a, b in tensors)


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=4).filter(max), st.lists(st.integers(1, 3), max_size=4)
)
@settings(max_examples=25)
def test_any_number_of_steps_equals_one_dense_pass(lengths: list[int], steps: list[int]) -> None:
    model = build()
    x, lengths_B, new, candidates = inputs(lengths, sum(steps))
    with torch.no_grad():
        h, cache = model.prefill(x, lengths_B, room=sum(steps))
        torch.testing.assert_close(h, model(x, lengths_B), atol=1e-5, rtol=0)
        got = [model.step(part, cache) for part in new.split(steps, dim=1)] if steps else []
        if got:
            torch.testing.assert_close(
                torch.cat(got, dim=1), dense(model, x, lengths_B, new), atol=1e-5, rtol=0
            )
        assert cache.lengths_B.tolist() == [length + sum(steps) for length in lengths]
        for row, length in enumerate(lengths):
            whole = torch.cat([x[row, :length], new[row]])[None]
            if whole.shape[1]:
                expected = model(whole, torch.tensor([whole.shape[1]]), candidates[row : row + 1])[1]
                torch.testing.assert_close(
                    model.score(candidates, cache)[row], expected[0], atol=1e-5, rtol=0
                )


def test_scores_equal_the_dense_pass_and_leave_the_cache_alone(model: Decoder) -> None:
    x, lengths, _, candidates = inputs([6, 2, 4], 0)
    _, expected = model(x, lengths, candidates)
    _, cache = model.prefill(x, lengths, room=3)
    before = cache.clone()
    torch.testing.assert_close(model.score(candidates, cache), expected, atol=1e-5, rtol=0)
    assert same_cache(cache, before)
    some = model.score(candidates[:, 1:3], cache)
    torch.testing.assert_close(some, expected[:, 1:3], atol=1e-5, rtol=0)


def test_generated_tokens_can_be_forgotten(model: Decoder) -> None:
    x, lengths, new, candidates = inputs([6, 2, 4], 3)
    _, cache = model.prefill(x, lengths, room=3)
    expected = model.score(candidates, cache)
    model.step(new, cache)
    assert (model.score(candidates, cache) - expected).abs().amax() > 0.01
    cache.truncate(lengths)
    torch.testing.assert_close(model.score(candidates, cache), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(model.step(new, cache), dense(model, x, lengths, new), atol=1e-5, rtol=0)


def test_selected_rows_continue_on_their_own(model: Decoder) -> None:
    x, lengths, new, _ = inputs([6, 2, 4], 2)
    _, cache = model.prefill(x, lengths, room=2)
    before = cache.clone()
    rows = torch.tensor([2, 0, 2])
    branch = cache.select(rows)
    torch.testing.assert_close(
        model.step(new, branch), dense(model, x[rows], lengths[rows], new), atol=1e-5, rtol=0
    )
    assert same_cache(cache, before), "a branch writes into its own copy"
    torch.testing.assert_close(model.step(new, cache), dense(model, x, lengths, new), atol=1e-5, rtol=0)


def test_a_full_cache_refuses_more_and_stays_usable(model: Decoder) -> None:
    x, lengths, new, _ = inputs([5, 3], 2)
    _, cache = model.prefill(x, lengths, room=1)
    before = cache.clone()
    with pytest.raises(ValueError, match="prefill with more room"):
        model.step(new, cache)
    assert same_cache(cache, before)
    model.step(new[:, :1], cache)


def test_room_beyond_the_position_table_is_refused_at_once(model: Decoder) -> None:
    x, lengths, _, _ = inputs([5], 0)
    with pytest.raises(ValueError, match="32 positions"):
        model.prefill(x, lengths, room=28)


def test_truncation_never_extends(model: Decoder) -> None:
    x, lengths, _, _ = inputs([5, 3], 0)
    _, cache = model.prefill(x, lengths)
    with pytest.raises(ValueError, match="not extended"):
        cache.truncate(torch.tensor([5, 4]))
    cache.truncate(torch.tensor([0, 1]))
    assert cache.lengths_B.tolist() == [0, 1]


def test_size_in_bytes_is_keys_plus_values(model: Decoder) -> None:
    x, lengths, _, _ = inputs([5, 3], 0)
    _, cache = model.prefill(x, lengths, room=4)
    assert cache.capacity == 9
    assert cache.nbytes == 2 * LAYERS * 2 * 9 * WIDTH * 4


def test_under_autocast_the_cache_is_half_the_size_and_close(model: Decoder) -> None:
    x, lengths, new, candidates = inputs([6, 2], 2)
    _, exact = model.prefill(x, lengths, room=2)
    with torch.autocast("cpu", torch.bfloat16):
        _, cache = model.prefill(x, lengths, room=2)
        stepped, scored = model.step(new, cache), model.score(candidates, cache)
    assert 2 * cache.nbytes == exact.nbytes
    for got, expected in (
        (stepped, model.step(new, exact)),
        (scored, model.score(candidates, exact)),
    ):
        assert torch.cosine_similarity(got.float().flatten(), expected.flatten(), dim=0) > 0.999
