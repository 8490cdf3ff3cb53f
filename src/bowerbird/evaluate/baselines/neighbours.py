"""Item-based nearest neighbours: items acted on by the same people as the history's items.

Shapes: B cases of a chunk, I items, P positive events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline, interactions
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives
from bowerbird.evaluate.ranking import top_k
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_BLOCK = 2048
"""Items whose co-occurrence rows are held at once."""

_DENSE = 256
"""Of those, rows held densely while their best are picked."""


class ItemKNN(Baseline):
    """Cosine of items over users, shrunk where few users support it, the best `neighbours` of each item kept.

    sim(i, j) = n_ij / (sqrt(n_i n_j) + shrink). The score of an item is the sum of its similarities to the
    items of the history, the one `back` places from the end weighted `decay ** back`.

    Args:
        neighbours: similar items kept for each item.
        shrink: added to the denominator.
        decay: weight of each older item relative to the one after it; 1 weighs the whole history equally.
    """

    name = "Item-kNN"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {
        "shrink": (0.0, 10.0),
        "neighbours": (100, 1000),
        "decay": (1.0, 0.9, 0.8, 0.6, 0.4),
    }
    only_scoring = ("decay",)

    def __init__(self, *, neighbours: int = 100, shrink: float = 10.0, decay: float = 1.0) -> None:
        super().__init__()
        if neighbours < 1 or shrink < 0 or not 0 < decay <= 1:
            raise ConfigError("item-kNN needs neighbours >= 1, shrink >= 0 and 0 < decay <= 1")
        self.neighbours, self.shrink, self.decay = neighbours, shrink, decay
        self.note = f"{neighbours} neighbours, shrink {shrink:g}, decay {decay:g}"

    def _fit(self, log: Positives) -> None:
        from scipy.sparse import vstack

        users_items = interactions(log)
        items_users = users_items.T.tocsr()
        root = np.sqrt(np.asarray(users_items.sum(axis=0), np.float32))
        rows = [
            self._nearest(items_users[low : low + _BLOCK] @ users_items, root, low)
            for low in range(0, log.n_items, _BLOCK)
        ]
        self._similar: csr_array = vstack(rows).tocsr()

    def _nearest(self, together: csr_array, root: NDArray[np.float32], low: int) -> csr_array:
        """The strongest similarities of a block of items, from its co-occurrence counts."""
        row = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        together.data /= root[row + low] * root[together.indices] + self.shrink
        together.data[together.indices == row + low] = 0.0
        together.eliminate_zeros()
        crowded = np.flatnonzero(np.diff(together.indptr) > self.neighbours)
        for first in range(0, len(crowded), _DENSE):
            rows = crowded[first : first + _DENSE]
            dense = together[rows].toarray()
            best = top_k(dense, self.neighbours).items
            kept = np.zeros(dense.shape, dtype=bool)
            np.put_along_axis(kept, best, True, axis=1)
            for place, item in enumerate(rows):
                span = slice(together.indptr[item], together.indptr[item + 1])
                together.data[span] *= kept[place, together.indices[span]]
        together.eliminate_zeros()
        return together

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        scores = (weighted_profiles(cases, self.decay) @ self._similar).toarray()
        scores[scores <= 0] = -np.inf
        return scores


def weighted_profiles(cases: Cases, decay: float) -> csr_array:
    """Cases x items: `decay ** back`, the item's latest event standing `back` places from the end."""
    from scipy.sparse import csr_array

    profiles = cases.profiles()
    size = np.diff(profiles.offsets)
    case = np.repeat(np.arange(len(cases)), size)
    back = profiles.offsets[1:][case] - 1 - np.arange(len(profiles.items))
    # One entry an item and case: the latest, which stands last.
    key = case * cases.n_items + profiles.items
    latest = len(key) - 1 - np.unique(key[::-1], return_index=True)[1]
    weight = np.power(decay, back[latest].astype(np.float64))
    enough = weight > 1e-6
    chosen = latest[enough]
    return csr_array(
        (weight[enough].astype(np.float32), (case[chosen], profiles.items[chosen])),
        shape=(len(cases), cases.n_items),
    )
