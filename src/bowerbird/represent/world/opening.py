"""A view opened as a world: graph built, neighbourhoods of all nodes stored, contents gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.nodes.batch import NeighbourhoodsLike, SlotLike
from bowerbird.represent.world.contents import (
    ContentEncoder,
    DirectedRelation,
    collection_content,
    item_content,
)
from bowerbird.represent.world.subsets import SubsetSpec, subset_specs
from bowerbird.represent.world.world import Walks, World
from bowerbird.tables.store import Vocabulary
from bowerbird.tables.view import View

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


def open_world(
    view: View, config: OmniSageConfig, encoder: ContentEncoder, *, folder: Path | None = None,
    subsets: Sequence[SubsetSpec] | None = None, types: Sequence[str] | None = None,
) -> World:  # fmt: skip
    """Everything OmniSage needs of a view.

    Args:
        view: what is shown.
        config: graph settings.
        encoder: content as training learned it.
        folder: where the graph and the stored neighbourhoods are kept; a temporary folder when left out. What an
            earlier call left there is used again if it belongs to the same view, and replaced otherwise.
        subsets, types: those of training; from the settings and the graph when left out. A store that shows collections
            only after training gets no collection vectors from that model.
    """
    keeps = None
    if folder is None:
        keeps = TemporaryDirectory(prefix="omnisage-")
        folder = Path(keeps.name)
    graph = _graph(view, folder / "graph")
    if graph is None:
        content = item_content(view, encoder, config, [])
        return World(
            view, config, {}, [], NoWalks(), {"item": content}, {"item": view.item_ids.ids}, keeps=keeps
        )
    reverse = {name: graph.reverse(name) for name in graph.relations}
    specs = list(subsets) if subsets is not None else subset_specs(config, graph.relations, reverse)
    walked = {name: graph.relations[name] for spec in specs for name in spec.relations}
    contents = {"item": item_content(view, encoder, config, walked.values())}
    raw_ids: dict[str, pl.Series] = {"item": view.item_ids.ids}
    if graph.counts.get("collection"):
        raw_ids["collection"] = graph.ids("collection")
        members = next(r for r in graph.relations.values() if (r.source, r.target) == ("collection", "item"))
        contents["collection"] = collection_content(
            view, encoder, config, walked.values(), raw_ids["collection"], members
        )
    walks = _walks(graph, specs, list(contents), config, folder / "neighbourhoods")
    return World(
        view,
        config,
        walked,
        specs,
        walks,
        contents,
        raw_ids,
        _owned(view, walked.values(), raw_ids),
        keeps=keeps,
    )


def _graph(view: View, folder: Path) -> Graph | None:
    """The graph of a view, built unless the folder holds it already; ``None`` where the view shows no edge."""
    from bowerbird.graph import Graph, build_graph, default_relations

    if (folder / "manifest.json").exists():
        graph = Graph.open(folder)
        if graph.manifest.data.get("view") == view.fingerprint:
            return graph
    specs = default_relations(view)
    if not specs:
        return None
    return build_graph(view, folder, specs, overwrite=True)


def _walks(
    graph: Graph, specs: Sequence[SubsetSpec], types: Iterable[str], config: OmniSageConfig, folder: Path
) -> Walks:
    from bowerbird.graph.sampling import Sampler, Subset, precompute

    if not specs:
        return NoWalks()
    subsets = [Subset(spec.name, spec.relations, dict(spec.keep)) for spec in specs]
    sampler = Sampler(graph, subsets, restart=config.restart, budget=config.budget, seed=config.seed)
    stored = {name: precompute(sampler, name, folder / name, overwrite=True) for name in types}
    ends = {spec.name: {graph.relations[name].source for name in spec.relations} for spec in specs}
    return GraphWalks(
        sampler, stored, {name: [s for s, kinds in ends.items() if name in kinds] for name in types}
    )


def _owned(
    view: View, walked: Iterable[DirectedRelation], raw_ids: Mapping[str, pl.Series]
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray] | None:
    """Whose list holds which item, for the lists that walks pass through: users' collections, or users themselves."""
    ends = {(relation.source, relation.target) for relation in walked}
    if ("item", "collection") in ends:
        frame = view.collections()
        if "user_id" not in frame.collect_schema().names():
            return None
        rows = frame.select("collection_id", "item_id", "user_id").drop_nulls().collect()
        user, item = view.user_ids.encode(rows["user_id"]), view.item_ids.encode(rows["item_id"])
        place = Vocabulary(raw_ids["collection"]).encode(rows["collection_id"])
        known = (user >= 0) & (item >= 0) & (place >= 0)
        return (
            "collection",
            user[known].astype(np.int64),
            item[known].astype(np.int64),
            place[known].astype(np.int64),
        )
    if ("item", "user") in ends:
        user = view.positives.user.astype(np.int64)
        return "user", user, view.positives.item.astype(np.int64), user
    return None
