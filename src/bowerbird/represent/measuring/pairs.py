"""Pair recall: given one end of a new edge, is the other end among the ten nearest? With floors that learned nothing.

Shapes: Q queries, P pairs, I items, C collections, N nodes, D dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import block_array, coo_array, csr_array

from bowerbird.evaluate.baselines.content import content_matrix
from bowerbird.evaluate.report import Table
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.world.world import World
from bowerbird.tables.view import View

_RESTART, _STEPS, _CHUNK = 0.2, 8, 256


@dataclass(frozen=True)
class Pairs:
    """New edges to be foreseen: anchor, positive int64 (P,); they are items, or items and collections."""

    name: str
    anchor: np.ndarray
    positive: np.ndarray
    positive_type: str


def pair_table(opened: Sequence[OpenOmniSage], view: View, since: View, *, limit: int, k: int = 10) -> Table:
    """Recall of every kind of pair that is new between two views, by model and floor.

    Args:
        opened: one model, a seed each, in the world of ``since``.
        view, since: the new edges are those that only ``view`` shows.
        limit: most pairs of a kind. k: length of the lists.
    """
    world = opened[0].world
    rows = []
    for pairs in new_pairs(world, view, since, limit=limit):
        ours = [_share(pair_hits(model_scores(one, pairs), world, pairs, k)) for one in opened]
        row = [pairs.name, len(pairs.anchor), float(np.mean(ours))]
        row += [_share(pair_hits(score, world, pairs, k)) for score in floor_scores(world, since, pairs)]
        rows.append(row)
    columns = ["pairs", "count", "OmniSage", "popularity", "personalised PageRank", "content cosine"]
    note = f"Recall@{k} over all nodes of the positive's type, known neighbours left out."
    return Table(f"Pairs of entities, recall@{k}", columns, rows, note=note)


def new_pairs(world: World, view: View, since: View, *, limit: int) -> list[Pairs]:
    """Item to item and item to collection, as far as they are new; a fixed sample of at most ``limit`` of each."""
    rng = np.random.default_rng(0)
    found = []
    linked = _new_links(view, since)
    name = "item to item, new links"
    if not len(linked[0]):
        linked, name = _kept_next(view, since), "item to item, kept by one user"
    found.append(Pairs(name, *linked, positive_type="item"))
    if "collection" in world.contents:
        known = pl.Series(world.raw_ids["collection"])
        old = since.collections().select("collection_id", "item_id")
        new = view.collections().select("collection_id", "item_id")
        rows = (
            new.join(old, on=["collection_id", "item_id"], how="anti")
            .unique()
            .sort("collection_id", "item_id")
        )
        frame = rows.collect()
        frame = frame.filter(frame["collection_id"].is_in(known.implode()))
        place = {raw: dense for dense, raw in enumerate(known.to_list())}
        positive = np.array([place[raw] for raw in frame["collection_id"].to_list()], np.int64)
        anchor = view.item_ids.encode(frame["item_id"]).astype(np.int64)
        found.append(Pairs("item to collection", anchor, positive, "collection"))
    sampled = []
    for pairs in found:
        size = len(pairs.anchor)
        chosen = (
            np.sort(rng.choice(size, size=min(limit, size), replace=False)) if size else np.empty(0, np.int64)
        )
        if size:
            sampled.append(
                Pairs(pairs.name, pairs.anchor[chosen], pairs.positive[chosen], pairs.positive_type)
            )
    return sampled


def _new_links(view: View, since: View) -> tuple[np.ndarray, np.ndarray]:
    columns = ["source_id", "target_id"]
    between = (pl.col("source_type") == "item") & (pl.col("target_type") == "item")
    new = view.links().filter(between).select(columns)
    old = since.links().filter(between).select(columns)
    frame = new.join(old, on=columns, how="anti").unique().sort(columns).collect()
    ends = [view.item_ids.encode(frame[column]).astype(np.int64) for column in columns]
    known = (ends[0] >= 0) & (ends[1] >= 0)
    return ends[0][known], ends[1][known]


def _kept_next(view: View, since: View) -> tuple[np.ndarray, np.ndarray]:
    """A user's last item before the wall and the first one after it."""
    held = view.held_out(since)
    user, first = np.unique(held.user[held.positive], return_index=True)
    positive = held.item[held.positive][first].astype(np.int64)
    history = since.histories(user, 1)
    some = history.lengths > 0
    anchor = history.item[some, 0].astype(np.int64)
    apart = anchor != positive[some]
    return anchor[apart], positive[some][apart]


