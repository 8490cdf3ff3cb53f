"""Small graphs whose scores are known, and hypothesis strategies for random ones.

Shape letters: N nodes of a space.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from bowerbird.graph import EdgeList, Edges, Graph, Pruning, from_edges
from bowerbird.graph.sampling import Neighbourhoods, Subset
from bowerbird.graph.sampling.space import Space

SAVES = Subset("saves", ("item-collection",), {"item": 6, "collection": 4})
BOTH = Subset("both", ("item-collection", "item-item"), {"item": 5, "collection": 3})
ONE_WAY = Subset("one way", ("item-item",), {"item": 5}, directed=True)


@dataclass(frozen=True)
class World:
    """Edges of a graph before it is built: pairs, with a weight each."""

    items: int
    collections: int
    saves: tuple[tuple[int, int, float], ...]
    links: tuple[tuple[int, int, float], ...]
    symmetric: bool = True

    def graph(self, *, weighted: bool = False, pruning: Pruning | None = None) -> Graph:
        """Builds it in a folder that disappears (the arrays stay mapped)."""
        with tempfile.TemporaryDirectory(prefix="bowerbird-graph-") as folder:
            return from_edges(
                Path(folder) / "graph",
                [
                    EdgeList("item-collection", "item", "collection", _edges(self.saves, weighted)),
                    EdgeList(
                        "item-item", "item", "item", _edges(self.links, weighted), symmetric=self.symmetric
                    ),
                ],
                counts={"item": self.items, "collection": self.collections},
                pruning=pruning,
            )

    def without(self, item: int, collection: int) -> World:
        """The same without one save."""
        kept = tuple(edge for edge in self.saves if edge[:2] != (item, collection))
        return World(self.items, self.collections, kept, self.links, self.symmetric)


def _edges(rows: Sequence[tuple[int, int, float]], weighted: bool) -> Edges:
    table = np.array(rows, np.float64).reshape(-1, 3)
    ids = table[:, :2].astype(np.int64)
    return Edges(ids[:, 0], ids[:, 1], weight=table[:, 2] if weighted else None)


def communities(seed: int = 0, *, items: int = 240, collections: int = 60, groups: int = 6) -> World:
    """Items and collections in groups, some far more popular than others; one item and one collection on their own."""
    rng = np.random.default_rng(seed)
    saves = set()
    for collection in range(collections):
        size = 3 + int(12 * rng.random() ** 3 * 3)
        for _ in range(size):
            group = collection % groups if rng.random() < 0.8 else int(rng.integers(groups))
            saves.add(
                (
                    group + groups * int((items // groups) * rng.random() ** 2),
                    collection,
                    1.0 + rng.integers(3),
                )
            )
    links = {(i, int(rng.integers(items)), 1.0) for i in range(items) for _ in range(2)}
    return World(
        items + 1,
        collections + 1,
        _one_each(saves),
        _one_each({edge for edge in links if edge[0] != edge[1]}),
    )


def _one_each(edges: set[tuple[int, int, float]]) -> tuple[tuple[int, int, float], ...]:
    return tuple({edge[:2]: edge for edge in sorted(edges)}.values())


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to 9 items and 5 collections with any edges between them, of any weight."""
    items, collections = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    weight = st.floats(0.25, 4.0, width=32)
    save = st.tuples(st.integers(0, items - 1), st.integers(0, collections - 1), weight)
    link = st.tuples(st.integers(0, items - 1), st.integers(0, items - 1), weight)
    links = draw(st.lists(link.filter(lambda edge: edge[0] != edge[1]), max_size=12)) if items > 1 else []
    symmetric = draw(st.booleans())
    return World(
        items, collections,
        _one_each(set(draw(st.lists(save, max_size=20)))),
        _one_each({(min(a, b), max(a, b), w) if symmetric else (a, b, w) for a, b, w in links}),
        symmetric,
    )  # fmt: skip


def all_scores(space: Space, restart: float) -> NDArray[np.float64]:
    """float64 (N, N): the score of the column's node for walks from the row's, by solving the linear system.

    Independent of every method under test. Nodes that no edge leaves end the walk.
    """
    weights = space.matrix().toarray().astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    moves = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return restart * np.linalg.inv(np.eye(len(space)) - (1 - restart) * moves)


def overlap(found: Neighbourhoods, truth: Neighbourhoods) -> float:
    """Share of the true neighbours that were found, over all slots and rows."""
    shared = wanted = 0
    for mine, theirs in zip(found.ids, truth.ids, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            shared += len(np.intersect1d(a[a >= 0], b[b >= 0]))
            wanted += int((b >= 0).sum())
    return shared / wanted


def assert_equal(a: Neighbourhoods, b: Neighbourhoods) -> None:
    """Bit by bit."""
    assert a.slots == b.slots
    for kind in ("ids", "scores", "mask"):
        for mine, theirs in zip(getattr(a, kind), getattr(b, kind), strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
