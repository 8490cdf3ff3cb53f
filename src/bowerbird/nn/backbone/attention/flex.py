"""The candidates' pattern as one block-sparse FlexAttention kernel, for accelerators (arXiv 2606.00422 B2.1).

A candidate's keys are its row's history and then the candidates' own: it sees the first so many of the history and,
of its own kind, itself. Blocks of keys that nobody in a block of queries sees are never read, and the weights are
never held. On a CPU torch answers with a plain computation, right and slow, and knows no gradient of it: learning there
keeps to the other kernels.

Shapes: B rows, H heads, N history tokens, K candidates, Dh head width.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Literal, cast, get_args

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

AttentionKernel = Literal["auto", "sdpa", "flex"]
"""How candidates attend: by two products or SDPA, by FlexAttention, or by whichever suits the device."""

_LEAST_HEAD_WIDTH = 16
"""The accelerator's kernel multiplies tiles of at least so many columns."""


def check_kernel(kernel: str) -> AttentionKernel:
    """The kernel of that name; raises ValueError for another name."""
    for known in get_args(AttentionKernel):
        if kernel == known:
            return known
    raise ValueError(f"attention is {kernel!r}; choose one of {', '.join(get_args(AttentionKernel))}")


def wants_flex(kernel: AttentionKernel, device: torch.device, head_width: int) -> bool:
    """Whether candidates go through FlexAttention: when asked to, or on CUDA where it can be compiled."""
    if device.type == "cpu" and torch.is_grad_enabled():
        return False
    if kernel != "auto":
        return kernel == "flex"
    return device.type == "cuda" and head_width >= _LEAST_HEAD_WIDTH and _compiles()


def candidate_blocks(seen_BX: Tensor, n: int, k: int) -> BlockMask:
    """Who sees what, K queries against N + K keys; one for all layers of a pass.

    Args:
        seen_BX: int64, history tokens a candidate sees: (B, K), or (B, 1) where all of a row see as many.
        n, k: N and K.
    """
    seen_BK = seen_BX.expand(-1, k)

    def sees(b: Tensor, _: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (j < seen_BK[b, i]) | (j == n + i)

    return create_block_mask(sees, len(seen_BK), None, k, n + k, device=str(seen_BX.device))


def flex_candidates(
    q_BHKD: Tensor, k_BHKD: Tensor, v_BHKD: Tensor, past_k_BHND: Tensor, past_v_BHND: Tensor, blocks: BlockMask
) -> Tensor:
    """As `patterns.candidate_attention`, (B, H, K, Dh), with the mask of :func:`candidate_blocks`."""
    keys, values = torch.cat([past_k_BHND, k_BHKD], dim=2), torch.cat([past_v_BHND, v_BHKD], dim=2)
    alone = q_BHKD.device.type == "cuda" and not torch.compiler.is_compiling()
    kernel = _compiled() if alone else cast(Callable[..., Tensor], flex_attention)
    return kernel(q_BHKD.contiguous(), keys, values, block_mask=blocks)


@cache
def _compiles() -> bool:
    return importlib.util.find_spec("triton") is not None


@cache
def _compiled() -> Callable[..., Tensor]:
    compiled: Callable[..., Tensor] = torch.compile(flex_attention)
    return compiled