def _positives(opened: OpenOmniSage, pairs: Pairs) -> np.ndarray:
    if pairs.positive_type == "item":
        return opened.items
    return opened.collections


Scores = Callable[[np.ndarray], np.ndarray]
"""Anchors, int64 (Q,), to scores of every node of the positive's type (Q, N)."""


def model_scores(opened: OpenOmniSage, pairs: Pairs) -> Scores:
    """Cosines of anchors with the nodes of the positives' type."""
    return lambda anchor: opened.items[anchor] @ _positives(opened, pairs).T


def pair_hits(score: Scores, world: World, pairs: Pairs, k: int) -> np.ndarray:
    """Whether each positive is among the k best of its anchor, known neighbours left out; ties count against it.

    Args:
        score: of anchors. world: whose edges are known. pairs: P of them. k: length of the lists.

    Returns:
        bool (P,).
    """
    known = _edges(world, pairs.positive_type)
    hits = [np.zeros(0, dtype=bool)]
    for low in range(0, len(pairs.anchor), _CHUNK):
        anchor, positive = pairs.anchor[low : low + _CHUNK], pairs.positive[low : low + _CHUNK]
        scores = np.array(score(anchor), np.float32)
        rows = np.arange(len(anchor))
        target = scores[rows, positive].copy()
        around = known[anchor]
        scores[np.repeat(rows, np.diff(around.indptr)), around.indices] = -np.inf
        if pairs.positive_type == "item":
            scores[rows, anchor] = -np.inf
        scores[rows, positive] = -np.inf
        hits.append(((scores >= target[:, None]).sum(1) < k) & np.isfinite(target))
    return np.concatenate(hits)


def _share(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else 0.0


def _edges(world: World, target: str) -> csr_array:
    """Edges from items to nodes of a type, 1 each."""
    shape = (world.contents["item"].count, world.contents[target].count)
    found = [_matrix(r, shape) for r in world.relations.values() if (r.source, r.target) == ("item", target)]
    both = csr_array(sum(found, start=csr_array(shape, dtype=np.float32)))
    both.data[:] = 1.0
    return both


def _matrix(relation: object, shape: tuple[int, int]) -> csr_array:
    indptr = np.asarray(relation.indptr, np.int64)  # type: ignore[attr-defined]
    indices = np.asarray(relation.indices).astype(np.int64)  # type: ignore[attr-defined]
    rows = np.repeat(np.arange(shape[0]), np.diff(indptr))
    return csr_array(coo_array((np.ones(len(indices), np.float32), (rows, indices)), shape=shape))


def floor_scores(world: World, since: View, pairs: Pairs) -> tuple[Scores, Scores, Scores]:
    """Popularity, personalised PageRank and content cosine."""
    links, lists = _edges(world, "item"), None
    n_items = links.shape[0]
    if "collection" in world.contents:
        lists = _edges(world, "collection")
    whole = csr_array(block_array([[links, lists], [lists.T, None]])) if lists is not None else links
    degree = np.asarray(whole.sum(axis=1)).ravel()
    walk = whole.copy().astype(np.float32)
    walk.data *= np.repeat(1 / np.maximum(degree, 1), np.diff(walk.indptr)).astype(np.float32)
    into = walk.T.tocsr()
    part = slice(0, n_items) if pairs.positive_type == "item" else slice(n_items, None)
    count = since.item_counts() if pairs.positive_type == "item" else degree[part]
    content = content_matrix(since)
    other = content
    if pairs.positive_type == "collection" and lists is not None:
        other = csr_array(lists.T @ content)
        norm = np.sqrt(np.asarray(other.multiply(other).sum(axis=1)).ravel())
        other.data /= np.repeat(np.maximum(norm, 1e-12), np.diff(other.indptr)).astype(np.float32)

    def popularity(anchor: np.ndarray) -> np.ndarray:
        return np.broadcast_to(count, (len(anchor), len(count)))

    def pagerank(anchor: np.ndarray) -> np.ndarray:
        home = np.zeros((into.shape[0], len(anchor)), np.float32)
        home[anchor, np.arange(len(anchor))] = 1.0
        here = home
        for _ in range(_STEPS):
            here = _RESTART * home + (1 - _RESTART) * (into @ here)
        return here[part].T

    def cosine(anchor: np.ndarray) -> np.ndarray:
        return (content[anchor] @ other.T).toarray()

    return popularity, pagerank, cosine
