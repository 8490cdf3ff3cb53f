"""log sum_m exp(<anchor_r, vector_m> + bias) with its gradient, in tiles of rows.

With p = softmax of a row, the gradients are p V for the anchors and p^T anchors for the vectors: two matrix products
and nothing else of size R x M, because the incoming gradient scales the thin operands. A tile is small enough for the
processor's cache, so the passes over it (bias, mask, softmax) never reach main memory.

Shapes: R rows, M negatives, D dimension, G bias groups, r rows of a tile.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from bowerbird.nn.losses.logsumexp.blocked import Blocked

_TILE_LOGITS = 1 << 19
"""Logits of a tile on a CPU: 2 MiB of float32."""


def tiled_logsumexp(
    anchor_RD: Tensor, vectors_MD: Tensor, bias_GM: Tensor, group_R: Tensor | None, blocked: Blocked, *,
    recompute: bool, rows: int | None, compute: torch.dtype,
) -> Tensor:  # fmt: skip
    """Log-sum-exp per row (R,), -inf where every pair of a row is blocked.

    Args:
        anchor_RD, vectors_MD: float32 (float64 where ``compute`` is); gradients flow to both.
        bias_GM, group_R: what is added to the logits of a row's group; one group if ``group_R`` is None. Gradients
            flow to the bias.
        blocked: pairs left out.
        recompute: keep nothing of size R x M; the backward pass computes each tile again.
        rows: most rows of a tile; None leaves it to the device.
        compute: type of the matrix products.
    """
    if len(anchor_RD) == 0 or len(vectors_MD) == 0:
        return anchor_RD.new_full((len(anchor_RD),), float("-inf"))
    result: Tensor = _TiledLogSumExp.apply(
        anchor_RD, vectors_MD, bias_GM, group_R, blocked, recompute, rows, compute
    )
    return result


class _TiledLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, anchor_RD: Tensor, vectors_MD: Tensor, bias_GM: Tensor, group_R: Tensor | None, blocked: Blocked,
        recompute: bool, rows: int | None, compute: torch.dtype,
    ) -> Tensor:  # fmt: skip
        with torch.autocast(anchor_RD.device.type, enabled=False):
            a_RD, v_MD = anchor_RD.to(compute), vectors_MD.to(compute)
            tiles = _Tiles(a_RD, v_MD, bias_GM, group_R, blocked, rows)
            lse_R = bias_GM.new_empty(len(a_RD))
            kept_RM = None if recompute else a_RD.new_empty(len(a_RD), len(v_MD))
            for number, (low, high) in enumerate(tiles.spans):
                logits = tiles.logits(number)
                highest = logits.amax(dim=1)
                p = _softmax(logits, highest == float("-inf"))
                # p's largest entry is 1 / sum exp(logits - highest), so it is never small; 0 in an empty row
                lse_R[low:high] = highest - p.amax(dim=1).clamp(min=1e-30).log()
                if kept_RM is not None:
                    kept_RM[low:high] = p
        ctx.save_for_backward(a_RD, v_MD, bias_GM, group_R, lse_R, kept_RM)
        ctx.blocked, ctx.rows = blocked, rows
        return lse_R

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (grad_R,) = gradients
        a_RD, v_MD, bias_GM, group_R, lse_R, kept_RM = ctx.saved_tensors
        wide, compute = bias_GM.dtype, a_RD.dtype
        with torch.autocast(a_RD.device.type, enabled=False):
            d_anchor = torch.empty_like(a_RD, dtype=wide)
            d_vectors = torch.zeros_like(v_MD, dtype=wide)
            d_bias = torch.zeros_like(bias_GM) if ctx.needs_input_grad[2] else None
            weighted_RD = (a_RD * grad_R[:, None]).to(compute)
            tiles = (
                None if kept_RM is not None else _Tiles(a_RD, v_MD, bias_GM, group_R, ctx.blocked, ctx.rows)
            )
            for number, (low, high) in enumerate([(0, len(a_RD))] if tiles is None else tiles.spans):
                if tiles is None:
                    p = kept_RM
                else:
                    p = _softmax(tiles.logits(number), lse_R[low:high] == float("-inf")).to(compute)
                grad_r1 = grad_R[low:high, None]
                d_anchor[low:high] = (p @ v_MD) * grad_r1
                d_vectors += p.T @ weighted_RD[low:high]
                if d_bias is not None:
                    if group_R is None:
                        d_bias += grad_r1.to(wide).T @ p.to(wide)
                    else:
                        d_bias.index_add_(0, group_R[low:high], p.to(wide) * grad_r1)
        return d_anchor, d_vectors, d_bias, None, None, None, None, None


class _Tiles:
    """The logits of one tile after the other."""

    def __init__(
        self,
        a_RD: Tensor,
        v_MD: Tensor,
        bias_GM: Tensor,
        group_R: Tensor | None,
        blocked: Blocked,
        rows: int | None,
    ) -> None:
        self.a_RD, self.v_DM = a_RD, v_MD.T
        self.bias_GM, self.group_R, self.blocked = bias_GM, group_R, blocked
        size = rows or len(a_RD)
        if a_RD.device.type == "cpu":
            size = min(size, max(16, _TILE_LOGITS // len(v_MD)))
        edges = [*range(0, len(a_RD), size), len(a_RD)]
        self.spans = list(pairwise(edges))
        self._bounds = blocked.bounds(edges)

    def logits(self, number: int) -> Tensor:
        """(r, M) in the type of the bias, blocked pairs at -inf; the caller may write into it."""
        low, high = self.spans[number]
        a_rD = self.a_RD[low:high]
        if self.group_R is None and self.bias_GM.dtype == a_rD.dtype:
            logits = torch.addmm(self.bias_GM, a_rD, self.v_DM)
        else:
            logits = (a_rD @ self.v_DM).to(self.bias_GM.dtype)
            logits += self.bias_GM if self.group_R is None else self.bias_GM[self.group_R[low:high]]
        flat, width = logits.view(-1), logits.shape[1]
        for (row_Z, column_Z), bounds in zip(self.blocked.lists, self._bounds, strict=True):
            first, last = bounds[number], bounds[number + 1]
            flat.index_fill_(0, (row_Z[first:last] - low) * width + column_Z[first:last], float("-inf"))
        return logits


def _softmax(logits_rM: Tensor, empty_r: Tensor) -> Tensor:
    """Softmax per row; zeros, not NaN, for the rows marked as empty (everything blocked)."""
    p = torch.softmax(logits_rM, dim=1)
    if bool(empty_r.any()):
        p[empty_r] = 0.0
    return p
