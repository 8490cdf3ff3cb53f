"""The decoder's dense pass: who sees whom, and that padding and packing change nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bowerbird.nn import Decoder, DecoderConfig, candidate_mask
from bowerbird.nn.backbone.attention import candidate_attention
from bowerbird.nn.backbone.dropout import dropout

WIDTH = 16


def decoder(**changes: object) -> Decoder:
    torch.manual_seed(0)
    settings_ = {"width": WIDTH, "layers": 2, "heads": 2, "max_positions": 24} | changes
    model = Decoder(DecoderConfig(**settings_)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():  # far from the small initial values, so that every path matters
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def batch(lengths: list[int], n: int, k: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(len(lengths), n, WIDTH), torch.tensor(lengths), torch.randn(len(lengths), k, WIDTH)


def alone(model: Decoder, tokens_ND: Tensor) -> Tensor:
    """One unpadded row."""
    out = model(tokens_ND[None], torch.tensor([len(tokens_ND)]))
    assert isinstance(out, Tensor)
    return out[0]


def test_candidate_mask_is_the_table_of_the_paper() -> None:
    mask = candidate_mask(torch.tensor([2]), n=3, k=2)[0].int().tolist()
    assert mask == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [1, 1, 0, 0, 1],
    ]


def test_a_candidate_is_the_token_after_its_history() -> None:
    model, (x, lengths, candidates) = decoder(), batch([5, 1, 8, 0], n=8, k=3)
    _, h_BKD = model(x, lengths, candidates)
    for row, length in enumerate(lengths.tolist()):
        for k in range(3):
            whole = torch.cat([x[row, :length], candidates[row, k : k + 1]])
            torch.testing.assert_close(h_BKD[row, k], alone(model, whole)[-1], atol=1e-5, rtol=0)


def test_candidates_are_blind_to_each_other_and_invisible_to_the_past() -> None:
    model, (x, lengths, candidates) = decoder(), batch([5, 2, 8], n=8, k=4)
    past, scores = model(x, lengths, candidates)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        model(x, lengths, candidates[:, order])[1], scores[:, order], atol=1e-6, rtol=0
    )
    torch.testing.assert_close(model(x, lengths, candidates[:, :2])[1], scores[:, :2], atol=1e-6, rtol=0)
    torch.testing.assert_close(past, model(x, lengths), atol=1e-5, rtol=0)
    changed = candidates.clone()
    changed[:, 3] = torch.randn(3, WIDTH)  # a constant shift would vanish in the norm
    moved = model(x, lengths, changed)[1]
    torch.testing.assert_close(moved[:, :3], scores[:, :3], atol=1e-6, rtol=0)
    assert (moved[:, 3] - scores[:, 3]).abs().amax() > 0.01


def test_the_fast_paths_equal_plain_masked_attention() -> None:
    model, (x, lengths, candidates) = decoder(), batch([6, 3], n=6, k=2)
    stream = torch.cat(
        [x + model.positions.weight[:6], candidates + model.positions.weight[lengths][:, None]], dim=1
    )
    mask = candidate_mask(lengths, 6, 2)[:, None]
    for block in model.blocks:
        q, key, value = block.project(stream)  # type: ignore[operator]
        weights = (
            (q @ key.transpose(-1, -2) / (WIDTH // 2) ** 0.5).masked_fill(~mask, float("-inf")).softmax(-1)
        )
        stream = block.finish(stream, weights @ value)  # type: ignore[operator]
    expected = model.norm(stream)
    past, scores = model(x, lengths, candidates)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(past[row, :length], expected[row, :length], atol=1e-5, rtol=0)
    torch.testing.assert_close(scores, expected[:, 6:], atol=1e-5, rtol=0)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
@settings(max_examples=25)
def test_a_row_does_not_depend_on_padding_or_neighbours(lengths: list[int]) -> None:
    model, (x, lengths_B, _) = decoder(), batch(lengths, n=9)
    h = model(x, lengths_B)
    for row, length in enumerate(lengths):
        assert h[row, length:].abs().sum() == 0, "positions past a length are 0"
        if length:
            torch.testing.assert_close(h[row, :length], alone(model, x[row, :length]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [[7, 2, 3, 1], [7, 7, 6, 7]], ids=["packed", "padded"])
def test_gradients_do_not_depend_on_padding(lengths: list[int]) -> None:
    model, (x, lengths_B, _) = decoder(), batch(lengths, n=7)
    weight = torch.randn(len(lengths), 7, WIDTH)
    x.requires_grad_()
    (model(x, lengths_B) * weight).sum().backward()
    got, got_x = [p.grad.clone() for p in model.parameters()], x.grad
    model.zero_grad()
    x.grad = None
    for row, length in enumerate(lengths):
        (alone(model, x[row, :length]) * weight[row, :length]).sum().backward()
    torch.testing.assert_close(got_x, x.grad, atol=1e-4, rtol=1e-4)
    for mine, theirs in zip(got, model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs.grad, atol=1e-3, rtol=1e-3)


def test_no_token_sees_the_future() -> None:
    model, (x, lengths, _) = decoder(), batch([8], n=8)
    before = model(x, lengths)
    x[0, 5] = torch.randn(WIDTH)
    after = model(x, lengths)
    torch.testing.assert_close(after[0, :5], before[0, :5], atol=1e-6, rtol=0)
    assert ((after - before)[0, 5:].abs().amax(dim=1) > 1e-3).all()


def test_positions_matter() -> None:
    model = decoder()
    token = torch.ones(1, 3, WIDTH)
    h = model(token, torch.tensor([3]))[0]
    assert (h[0] - h[2]).abs().amax() > 0.01


def test_bfloat16_stays_close_to_float32_in_values_and_gradients() -> None:
    model, (x, lengths, _) = decoder(), batch([9, 4, 6], n=9)
    weight = torch.randn(3, 9, WIDTH)

    def run(low: bool) -> tuple[Tensor, Tensor]:
        inputs = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            h = model(inputs, lengths)
        (h.float() * weight).sum().backward()
        return h.detach().float(), inputs.grad

    (exact, exact_grad), (rough, rough_grad) = run(False), run(True)
    assert torch.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) > 0.999
    assert torch.cosine_similarity(exact_grad.flatten(), rough_grad.flatten(), dim=0) > 0.99


def test_too_many_tokens_for_the_position_table_is_an_error() -> None:
    model, (x, lengths, candidates) = decoder(max_positions=6), batch([6], n=6, k=1)
    model(x, lengths)
    with pytest.raises(ValueError, match="6 positions"):
        model(x, lengths, candidates)


@pytest.mark.parametrize("wrong", [{"heads": 3}, {"layers": 0}, {"dropout": 1.0}, {"max_positions": 0}])
def test_impossible_shapes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        decoder(**wrong)


def test_dropout_acts_in_training_only() -> None:
    model, (x, lengths, _) = decoder(dropout=0.5), batch([8, 8], n=8)
    torch.testing.assert_close(model(x, lengths), model(x, lengths), atol=0, rtol=0)
    model.train()
    assert (model(x, lengths) - model(x, lengths)).abs().amax() > 0.1


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_the_asked_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(3)
    x = torch.ones(400, 501, requires_grad=True)
    out = dropout(x, p)
    assert abs(float((out == 0).float().mean()) - p) < 0.01
    assert abs(float(out.detach().mean()) - 1.0) < 0.03
    assert out.unique().numel() == 2
    out.sum().backward()
    torch.testing.assert_close(x.grad, out, atol=0, rtol=0)  # ones in: value and slope are the same number


def test_dropout_repeats_with_the_generator_state_and_has_no_structure() -> None:
    torch.manual_seed(4)
    state = torch.get_rng_state()
    first = dropout(torch.ones(64, 64), 0.5)
    torch.set_rng_state(state)
    assert torch.equal(first, dropout(torch.ones(64, 64), 0.5))
    kept = (first > 0).float() - 0.5
    for shift in (1, 2, 3, 4, 64):  # bits of one random word are independent of one another
        assert abs(float((kept.flatten()[shift:] * kept.flatten()[:-shift]).mean())) < 0.02
    x = torch.ones(3)
    assert dropout(x, 0.0) is x


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_candidates_that_see_a_part_of_the_history_equal_a_shorter_history(seed: int) -> None:
    model, (x, lengths, candidates) = decoder(), batch([6, 2, 8, 1], n=8, k=5)
    generator = torch.Generator().manual_seed(seed)
    seen_BK = (torch.rand(4, 5, generator=generator) * (lengths[:, None] + 1)).long()
    real_B = torch.randint(0, 6, (4,), generator=generator)
    past, h_BKD = model(x, lengths, candidates, seen_BK=seen_BK, candidate_lengths_B=real_B)
    torch.testing.assert_close(past, model(x, lengths), atol=1e-5, rtol=0)
    for row in range(4):
        for k in range(5):
            if k >= real_B[row]:
                assert h_BKD[row, k].abs().sum() == 0
                continue
            whole = torch.cat([x[row, : seen_BK[row, k]], candidates[row, k : k + 1]])
            torch.testing.assert_close(h_BKD[row, k], alone(model, whole)[-1], atol=1e-5, rtol=0)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_scoring_without_gradients_takes_a_fused_path_to_the_same_answer(seed: int) -> None:
    torch.manual_seed(seed)
    n, k = int(torch.randint(1, 40, ())), int(torch.randint(1, 9, ()))
    q, own_k, own_v = (torch.randn(3, 2, k, 8) for _ in range(3))
    past_k, past_v = (torch.randn(3, 2, n, 8) for _ in range(2))
    for seen in (torch.randint(0, n + 1, (3, k)), torch.full((3, 1), n), torch.zeros(3, 1, dtype=torch.long)):
        with torch.no_grad():
            fused = candidate_attention(q, own_k, own_v, past_k, past_v, seen)
        with torch.enable_grad():
            plain = candidate_attention(q, own_k, own_v, past_k, past_v, seen)
        torch.testing.assert_close(fused, plain, atol=1e-5, rtol=0)
