"""The three attention patterns: a causal history, tokens appended to a cache, candidates against a history.

Rows are padded on the right, so a real history token never sees padding and causal attention needs no padding mask.

Shapes: B rows, H heads, N history tokens, S new tokens, K candidates, C keys of a cache, Dh head width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask

from bowerbird.nn.backbone.attention.flex import flex_candidates

_MATMUL_UP_TO = 512
# what scaled_dot_product_attention calls on a CPU; asked directly because it also gives the log-sum-exp
_FUSED = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)


def causal_attention(q_BHND: Tensor, k_BHND: Tensor, v_BHND: Tensor) -> Tensor:
    """Token i attends to tokens 0..i of its row; (B, H, N, Dh)."""
    n = q_BHND.shape[2]
    if q_BHND.dtype == torch.bfloat16 and q_BHND.device.type == "cpu" and n <= _MATMUL_UP_TO:
        # The fused bfloat16 kernel of the CPU is several times slower than two matrix products, its gradient
        # above all, until rows are so long that the weights no longer fit the cache.
        future_NN = torch.full((n, n), float("-inf"), dtype=q_BHND.dtype).triu_(1)
        logits = (q_BHND * q_BHND.shape[-1] ** -0.5) @ k_BHND.transpose(-1, -2) + future_NN
        return logits.softmax(dim=-1) @ v_BHND
    return F.scaled_dot_product_attention(q_BHND, k_BHND, v_BHND, is_causal=True)


def appended_attention(q_BHSD: Tensor, k_BHCD: Tensor, v_BHCD: Tensor, slots_BS: Tensor) -> Tensor:
    """New tokens against a cache that holds them already: the token in slot c sees slots 0..c; (B, H, S, Dh)."""
    seen_BSC = torch.arange(k_BHCD.shape[2], device=q_BHSD.device) <= slots_BS[..., None]
    return F.scaled_dot_product_attention(q_BHSD, k_BHCD, v_BHCD, attn_mask=seen_BSC[:, None])


def candidate_attention(
    q_BHKD: Tensor,
    k_BHKD: Tensor,
    v_BHKD: Tensor,
    past_k_BHND: Tensor,
    past_v_BHND: Tensor,
    seen_BX: Tensor,
    pattern: BlockMask | None = None,
) -> Tensor:
    """Each candidate sees the first tokens of its row's history and itself, never another candidate; (B, H, K, Dh).

    A candidate's own key is handled apart from the history's, so the cost is N * K rather than (N + K) * K
    (arXiv 2606.00422 B2.1). The softmax runs in float32.

    Args:
        seen_BX: int64, history tokens a candidate sees: (B, K), or (B, 1) where all of a row see as many.
        pattern: the same as :func:`candidate_blocks` gives it; the answer then comes from FlexAttention.
    """
    if pattern is not None:
        return flex_candidates(q_BHKD, k_BHKD, v_BHKD, past_k_BHND, past_v_BHND, pattern)
    plain = q_BHKD.device.type == "cpu" and q_BHKD.dtype == torch.float32
    if plain and _FUSED is not None and not torch.is_grad_enabled():
        return _candidates_fused(q_BHKD, k_BHKD, v_BHKD, past_k_BHND, past_v_BHND, seen_BX)
    q_BHKD = q_BHKD * q_BHKD.shape[-1] ** -0.5
    hidden_BXN = torch.arange(past_k_BHND.shape[2], device=q_BHKD.device) >= seen_BX[..., None]
    past_BHKN = (q_BHKD @ past_k_BHND.transpose(-1, -2)).float()
    past_BHKN = past_BHKN.masked_fill(hidden_BXN[:, None], float("-inf"))
    own_BHK1 = (q_BHKD * k_BHKD).sum(dim=-1, keepdim=True, dtype=torch.float32)
    weight = torch.cat([past_BHKN, own_BHK1], dim=-1).softmax(dim=-1).to(v_BHKD.dtype)
    return weight[..., :-1] @ past_v_BHND + weight[..., -1:] * v_BHKD


def _candidates_fused(
    q_BHKD: Tensor, k_BHKD: Tensor, v_BHKD: Tensor, past_k_BHND: Tensor, past_v_BHND: Tensor, seen_BX: Tensor
) -> Tensor:
    """The same without ever holding the (B, H, K, N) weights: the history's part by the fused kernel, which also says
    the log of its softmax's denominator, and each candidate's own key weighed against that. No gradients."""
    n, mask = past_k_BHND.shape[2], None
    if not n:
        return v_BHKD
    if int(seen_BX.min()) < n:
        hidden_BXN = torch.arange(n) >= seen_BX[..., None]
        mask = torch.zeros(hidden_BXN.shape).masked_fill_(hidden_BXN, float("-inf"))[:, None]
    assert _FUSED is not None
    read_BHKD, mass_BHK = _FUSED(q_BHKD, past_k_BHND, past_v_BHND, attn_mask=mask)
    own_BHK1 = (q_BHKD * k_BHKD).sum(dim=-1, keepdim=True) * q_BHKD.shape[-1] ** -0.5
    own_BHK1 = torch.sigmoid(own_BHK1 - mass_BHK[..., None])
    found = torch.lerp(read_BHKD, v_BHKD, own_BHK1)
    return torch.where((seen_BX == 0)[:, None, :, None], v_BHKD, found)  # nothing but itself to see
