"""Unordered recall: a target counts as found if any of a case's M vectors has it in its own list.

Shapes: C cases, M vectors a case, k list length of one vector, T targets.
Source: PinRec A6. The metric grows with M even for a bad model, so M must be equal across compared models,
and `budget_ranks` gives the version in which M vectors share one budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.metrics.ranks import MISSED, ranks_in_lists
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from bowerbird.evaluate.cases import Cases


@dataclass(frozen=True)
class VectorLists:
    """What each generated vector retrieved on its own.

    items: int32 (C, M, k), best first, -1 = empty place (a missing vector is a row of -1).
    """

    items: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def vectors(self) -> int:
        """M."""
        return int(self.items.shape[1])

    @staticmethod
    def stack(parts: Iterable[VectorLists]) -> VectorLists:
        """Lists of consecutive chunks as one."""
        return VectorLists(np.concatenate([part.items for part in parts]))


class Generator(Protocol):
    """A model that retrieves with several vectors a case."""

    @property
    def name(self) -> str:
        """The row of the table it stands in."""
        ...

    def generate(self, cases: Cases, k: int) -> VectorLists:
        """The k items nearest to each of the case's vectors, seen items left out."""
        ...


def unordered_ranks(lists: VectorLists, cases: Cases) -> NDArray[np.int32]:
    """int32 (T,): the best place a target has in any vector's list; `rank < k` says found by unordered
    recall@k.

    Feed it to `recall` for the macro version (mean over cases of the share found) and to
    `Statistic.of_targets` for the micro version (share of all targets found). With M = 1 both are recall.
    """
    best = np.full(cases.n_targets, MISSED, np.int32)
    for vector in range(lists.vectors):
        found = ranks_in_lists(lists.items[:, vector], cases.target_offsets, cases.target_item)
        np.minimum(best, found, out=best)
    return best


def budget_ranks(lists: VectorLists, cases: Cases, budget: int) -> NDArray[np.int32]:
    """int32 (T,): 0 where the union of the vectors' lists holds the target when all M share one budget of
    items.

    Each vector gives its first budget // M items, the first budget % M vectors one more. Use with cut-off 1.

    Raises:
        ConfigError: the lists are shorter than a vector's share.
    """
    share, extra = divmod(budget, lists.vectors)
    if lists.items.shape[2] < share + (extra > 0):
        raise ConfigError(
            f"a budget of {budget} over {lists.vectors} vectors needs lists of {share + (extra > 0)} items, "
            f"got {lists.items.shape[2]}"
        )
    best = np.full(cases.n_targets, MISSED, np.int32)
    for vector in range(lists.vectors):
        found = ranks_in_lists(lists.items[:, vector], cases.target_offsets, cases.target_item)
        best[found < share + (vector < extra)] = 0
    return best
