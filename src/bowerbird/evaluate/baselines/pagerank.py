"""Raw personalised PageRank: where a random walk that keeps returning to the history's items spends its time.

The floor under every model that reads the graph: it has the graph and learns nothing.

Shapes: B cases of a chunk, I items, N items and lists, E edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline, interactions
from bowerbird.evaluate.baselines.neighbours import weighted_profiles
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives, positives
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from bowerbird.tables.view import View


class PageRank(Baseline):
    """Random walk with restart over items, lists and links, restarting at the history.

    Lists are the users' positive events; links are the item-item rows of the links table, both ways. Scores are divided
    by a power of an item's degree, since hubs are visited by everybody.

    Args:
        restart: probability of returning before each step.
        hub_penalty: the power; 0 is plain PageRank.
        steps: power iterations.
        links: whether links are walked.
    """

    name = "Personalised PageRank"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"restart": (0.2, 0.5, 0.8), "hub_penalty": (0.0, 0.3, 0.5)}
    only_scoring = ("restart", "hub_penalty")

    def __init__(
        self, *, restart: float = 0.2, hub_penalty: float = 0.0, steps: int = 8, links: bool = True
    ) -> None:
        super().__init__()
        if not 0 < restart < 1 or hub_penalty < 0 or steps < 1:
            raise ConfigError("personalised PageRank needs 0 < restart < 1, hub_penalty >= 0 and steps >= 1")
        self.restart, self.hub_penalty, self.steps, self.links = restart, hub_penalty, steps, links
        self.note = "users' items and links, nothing learned" if links else "users' items, nothing learned"

    def fit(self, view: View) -> Self:
        """Read the graph of a view."""
        from scipy.sparse import block_array, csr_array

        users_items = interactions(positives(view))
        pairs = _links(view) if self.links else csr_array((view.n_items, view.n_items), dtype=np.float32)
        around = csr_array(block_array([[pairs, users_items.T], [users_items, None]]))
        degree = np.asarray(around.sum(axis=1)).ravel()
        self._items_degree = np.maximum(degree[: view.n_items], 1.0)
        share = 1.0 / np.maximum(degree, 1.0)
        around.data *= np.repeat(share, np.diff(around.indptr)).astype(np.float32)
        self._into = around.T.tocsr().astype(np.float32)
        return super().fit(view)

    def _fit(self, log: Positives) -> None:
        pass  # the graph is all there is

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        start = weighted_profiles(cases, 1.0)
        size = np.maximum(np.asarray(start.sum(axis=1)).ravel(), 1.0)
        home_NB = np.zeros((self._into.shape[0], len(cases)), np.float32)
        home_NB[: cases.n_items] = (start.T / size).toarray()
        here_NB = home_NB
        for _ in range(self.steps):
            here_NB = self.restart * home_NB + (1 - self.restart) * (self._into @ here_NB)
        scores = here_NB[: cases.n_items].T / self._items_degree**self.hub_penalty
        scores = np.ascontiguousarray(scores, np.float32)
        scores[scores <= 0] = -np.inf
        return scores


def _links(view: View) -> csr_array:
    """Item-item links of a view, 1 where there is one either way, float32 (I, I)."""
    import polars as pl
    from scipy.sparse import csr_array

    rows = view.links().filter((pl.col("source_type") == "item") & (pl.col("target_type") == "item"))
    found = rows.select("source_id", "target_id").collect()
    source, target = view.item_ids.encode(found["source_id"]), view.item_ids.encode(found["target_id"])
    known = (source >= 0) & (target >= 0) & (source != target)
    one = csr_array(
        (np.ones(int(known.sum()), np.float32), (source[known], target[known])),
        shape=(view.n_items, view.n_items),
    )
    both = csr_array(one + one.T)
    both.data[:] = 1.0
    return both
