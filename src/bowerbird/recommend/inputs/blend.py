"""A handful of weights that put the network and the live signals on one scale, fitted on the freshest events.

The network's own opinion is older than the live counts and overconfident where tastes drift by the hour. So the
final logit is

    logit = cosine * (scale * <query, item>) + sum_h trends_h * trend_h
          + share * log p(item) + steps * gain(last item, item)

whose few weights are a softmax regression over the whole catalogue on events that the network was not trained on.
The regression is convex; Newton's method solves it in a few passes over the data.

Shapes: R questions, I items, K weights, S barred entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

_STEPS = 12
_HALVINGS = 8
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Blend:
    """Weights of the final logit.

    Attributes:
        cosine: of the network's scaled cosine.
        trends: of each trend half-life.
        share: of the log share of all live events (see :meth:`DenseTrends.shares`).
        steps: of the gain of live transitions (see :mod:`bowerbird.recommend.inputs.transitions`).
    """

    cosine: float
    trends: tuple[float, ...]
    share: float = 0.0
    steps: float = 0.0

    def vector(self) -> Tensor:
        """float32 (K,): the weights in the order of the attributes."""
        return torch.tensor([self.cosine, *self.trends, self.share, self.steps])

    def like(self, weights_K: Tensor) -> Blend:
        """The blend of these numbers with this one's shape."""
        first, *rest = (float(w) for w in weights_K)
        return Blend(first, tuple(rest[:-2]), *rest[-2:])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "trends": list(self.trends)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(**{**data, "trends": tuple(data["trends"])})


@dataclass(frozen=True)
class Questions:
    """Some questions with what is known of every item.

    Attributes:
        signals_KRI: float32, the value each weight multiplies.
        target_R: int64, the item chosen.
        barred_S2: int64, (question, item) pairs that no answer may contain.
    """

    signals_KRI: Tensor
    target_R: Tensor
    barred_S2: Tensor


def softmax_regression(batches: Callable[[], Iterable[Questions]], start_K: Tensor, *, l2: float) -> Tensor:
    """Weights that make the chosen items most likely.

    Args:
        batches: walks all questions, the same ones every time.
        start_K: where to start, and what the penalty pulls towards: with few questions nothing moves far.
        l2: strength of the pull; half of it times the squared distance is added to the summed negative log
            likelihood.

    Returns:
        float32 (K,).
    """
    start = start_K.double()
    best, (loss, gradient, curvature) = start, _pass(batches, start, start, l2)
    for _ in range(_STEPS):
        step = torch.linalg.solve(curvature, gradient)
        if float(gradient @ step) < _TOLERANCE * max(1.0, float(loss)):
            break
        for _ in range(_HALVINGS):
            found = _pass(batches, best - step, start, l2)
            if found[0] <= loss:
                break
            step = step / 2
        else:
            break
        best, (loss, gradient, curvature) = best - step, found
    return best.float()


@torch.no_grad()
def _pass(
    batches: Callable[[], Iterable[Questions]], weights_K: Tensor, start_K: Tensor, l2: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, gradient (K,) and curvature (K, K) at some weights, float64."""
    away = weights_K - start_K
    loss, gradient = 0.5 * l2 * away @ away, l2 * away
    curvature = l2 * torch.eye(len(away), dtype=torch.float64)
    for batch in batches():
        signals = batch.signals_KRI
        logits_RI = torch.tensordot(weights_K.float(), signals, dims=1)
        logits_RI[batch.barred_S2[:, 0], batch.barred_S2[:, 1]] = float("-inf")
        log_p_RI = logits_RI.log_softmax(dim=1)
        rows = torch.arange(len(batch.target_R))
        p_RI = log_p_RI.exp()
        weighted_KRI = signals * p_RI
        mean_KR = weighted_KRI.sum(dim=2)
        loss = loss - log_p_RI[rows, batch.target_R].double().sum()
        gradient = gradient + (mean_KR - signals[:, rows, batch.target_R]).double().sum(dim=1)
        square_KK = weighted_KRI.flatten(1) @ signals.flatten(1).T
        curvature = curvature + (square_KK - mean_KR @ mean_KR.T).double()
    return loss, gradient, curvature
