"""The one sampled softmax of all tasks (Eq. 1 of arXiv 2504.17811), with a pool of negatives per task and type.

    L(q, v) = -log [ exp s(q, v) / (exp s(q, v) + sum_n exp s(q, n)) ],   s(q, v) = lambda <q, v> - log Q(v)

The pool is what the other rows take for positive, as they were embedded, and random nodes of the positive's type. An
id's Q is its expected number of draws from both sources together. A row's own positive, and whatever else is known to
be right for it, is blocked wherever it stands in the pool.

Shapes: R rows, P pool entries, M random nodes, D dimension, W windows, X ids known to be right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bowerbird.learn.processes import gather_with_gradient
from bowerbird.nn import Negatives, negative_logsumexp


@dataclass(frozen=True)
class Candidates:
    """Nodes of one type with their vectors.

    Attributes:
        ids: int64 (R,). vectors: (R, D), unit. log_share: float32 (R,), log of the share of this id among the positives
            of the task.
    """

    ids: Tensor
    vectors: Tensor
    log_share: Tensor


@dataclass(frozen=True)
class Pool:
    """Negatives of one task and type.

    Attributes:
        negatives: ids ascending (an id may stand several times), vectors, log Q.
        drawn: positives of all processes in the pool. random_rate: random nodes over nodes of the type.
        corrected: whether log Q is applied.
    """

    negatives: Negatives
    drawn: int
    random_rate: float
    corrected: bool

    def log_q(self, log_share: Tensor) -> Tensor:
        """log of the expected number of draws of ids with these shares."""
        return _log_q(log_share, self.drawn, self.random_rate, self.corrected)


def pool_of(
    positives: Candidates, random: Candidates | None, population: int, *, corrected: bool = True
) -> Pool:
    """The pool of one task and type over all processes.

    Args:
        positives: this process's positives. random: its random nodes, ``None`` for in-batch negatives only.
        population: how many nodes the random ones were drawn from.
        corrected: whether to apply log Q.
    """
    parts = [positives] if random is None else [positives, random]
    gathered = [[gather_with_gradient(x) for x in (p.ids, p.vectors, p.log_share)] for p in parts]
    drawn = len(gathered[0][0])
    rate = len(gathered[1][0]) / population if random is not None else 0.0
    ids, vectors, log_share = (torch.cat(found) for found in zip(*gathered, strict=True))
    ids, order = torch.sort(ids, stable=True)
    log_q = _log_q(log_share[order], drawn, rate, corrected)
    return Pool(Negatives(ids, vectors[order], log_q), drawn, rate, corrected)


def softmax_rows(
    query_RD: Tensor, positives: Candidates, pool: Pool, scale: Tensor, *, own_R: Tensor | None = None,
    right_WX: Tensor | None = None, window_R: Tensor | None = None, chunk_rows: int | None = None,
) -> Tensor:  # fmt: skip
    """Loss of every row, (R,), float32 (float64 for float64 vectors).

    Args:
        query_RD: unit vectors. positives: one for each row. pool: see :func:`pool_of`.
        scale: 0-d, lambda.
        own_R: int64, the id that asks, -1 where it is of another type: nobody is their own negative.
        right_WX, window_R: int64 ids known to be right for the rows of a window (padded with -1), and the window of
            each row.
        chunk_rows: rows of logits held at once; the backward pass computes them again. All at once when left out.
    """
    ids_P = pool.negatives.ids_M
    if not len(query_RD):  # a process without rows of a task still takes part in the pool's gradient
        return query_RD.sum(-1) + 0.0 * pool.negatives.vectors_MD.sum()
    blocked_WP = None
    if right_WX is not None:
        columns = _columns(ids_P, right_WX.flatten()).view(len(right_WX), -1)
        blocked_WP = torch.zeros(len(columns), len(ids_P) + 1, dtype=torch.bool, device=ids_P.device)
        blocked_WP = blocked_WP.scatter_(1, torch.where(columns < 0, len(ids_P), columns), True)[:, :-1]
    blocked_RX = _columns(ids_P, positives.ids)
    if own_R is not None:
        blocked_RX = torch.cat([blocked_RX, _columns(ids_P, own_R)], dim=1)
    compute = torch.float64 if query_RD.dtype == torch.float64 else torch.float32
    negative_R = negative_logsumexp(
        query_RD, pool.negatives, scale, blocked_RX=blocked_RX, blocked_BM=blocked_WP, window_R=window_R,
        chunk_rows=chunk_rows, compute=compute,
    )  # fmt: skip
    with torch.autocast(query_RD.device.type, enabled=False):
        positive_R = scale * (query_RD.to(compute) * positives.vectors.to(compute)).sum(-1)
        return F.softplus(negative_R - (positive_R - pool.log_q(positives.log_share)))


def _log_q(log_share: Tensor, drawn: int, rate: float, corrected: bool) -> Tensor:
    if not corrected:
        return torch.zeros_like(log_share)
    return (drawn * log_share.exp() + rate).log()


def _columns(ids_P: Tensor, wanted_R: Tensor) -> Tensor:
    """Every place of each wanted id in ascending ids, int64 (R, most places of one id), padded with -1."""
    low = torch.searchsorted(ids_P, wanted_R.contiguous())
    high = torch.searchsorted(ids_P, wanted_R.contiguous(), right=True)
    width = int((high - low).max()) if len(wanted_R) else 0
    place = low[:, None] + torch.arange(width, device=ids_P.device)
    return torch.where(place < high[:, None], place, -1)
