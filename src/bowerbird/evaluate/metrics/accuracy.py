"""Recall, hit rate, NDCG and MRR of each case, from the ranks of its targets.

Shapes: C cases, T targets. Every function takes `ranks` int32 (T,) (0 = first, `MISSED` = absent), `offsets`
int64 (C + 1,) delimiting each case's targets, and the cut-off k, and returns float64 (C,) in [0, 1]. Each
case has at least one target; a case without any scores 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.metrics.ranks import MISSED, per_case
from bowerbird.tables.errors import ConfigError, did_you_mean

Ranks = NDArray[np.int32]
Offsets = NDArray[np.int64]
Metric = Callable[[Ranks, Offsets, int], NDArray[np.float64]]


def recall(ranks: Ranks, offsets: Offsets, k: int) -> NDArray[np.float64]:
    """Share of the case's targets among the first k.

    >>> recall(np.array([0, 12, 3]), np.array([0, 2, 3]), 10).tolist()
    [0.5, 1.0]
    """
    return per_case((ranks < k).astype(float), offsets) / np.maximum(np.diff(offsets), 1)


def hit_rate(ranks: Ranks, offsets: Offsets, k: int) -> NDArray[np.float64]:
    """1 where any target is among the first k. Equals recall for cases with one target.

    >>> hit_rate(np.array([0, 12, 30]), np.array([0, 2, 3]), 10).tolist()
    [1.0, 0.0]
    """
    return (per_case((ranks < k).astype(float), offsets) > 0).astype(float)


def ndcg(ranks: Ranks, offsets: Offsets, k: int) -> NDArray[np.float64]:
    """Discounted gain 1 / log2(rank + 2) of the targets among the first k over that of the best possible
    list.

    The best list has min(k, targets) hits on top.

    >>> ndcg(np.array([0, 1, 1]), np.array([0, 2, 3]), 10).round(4).tolist()
    [1.0, 0.6309]
    """
    found = ranks < k
    gain = np.where(found, 1.0 / np.log2(np.where(found, ranks, 0) + 2.0), 0.0)
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))])
    best = ideal[np.minimum(np.diff(offsets), k)]
    return np.clip(per_case(gain, offsets) / np.where(best > 0, best, 1.0), 0.0, 1.0)


def mrr(ranks: Ranks, offsets: Offsets, k: int) -> NDArray[np.float64]:
    """1 / (1 + rank) of the best target if it is among the first k, else 0.

    >>> mrr(np.array([4, 1, 30]), np.array([0, 2, 3]), 10).tolist()
    [0.5, 0.0]
    """
    best = np.full(len(offsets) - 1, MISSED, np.int64)
    np.minimum.at(best, np.repeat(np.arange(len(best)), np.diff(offsets)), ranks)
    return np.where(best < k, 1.0 / (1.0 + best), 0.0)


METRICS: dict[str, Metric] = {"recall": recall, "hit_rate": hit_rate, "ndcg": ndcg, "mrr": mrr}
"""Metrics by name; `"ndcg@10"` names one with its cut-off."""


def parse_metric(name: str) -> tuple[Metric, int]:
    """The function and cut-off of a name like `"ndcg@10"`.

    Raises:
        ConfigError: unknown metric or a cut-off that is not a positive number.
    """
    base, _, cut = name.partition("@")
    if base not in METRICS:
        raise ConfigError(f"unknown metric {name!r}; {did_you_mean(base, METRICS)}")
    if not cut.isdigit() or int(cut) < 1:
        raise ConfigError(f"metric {name!r} needs a cut-off of at least 1, like '{base}@10'")
    return METRICS[base], int(cut)
