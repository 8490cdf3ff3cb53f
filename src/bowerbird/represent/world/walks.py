"""Neighbourhoods of a graph as the world asks for them: stored for all nodes, or walked anew without an edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.nodes.batch import NeighbourhoodsLike, SlotLike
from bowerbird.represent.world.subsets import SubsetSpec
from bowerbird.represent.world.world import Walks

if TYPE_CHECKING:
    from bowerbird.graph import Graph
    from bowerbird.graph.sampling import Sampler, StoredNeighbourhoods


class GraphWalks:
    """Neighbourhoods of a graph: stored for all nodes of the types that get vectors, walked anew without an edge.

    A type sees only the subsets it has edges in; the others could never find it a neighbour.

    Args:
        sampler: of the graph.
        stored: type -> neighbourhoods of all nodes.
        subsets: type -> names of the subsets that have edges of it.
    """

    def __init__(
        self,
        sampler: Sampler,
        stored: Mapping[str, StoredNeighbourhoods],
        subsets: Mapping[str, Sequence[str]],
    ) -> None:
        self._sampler, self._stored = sampler, dict(stored)
        self._places = {
            name: [place for place, slot in enumerate(sampler.slots) if slot.subset in kept]
            for name, kept in subsets.items()
        }

    def stored(self, node_type: str, ids: np.ndarray) -> NeighbourhoodsLike:
        """See :class:`bowerbird.represent.world.world.Walks`."""
        return self._seen(node_type, self._stored[node_type].take(ids))

    def without(
        self, node_type: str, ids: np.ndarray, other_type: str, other: np.ndarray
    ) -> NeighbourhoodsLike:
        """See :class:`bowerbird.represent.world.world.Walks`."""
        return self._seen(
            node_type, self._sampler.sample(node_type, ids, without=other, without_type=other_type)
        )

    def slots(self, node_type: str) -> Sequence[SlotLike]:
        """See :class:`bowerbird.represent.world.world.Walks`."""
        return [self._sampler.slots[place] for place in self._places[node_type]]

    def _seen(self, node_type: str, found: NeighbourhoodsLike) -> NeighbourhoodsLike:
        places = self._places[node_type]
        return Near(
            [found.slots[p] for p in places], [found.ids[p] for p in places], [found.scores[p] for p in places],
            [found.mask[p] for p in places],
        )  # fmt: skip


@dataclass(frozen=True)
class Near:
    """Neighbourhoods as lists over slots; see :class:`bowerbird.represent.nodes.batch.NeighbourhoodsLike`."""

    slots: Sequence[SlotLike] = ()
    ids: Sequence[np.ndarray] = ()
    scores: Sequence[np.ndarray] = ()
    mask: Sequence[np.ndarray] = ()


class NoWalks:
    """The walks of a view without edges: nobody has neighbours."""

    def stored(self, node_type: str, ids: np.ndarray) -> NeighbourhoodsLike:
        """See :class:`bowerbird.represent.world.world.Walks`."""
        return Near()

    def without(
        self, node_type: str, ids: np.ndarray, other_type: str, other: np.ndarray
    ) -> NeighbourhoodsLike:
        """See :class:`bowerbird.represent.world.world.Walks`."""
        return Near()

    def slots(self, node_type: str) -> Sequence[SlotLike]:
        """See :class:`bowerbird.represent.world.world.Walks`."""
        return ()


def graph_walks(
    graph: Graph, specs: Sequence[SubsetSpec], types: Iterable[str], config: OmniSageConfig, folder: Path
) -> Walks:
    """The walks of a graph; neighbourhoods that an earlier call stored in the folder are used again."""
    from bowerbird.graph.sampling import Sampler, Subset, precompute

    if not specs:
        return NoWalks()
    subsets = [Subset(spec.name, spec.relations, dict(spec.keep)) for spec in specs]
    sampler = Sampler(
        graph, subsets, restart=config.restart, budget=config.budget, closing=config.closing, grid=config.score_grid,
        seed=config.seed,
    )  # fmt: skip
    stored = {name: precompute(sampler, name, folder / name, overwrite=True) for name in types}
    ends = {spec.name: {graph.relations[name].source for name in spec.relations} for spec in specs}
    return GraphWalks(
        sampler, stored, {name: [s for s, kinds in ends.items() if name in kinds] for name in types}
    )
