"""Splits that no group crosses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bowerbird.learn.groups.index import GroupError, GroupIndex
from bowerbird.learn.randomness import derived


@dataclass(frozen=True)
class Fold:
    """Rows to learn from and rows to test on: int64, ascending."""

    train: np.ndarray
    test: np.ndarray


def group_folds(groups: GroupIndex, k: int, *, level: int = -1, seed: int = 0) -> list[Fold]:
    """k-fold cross-validation in which each group is tested once, as a whole.

    Groups go, largest first, to the fold with the fewest rows so far, so that folds are about equally large.

    Args:
        groups: the rows' groups.
        k: number of folds, at least 2.
        level: the level whose groups must not be torn apart.
        seed: decides among groups of equal size.

    Raises:
        GroupError: if there are fewer groups than folds.
    """
    sizes = groups.sizes(level)
    if not 2 <= k <= len(sizes):
        raise GroupError(f"{k} folds need at least 2 and at most as many as there are groups ({len(sizes)})")
    rng = derived(seed, 31)
    shuffled = rng.permutation(len(sizes))
    fold_of_group = np.empty(len(sizes), dtype=np.int64)
    filled = np.zeros(k, dtype=np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of_group[group] = np.argmin(filled)
        filled[fold_of_group[group]] += sizes[group]
    fold_of_row = fold_of_group[groups.codes(level)]
    folds = [Fold(np.flatnonzero(fold_of_row != f), np.flatnonzero(fold_of_row == f)) for f in range(k)]
    for fold in folds:
        check_disjoint(groups, [fold.train, fold.test], level=level)
    return folds


def group_holdout(groups: GroupIndex, fraction: float, *, level: int = -1, seed: int = 0) -> Fold:
    """Hold out whole groups, drawn at random, until about ``fraction`` of the rows is held out.

    A group that would take the share further from ``fraction`` than leaving it is passed over; both sides
    hold at least one group.

    Raises:
        GroupError: if the fraction is not inside (0, 1) or there is only one group.
    """
    sizes = groups.sizes(level)
    if not 0 < fraction < 1:
        raise GroupError(f"the held-out fraction must lie between 0 and 1, got {fraction}")
    if len(sizes) < 2:
        raise GroupError("there is only one group, so none can be held out; split at a deeper level")
    wanted, held, chosen = fraction * len(groups), 0, np.zeros(len(sizes), dtype=bool)
    order = derived(seed, 32).permutation(len(sizes))
    for group in order:
        if chosen.sum() < len(sizes) - 1 and abs(held + sizes[group] - wanted) < abs(held - wanted):
            chosen[group] = True
            held += sizes[group]
    if not chosen.any():
        chosen[order[np.argmin(sizes[order])]] = True
    test = chosen[groups.codes(level)]
    fold = Fold(np.flatnonzero(~test), np.flatnonzero(test))
    check_disjoint(groups, [fold.train, fold.test], level=level)
    return fold


def check_disjoint(groups: GroupIndex, parts: Sequence[np.ndarray], *, level: int = -1) -> None:
    """Make sure that no group has rows in two parts.

    Args:
        groups: the rows' groups.
        parts: row numbers of each part.
        level: the level of the groups.

    Raises:
        GroupError: naming a group that has, and how many there are.
    """
    codes = groups.codes(level)
    part_of_group = np.full(len(groups.names(level)), -1, dtype=np.int64)
    crossing: set[int] = set()
    for number, rows in enumerate(parts):
        present = np.unique(codes[rows])
        crossing |= set(present[part_of_group[present] >= 0].tolist())
        part_of_group[present] = number
    if crossing:
        name = " / ".join(groups.names(level)[min(crossing)])
        raise GroupError(
            f"{len(crossing)} groups lie on both sides of the split, {name!r} among them; "
            "split with group_folds or group_holdout"
        )
