"""Sampled softmax with logQ correction, false-negative masks and bounded memory (arXiv 2504.10507 A3.1, A3.2).

The expensive part is one number per loss row: the log of the sum of exponentials over the negatives. It is computed
in row chunks; the backward pass either reuses the stored probabilities or recomputes them chunk by chunk. Positives
are few and are added afterwards, so one set of negatives serves any number of targets of a row (intra-feed
relaxation needs that).

Shapes: R loss rows, M negatives, D dimension, T targets of a row, X blocked ids of a row, B windows, G bias groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bowerbird.nn.losses.logsumexp import Blocked, tiled_logsumexp

Relaxation = Literal["none", "min", "mean", "softmin"]


@dataclass(frozen=True)
class Negatives:
    """The negatives of one step, shared by all its rows.

    Attributes:
        ids_M: int64, ascending and unique.
        vectors_MD: unit vectors.
        log_q_M: log of the expected number of times each id is drawn, minus log of how often it was; zero when the
            negatives are the whole catalogue.
    """

    ids_M: Tensor
    vectors_MD: Tensor
    log_q_M: Tensor

    def locate(self, ids: Tensor) -> Tensor:
        """Column of each id, -1 where it is not a negative or is itself negative; int64, the shape of ``ids``."""
        if len(self.ids_M) == 0:
            return torch.full_like(ids, -1)
        column = torch.searchsorted(self.ids_M, ids.contiguous()).clamp(max=len(self.ids_M) - 1)
        return torch.where(self.ids_M[column] == ids, column, -1)


@dataclass(frozen=True)
class Draw:
    """Ids drawn as negatives before they are embedded: unique ascending ids and their log-Q (see Negatives)."""

    ids_M: Tensor
    log_q_M: Tensor


def draw_negatives(
    positives: Tensor, n_items: int, *, in_batch: int, random: int, log_share: Tensor, rng: torch.Generator,
    correct: bool = True,
) -> Draw:  # fmt: skip
    """Draw a pool from the batch's own positives and uniformly from the catalogue.

    An id's expected number of draws is taken over both sources together, so the same id has one logQ wherever it
    came from: Q(i) = in_batch * share(i) + random / n_items. An id drawn c times enters once with weight c / Q(i).

    Args:
        positives: int64 ids of the batch's positives, repeats included.
        n_items: I.
        in_batch: most draws taken from ``positives`` (a random subset if there are more).
        random: uniform draws.
        log_share: float32 (I,), log probability that one positive of the stream is this id.
        rng: on the device of ``positives``.
        correct: whether to apply the correction; otherwise log-Q is minus the log count only.
    """
    device = positives.device
    if len(positives) > in_batch:
        positives = positives[torch.randperm(len(positives), generator=rng, device=device)[:in_batch]]
    uniform = torch.randint(n_items, (random,), generator=rng, device=device)
    ids, counts = torch.unique(torch.cat([positives, uniform]), return_counts=True)
    log_q = -counts.float().log()
    if correct:
        expected = len(positives) * log_share[ids].exp() + random / n_items
        log_q = log_q + expected.log()
    return Draw(ids, log_q)


def negative_logsumexp(
    anchor_RD: Tensor, negatives: Negatives, scale: Tensor, *, blocked_RX: Tensor | None = None,
    blocked_BM: Tensor | None = None, window_R: Tensor | None = None, bias_GM: Tensor | None = None,
    group_R: Tensor | None = None, chunk_rows: int | None = None, compute: torch.dtype = torch.float32,
) -> Tensor:  # fmt: skip
    """log sum over the negatives of exp(scale * <anchor, vector> + bias - log_q), per row, float32.

    Args:
        anchor_RD: unit vectors.
        negatives: the pool.
        scale: 0-d tensor, lambda.
        blocked_RX: int64, columns (see :meth:`Negatives.locate`) that are no negatives for a row, padded with -1.
        blocked_BM, window_R: bool masks shared by the rows of one window, and the window of each row.
        bias_GM, group_R: a bias added to the logits of every row of a group, and the group of each row (int64).
        chunk_rows: rows per chunk. Given, probabilities are recomputed in the backward pass (flat memory); left
            out, all rows at once and probabilities are kept.
        compute: dtype of the matrix products; everything else is float32 (float64 if this is).

    Returns:
        (R,); -inf where a row has no negative left.

    Raises:
        ValueError: if ``chunk_rows`` is not positive, or one of two arguments that belong together is missing.
    """
    if chunk_rows is not None and chunk_rows < 1:
        raise ValueError(f"chunk_rows must be at least 1, got {chunk_rows}")
    if (bias_GM is None) != (group_R is None):
        raise ValueError("bias_GM and group_R belong together: a bias per group, and the group of each row")
    wide = torch.promote_types(compute, torch.float32)
    with torch.autocast(anchor_RD.device.type, enabled=False):
        bias = -negatives.log_q_M.to(wide)[None]
        if bias_GM is not None:
            bias = bias_GM.to(wide) + bias
        scaled_RD = anchor_RD.to(wide) * scale
    return tiled_logsumexp(
        scaled_RD, negatives.vectors_MD.to(wide), bias, group_R, Blocked.of(blocked_RX, blocked_BM, window_R),
        recompute=chunk_rows is not None, rows=chunk_rows, compute=compute,
    )  # fmt: skip


def sampled_softmax(positive_logits_RT: Tensor, negative_lse_R: Tensor, relax: Relaxation = "none") -> Tensor:
    """Loss per row: -log softmax of each target against the negatives, reduced over a row's targets (A3.3).

    Targets of one row never compete with each other.

    Args:
        positive_logits_RT: corrected logits, -inf where a row has fewer targets; column 0 is always a real one.
        negative_lse_R: from :func:`negative_logsumexp`.
        relax: ``none`` uses column 0; ``min`` the easiest target (gradient only through it); ``mean`` all of them;
            ``softmin`` weighs them by exp(-loss), without gradient through the weights.
    """
    if relax == "none":
        positive_logits_RT = positive_logits_RT[:, :1]
    real = torch.isfinite(positive_logits_RT)
    safe = torch.where(real, positive_logits_RT, torch.zeros_like(positive_logits_RT))
    loss_RT = torch.nn.functional.softplus(negative_lse_R[:, None] - safe)
    if loss_RT.shape[1] == 1:
        return loss_RT[:, 0]
    if relax == "min":
        return loss_RT.masked_fill(~real, float("inf")).amin(dim=1)
    if relax == "mean":
        return (loss_RT * real).sum(dim=1) / real.sum(dim=1)
    weights = torch.softmax((-loss_RT.detach()).masked_fill(~real, float("-inf")), dim=1)
    return (loss_RT * weights).sum(dim=1)
