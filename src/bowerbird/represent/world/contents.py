"""What is known of every node of a view, in the order of its graph.

Shapes: I items, C collections, X memberships.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import numpy as np
import polars as pl

from bowerbird.nn import ItemFeatures, encode_text
from bowerbird.nn.features.catalogue import TEXT_BUCKETS, CatalogueEncoder
from bowerbird.represent.config import SMALL_CATALOGUE, OmniSageConfig
from bowerbird.represent.nodes.features import NodeContent
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store.keys import mix
from bowerbird.tables.view import View

_TITLE = "text_title"


class DirectedRelation(Protocol):
    """A directed relation as compressed rows (:class:`bowerbird.graph.Relation` is one)."""

    @property
    def source(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def indptr(self) -> np.ndarray: ...

    @property
    def indices(self) -> np.ndarray: ...


@dataclass(frozen=True)
class ContentEncoder:
    """What training learned about content: applied to any later view.

    items: how item columns become features. titles: whether collections have titles.
    """

    items: CatalogueEncoder
    titles: bool

    @classmethod
    def fit(cls, view: View) -> Self:
        """Learn vocabularies and scales from what a view shows."""
        return cls(CatalogueEncoder.fit(view.item_table()), bool(_titles(view).height))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"items": self.items.to_dict(), "titles": self.titles}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(CatalogueEncoder.from_dict(data["items"]), bool(data["titles"]))


def id_mode(config: OmniSageConfig, n_items: int) -> Literal["none", "table", "hash"]:
    """Whether items have an identity feature."""
    if config.id_mode == "auto":
        return "table" if n_items <= SMALL_CATALOGUE else "hash"
    return config.id_mode


def item_content(
    view: View, encoder: ContentEncoder, config: OmniSageConfig, relations: Iterable[DirectedRelation]
) -> NodeContent:
    """The items of a view.

    Args:
        view, encoder, config: as named.
        relations: what walks use; degrees are counted in them.

    Raises:
        ConfigError: items would have no feature at all.
    """
    features = encoder.items.encode(view.item_table())
    mode = id_mode(config, view.n_items)
    walked = list(relations)
    degree = _degrees(walked, "item", view.n_items)
    kept = _degrees([r for r in walked if r.target in ("collection", "user")], "item", view.n_items)
    kept += view.item_counts()
    # what training could only meet along a citation or a tag has no identity of its own, unless nobody has
    unseen = kept == 0 if kept.any() else degree == 0
    content = NodeContent(
        count=view.n_items, features=features, bags=encoder.items.bags, id_mode=mode,
        unseen=unseen, log_degree=np.log1p(degree).astype(np.float32),
    )  # fmt: skip
    if not content.tokens:
        raise ConfigError("items have no content features and id_mode is none; set id_mode=table")
    return content


def collection_content(
    view: View, encoder: ContentEncoder, config: OmniSageConfig, relations: Iterable[DirectedRelation],
    ids: pl.Series, members: DirectedRelation,
) -> NodeContent:  # fmt: skip
    """The collections of a view.

    Args:
        view, encoder, config, relations: as in :func:`item_content`.
        ids: raw ids of collections in the graph's order.
        members: the relation from collections to items; of a large collection a fixed random part stands for all.
    """
    bags, features = {}, ItemFeatures()
    if encoder.titles:
        asked = pl.DataFrame({"collection_id": ids})
        found = asked.join(_titles(view), on="collection_id", how="left", maintain_order="left")
        bags = {_TITLE: TEXT_BUCKETS}
        features = ItemFeatures(bags={_TITLE: encode_text(found["title"].to_list(), TEXT_BUCKETS)})
    offsets, flat = capped(members, config.members)
    degree = _degrees(relations, "collection", len(ids))
    return NodeContent(
        count=len(ids), features=features, bags=bags, log_degree=np.log1p(degree).astype(np.float32),
        member_type="item", member_offsets=offsets, members=flat,
    )  # fmt: skip


def capped(relation: DirectedRelation, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most ``most`` targets of each source, drawn by a hash of both ends, so that more edges change few draws.

    Returns:
        offsets int64 (N + 1,), target ids int64 (X,), ascending within a source.
    """
    indptr = np.array(relation.indptr, np.int64)  # a copy: the file is read-only
    target = np.asarray(relation.indices).astype(np.int64)
    count = np.diff(indptr)
    if len(target) == 0 or count.max() <= most:
        return indptr, target
    source = np.repeat(np.arange(len(count)), count)
    draw = mix(mix(source.astype(np.uint64)) ^ target.astype(np.uint64))
    order = np.lexsort((draw, source))
    kept = np.sort(order[np.arange(len(order)) - indptr[source] < most])
    return np.concatenate([[0], np.cumsum(np.minimum(count, most))]).astype(np.int64), target[kept]


def with_edges(
    content: NodeContent,
    kind: str,
    relations: Iterable[DirectedRelation],
    members: DirectedRelation | None,
    most: int,
) -> NodeContent:
    """The same nodes in a graph with other edges.

    Args:
        content: of all nodes of type ``kind``.
        relations: what walks use. members: from these nodes to their members, for types that have some.
        most: members that stand for all.
    """
    degree = _degrees(relations, kind, content.count)
    found = replace(content, log_degree=np.log1p(degree).astype(np.float32))
    if content.member_type and members is not None:
        offsets, flat = capped(members, most)
        found = replace(found, member_offsets=offsets, members=flat)
    return found


def row_sizes(relation: DirectedRelation) -> np.ndarray:
    """int64 (N,): edges of each source."""
    indptr = np.asarray(relation.indptr, np.int64)
    return indptr[1:] - indptr[:-1]


def _degrees(relations: Iterable[DirectedRelation], kind: str, count: int) -> np.ndarray:
    degree = np.zeros(count, np.int64)
    for relation in relations:
        if relation.source == kind:
            degree += row_sizes(relation)
    return degree


def _titles(view: View) -> pl.DataFrame:
    """One title per titled collection (the first in order), empty where there are none."""
    frame = view.collections()
    if "title" not in frame.collect_schema().names():
        return pl.DataFrame({"collection_id": [], "title": []})
    return (
        frame.filter(pl.col("title").is_not_null())
        .group_by("collection_id")
        .agg(pl.col("title").min())
        .sort("collection_id")
        .collect()
    )
