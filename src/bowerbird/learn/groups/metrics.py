"""A metric per group, its plain and macro mean and the worst group; how much of a quantity groups explain.

Legend: N rows, D dimensions, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bowerbird.learn.groups.index import GroupError, GroupIndex


@dataclass(frozen=True)
class GroupTable:
    """A metric by group.

    Attributes:
        names: path of each group.
        counts: rows of each group, int64 (G,).
        values: the metric of each group, float64 (G,); NaN where it is undefined.
        overall: the metric over all rows together.
        larger_is_better: which end is the worst.
    """

    names: list[tuple[str, ...]]
    counts: np.ndarray
    values: np.ndarray
    overall: float
    larger_is_better: bool

    @property
    def macro(self) -> float:
        """Mean over groups in which the metric is defined, every group alike; NaN if there is none."""
        defined = self.values[~np.isnan(self.values)]
        return float(defined.mean()) if len(defined) else math.nan

    @property
    def worst(self) -> tuple[tuple[str, ...], float]:
        """The group with the worst value, and the value.

        Raises:
            GroupError: if the metric is undefined in every group.
        """
        if np.isnan(self.values).all():
            raise GroupError("the metric is undefined in every group, so none is the worst")
        at = int(np.nanargmin(self.values) if self.larger_is_better else np.nanargmax(self.values))
        return self.names[at], float(self.values[at])

    @property
    def undefined(self) -> int:
        """Groups in which the metric is undefined."""
        return int(np.isnan(self.values).sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; undefined ones are ``None``."""
        rows = [
            {"group": list(name), "rows": int(count), "value": None if math.isnan(value) else float(value)}
            for name, count, value in zip(self.names, self.counts, self.values, strict=True)
        ]
        worst = (
            None
            if self.undefined == len(self.names)
            else {"group": list(self.worst[0]), "value": self.worst[1]}
        )
        macro, overall = (None if math.isnan(v) else v for v in (self.macro, self.overall))
        return {
            "overall": overall,
            "macro": macro,
            "worst": worst,
            "undefined": self.undefined,
            "groups": rows,
        }


def group_table(
    groups: GroupIndex,
    metric: np.ndarray | Callable[[np.ndarray], float],
    *,
    level: int = -1,
    larger_is_better: bool = True,
) -> GroupTable:
    """Measure every group.

    Args:
        groups: the rows' groups.
        metric: a value per row (N,), to be averaged, or a function from row numbers to a value; a function
            returns NaN where it is undefined (an area under a curve with one class, for example).
        level: level of the groups.
        larger_is_better: ``False`` for losses and errors.

    Raises:
        GroupError: if the values are not one per row.
    """
    if callable(metric):
        values = [metric(groups.members(code, level)) for code in range(len(groups.names(level)))]
        overall = metric(np.arange(len(groups)))
    else:
        if metric.shape != (len(groups),):
            raise GroupError(f"expected one value per row ({len(groups)}), got shape {metric.shape}")
        sums = np.bincount(groups.codes(level), weights=metric, minlength=len(groups.names(level)))
        values, overall = list(sums / groups.sizes(level)), float(metric.mean())
    return GroupTable(
        groups.names(level), groups.sizes(level), np.array(values, float), overall, larger_is_better
    )


def variance_share(values_ND: np.ndarray, groups: GroupIndex, *, level: int = 0) -> float:
    """The share of the variance of vectors that lies between groups (eta squared), in [0, 1].

    For per-task gradients this is the most that family-aware batches with unbiased weights can save of the
    noise of a uniform batch: measure it before switching them on.

    Args:
        values_ND: (N, D) or (N,).
        groups: the rows' groups.
        level: level of the groups.

    Raises:
        GroupError: if the rows do not match or do not vary.
    """
    values_ND = np.asarray(values_ND, dtype=np.float64).reshape(len(values_ND), -1)
    if len(values_ND) != len(groups):
        raise GroupError(f"{len(values_ND)} vectors do not match {len(groups)} rows")
    centred = values_ND - values_ND.mean(axis=0)
    total = (centred**2).sum()
    if total == 0:
        raise GroupError("the vectors are all equal, so there is no variance to explain")
    sums = np.zeros((len(groups.names(level)), centred.shape[1]))
    np.add.at(sums, groups.codes(level), centred)
    return float(((sums**2).sum(axis=1) / groups.sizes(level)).sum() / total)
