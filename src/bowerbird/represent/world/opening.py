"""A view opened as a world: graph built, neighbourhoods of all nodes stored, contents gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.world.contents import (
    ContentEncoder,
    DirectedRelation,
    collection_content,
    item_content,
)
from bowerbird.represent.world.folds import folds_of
from bowerbird.represent.world.subsets import SubsetSpec, subset_specs
from bowerbird.represent.world.walks import NoWalks, graph_walks
from bowerbird.represent.world.world import World
from bowerbird.tables.store import Vocabulary
from bowerbird.tables.view import View

if TYPE_CHECKING:
    from bowerbird.graph import Graph


def open_world(
    view: View, config: OmniSageConfig, encoder: ContentEncoder, *, folder: Path | None = None,
    subsets: Sequence[SubsetSpec] | None = None, types: Sequence[str] | None = None, learning: bool = False,
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
        learning: whether folds are made too, see :mod:`bowerbird.represent.world.folds`.
    """
    keeps = None
    if folder is None:
        keeps = TemporaryDirectory(prefix="omnisage-")
        folder = Path(keeps.name)
    graph = _graph(view, folder / "graph", config.pruning)
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
    walks = graph_walks(graph, specs, list(contents), config, folder / "neighbourhoods")
    owned = _owned(view, walked.values(), raw_ids)
    world = World(view, config, walked, specs, walks, contents, raw_ids, owned, keeps=keeps)
    if learning:
        world.folds = folds_of(world, graph, folder / "folds")
    return world


def _graph(view: View, folder: Path, exponent: float) -> Graph | None:
    """The graph of a view, built unless the folder holds it already; ``None`` where the view shows no edge."""
    from bowerbird.graph import Graph, Pruning, build_graph, default_relations

    pruning = Pruning(exponent) if exponent < 1 else None
    if (folder / "manifest.json").exists():
        graph = Graph.open(folder)
        wanted = None if pruning is None else asdict(pruning)
        if graph.manifest.data.get("view") == view.fingerprint and graph.manifest.pruning == wanted:
            return graph
    specs = default_relations(view)
    if not specs:
        return None
    return build_graph(view, folder, specs, pruning=pruning, overwrite=True)


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
