"""Leak probe: can the label be predicted from the group alone?

If it can, under the split that an evaluation uses, then part of any score under that split measures
recognising the group (the speaker, the author, the source) and not the thing asked about. A split that keeps
groups whole makes the probe fall silent, as unseen groups say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from bowerbird.learn.groups.index import GroupError, GroupIndex
from bowerbird.learn.groups.splits import Fold
from bowerbird.learn.randomness import derived


@dataclass(frozen=True)
class LeakReport:
    """What the probe found.

    Attributes:
        auc: area under the ROC curve of the group-only prediction on the test rows (one against the rest,
            averaged over classes).
        threshold: what the same probe reaches with labels shuffled, plus a margin.
        leaks: whether ``auc`` is above ``threshold``. One-sided: far below .5 is not a leak.
        crossing: share of test rows whose group also has training rows.
    """

    auc: float
    threshold: float
    leaks: bool
    crossing: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        verdict = "LEAK: the group alone predicts the label" if self.leaks else "no leak found"
        return (
            f"{verdict} (AUC {self.auc:.3f}, threshold {self.threshold:.3f}; {self.crossing:.0%} of the test rows "
            "belong to groups seen in training)"
        )


def leak_probe(
    groups: GroupIndex,
    labels: Sequence[object] | np.ndarray,
    folds: Sequence[Fold],
    *,
    level: int = -1,
    repeats: int = 200,
    margin: float = 0.02,
    seed: int = 0,
) -> LeakReport:
    """Predict each test row's label from the label rates of its group in the training rows.

    Args:
        groups: the rows' groups.
        labels: a class per row, at least two different ones.
        folds: the split(s) the evaluation uses; test rows are pooled over them.
        level: level of the groups.
        repeats: label shuffles for the threshold, which is their 99th percentile.
        margin: added to the threshold, and the least distance from .5.
        seed: of the shuffles.

    Raises:
        GroupError: if labels do not match the rows, are all alike, or there is no fold.
    """
    classes, label_N = np.unique(np.asarray(labels), return_inverse=True)
    if len(label_N) != len(groups):
        raise GroupError(f"{len(label_N)} labels do not match {len(groups)} rows")
    if len(classes) < 2 or not folds:
        raise GroupError("the probe needs labels of at least two classes, and at least one fold")
    code_N, n_groups = groups.codes(level), len(groups.names(level))
    auc = _group_auc(code_N, n_groups, label_N, len(classes), folds)
    rng = derived(seed, 61)
    shuffled = [
        _group_auc(code_N, n_groups, rng.permutation(label_N), len(classes), folds) for _ in range(repeats)
    ]
    threshold = max(0.5, float(np.nanquantile(shuffled, 0.99))) + margin
    crossing = [np.isin(code_N[fold.test], code_N[fold.train]) for fold in folds]
    return LeakReport(auc, threshold, bool(auc > threshold), float(np.concatenate(crossing).mean()))


def _group_auc(
    code_N: np.ndarray, n_groups: int, label_N: np.ndarray, n_classes: int, folds: Sequence[Fold]
) -> float:
    scores, truth = [], []
    for fold in folds:
        counts = np.zeros((n_groups, n_classes))
        np.add.at(counts, (code_N[fold.train], label_N[fold.train]), 1)
        prior = counts.sum(axis=0) / counts.sum()
        # One imagined row at the overall rate: a group without training rows predicts the overall rate.
        rates = (counts + prior) / (counts.sum(axis=1, keepdims=True) + 1)
        scores.append(rates[code_N[fold.test]])
        truth.append(label_N[fold.test])
    score_TC, truth_T = np.concatenate(scores), np.concatenate(truth)
    columns = [1] if n_classes == 2 else range(n_classes)
    found = [_auc(score_TC[:, c], truth_T == c) for c in columns]
    return float(np.nanmean(found)) if not np.isnan(found).all() else float("nan")


def _auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive row scores above a negative one, ties counting half; NaN with one class."""
    n_positive, n = int(positive.sum()), len(positive)
    if n_positive in (0, n):
        return float("nan")
    ranks = rankdata(scores)
    return float(
        (ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * (n - n_positive))
    )
