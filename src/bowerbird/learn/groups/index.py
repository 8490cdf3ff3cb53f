"""``GroupIndex``: which groups each row belongs to, from the root of a hierarchy to its leaf.

Legend: N rows, L levels, G groups of one level. A group is a path prefix, so ``("latin", "a")`` and
``("greek", "a")`` are different groups of level 1 inside different groups of level 0. Paths may have
different lengths: below its end a path stays its own group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bowerbird.tables.errors import BowerbirdError

KernelKind = Literal["tree", "levels"]


class GroupError(BowerbirdError):
    """Groups are malformed, unknown, too few, or torn apart by a split."""


class GroupIndex:
    """A hierarchy of groups over rows.

    Args:
        paths: one path per row, root first, each at least one name long, e.g. ``("greek", "alpha")``.

    Raises:
        GroupError: for an empty path, naming the row.
    """

    def __init__(self, paths: Sequence[Sequence[str]]) -> None:
        lengths = np.array([len(path) for path in paths], dtype=np.int64)
        if (lengths == 0).any():
            raise GroupError(f"row {int(np.flatnonzero(lengths == 0)[0])} has an empty group path")
        levels = int(lengths.max()) if len(lengths) else 1
        columns = [
            np.array([path[level] if level < len(path) else "" for path in paths], dtype=object)
            for level in range(levels)
        ]
        self._fill(columns, lengths)

    @classmethod
    def from_columns(cls, *columns: Sequence[object] | np.ndarray) -> GroupIndex:
        """From one column per level (strings or integers), root first; every path has the same length.

        Raises:
            GroupError: for no column or columns of unequal length.
        """
        if not columns or len({len(column) for column in columns}) != 1:
            raise GroupError("groups need at least one column, all of one length")
        index = cls.__new__(cls)
        arrays = [c if isinstance(c, np.ndarray) else np.array(c, dtype=object) for c in columns]
        index._fill(arrays, np.full(len(columns[0]), len(columns), dtype=np.int64))
        return index

    def _fill(self, columns: list[np.ndarray], lengths: np.ndarray) -> None:
        self._lengths = lengths
        n, self.levels = len(lengths), len(columns)
        self._codes = np.zeros((n, self.levels), dtype=np.int64)
        self._names: list[list[tuple[str, ...]]] = []
        above = np.zeros(n, dtype=np.int64)
        names_above: list[tuple[str, ...]] = [()]
        for level, column in enumerate(columns):
            ended = lengths <= level
            values, own = np.unique(column.astype(str), return_inverse=True)
            pair = above * (len(values) + 1) + np.where(ended, 0, own + 1)
            _, first, codes = np.unique(pair, return_index=True, return_inverse=True)
            names: list[tuple[str, ...]] = []
            for row in first:
                prefix = names_above[above[row]]
                names.append(prefix if ended[row] else (*prefix, str(values[own[row]])))
            self._codes[:, level], above, names_above = codes, codes, names
            self._names.append(names)
        self._layouts: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._lengths)

    def _level(self, level: int) -> int:
        if not -self.levels <= level < self.levels:
            raise GroupError(
                f"level {level} does not exist; there are {self.levels} (0 is the root, -1 the leaf)"
            )
        return level % self.levels

    def codes(self, level: int = -1) -> np.ndarray:
        """The group of each row: int64 (N,), dense from 0, in the order of the sorted paths.

        Raises:
            GroupError: if there is no such level.
        """
        return self._codes[:, self._level(level)]

    def names(self, level: int = -1) -> list[tuple[str, ...]]:
        """The path of each group of a level, by code."""
        return self._names[self._level(level)]

    def sizes(self, level: int = -1) -> np.ndarray:
        """Rows per group: int64 (G,)."""
        return np.bincount(self.codes(level), minlength=len(self.names(level)))

    def members(self, group: int | Sequence[str], level: int = -1) -> np.ndarray:
        """The rows of one group, ascending: int64.

        Args:
            group: its code at ``level``, or its path (then ``level`` does not matter).

        Raises:
            GroupError: if there is no such group.
        """
        if not isinstance(group, int | np.integer):
            path = tuple(str(part) for part in group)
            at = next((lv for lv in range(self.levels) if path in self._names[lv]), None)
            if at is None:
                raise GroupError(f"no group has the path {path!r}")
            group, level = self._names[at].index(path), at
        level = self._level(level)
        if not 0 <= group < len(self._names[level]):
            raise GroupError(f"level {level} has groups 0 to {len(self._names[level]) - 1}, not {group}")
        if level not in self._layouts:
            ends = np.cumsum(self.sizes(level))
            self._layouts[level] = (np.argsort(self.codes(level), kind="stable"), ends)
        order, ends = self._layouts[level]
        return order[ends[group - 1] if group else 0 : ends[group]]

    def take(self, rows: np.ndarray) -> GroupIndex:
        """The groups of some rows, in their order."""
        part = GroupIndex.__new__(GroupIndex)
        part._fill_from(self, np.asarray(rows, dtype=np.int64))
        return part

    def _fill_from(self, other: GroupIndex, rows: np.ndarray) -> None:
        self.levels, self._lengths, self._layouts = other.levels, other._lengths[rows], {}
        self._codes = np.zeros((len(rows), self.levels), dtype=np.int64)
        self._names = []
        for level in range(self.levels):
            kept, codes = np.unique(other._codes[rows, level], return_inverse=True)
            self._codes[:, level] = codes
            self._names.append([other._names[level][code] for code in kept])

    def distances(self, row: int) -> np.ndarray:
        """Tree distance from one row to every row: int64 (N,).

        The number of edges between the ends of the two paths: 0 within one leaf, 2 for two leaves of one
        parent.
        """
        agree = np.logical_and.accumulate(self._codes == self._codes[row], axis=1).sum(axis=1)
        shared = np.minimum(np.minimum(agree, self._lengths), self._lengths[row])
        return self._lengths + self._lengths[row] - 2 * shared

    def tree_distance(self, i: int, j: int) -> int:
        """Edges between the ends of two rows' paths."""
        return int(self.distances(i)[j])

    def similarities(self, row: int, kind: KernelKind = "tree", gamma: float = 1.0) -> np.ndarray:
        """One row of :meth:`kernel`: float64 (N,), without building the others."""
        if not gamma > 0:
            raise GroupError(f"gamma must be above 0, got {gamma}")
        if kind == "tree":
            return np.exp(-self.distances(row) / gamma)
        if kind == "levels":
            agree = np.logical_and.accumulate(self._codes == self._codes[row], axis=1)
            return (agree * gamma ** np.arange(self.levels)).sum(axis=1) / (
                gamma ** np.arange(self.levels)
            ).sum()
        raise GroupError(f"kernel {kind!r} is unknown; choose tree or levels")

    def kernel(self, kind: KernelKind = "tree", gamma: float = 1.0) -> np.ndarray:
        """A positive semi-definite similarity of rows: float64 (N, N), 1 on the diagonal.

        Args:
            kind: ``tree``: exp(-distance / gamma). ``levels``: the share of levels two paths agree on from
                the root, level l weighing gamma^l.
            gamma: above 0.
        """
        return np.stack([self.similarities(row, kind, gamma) for row in range(len(self))])
