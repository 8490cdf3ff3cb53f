"""Entity pairs: from importance neighbourhoods, weighted by walk scores, and from logged edges (A.3, task 1).

Shapes: R rows, E edges.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.world.folds import Fold
from bowerbird.represent.world.world import Logged, World

Segment = tuple[str, str]
"""(anchor type, positive type)."""


def _is_list(found: Logged) -> bool:
    return {found.anchor_type, found.positive_type} == {"item", "collection"}


def _held_out(found: Logged, fold: Fold) -> Logged:
    """The edges that a fold lacks, of edges between items and lists; others as they are."""
    if not _is_list(found):
        return found
    ends = {found.anchor_type: found.anchor, found.positive_type: found.positive}
    kept = fold.holds_out(ends["collection"], ends["item"])
    return replace(found, anchor=found.anchor[kept], positive=found.positive[kept], weight=found.weight[kept])


class PairSource:
    """Draws pairs by segment.

    A segment's share of the rows grows with the square root of its edges (A.8), so that rare relations are heard.

    Args:
        world: edges and neighbourhoods.
        config: ``pairs`` are shared out; ``neighbour_pairs`` of each segment come from neighbourhoods.
        whole, fold: the world with all edges and the fold that ``world`` belongs to; pairs of items and lists are then
            the edges that the fold holds out, and no others.
    """

    def __init__(
        self, world: World, config: OmniSageConfig, whole: World | None = None, fold: Fold | None = None
    ) -> None:
        self._world, self._config = world, config
        logged = world.logged()
        self._held: set[Segment] = set()
        if whole is not None and fold is not None:
            logged = [_held_out(found, fold) for found in whole.logged()]
            self._held = {(f.anchor_type, f.positive_type) for f in logged if _is_list(f)}
        self._logged = {(f.anchor_type, f.positive_type): f for f in logged if len(f.anchor)}
        self._cumulative = {key: np.cumsum(found.weight) for key, found in self._logged.items()}
        self._anchors = {
            name: np.flatnonzero(content.log_degree > 0)
            for name, content in world.contents.items()
            if content.log_degree is not None
        }
        walked = {
            (name, slot.node_type)
            for name in world.contents
            for slot in world.walks.slots(name)
            if slot.node_type == name == "item" and len(self._anchors.get(name, ()))
        }
        if config.aggregator == "none" and config.neighbour_pairs == 0:
            walked = set()
        self.segments: list[Segment] = sorted(set(self._logged) | walked)
        size = np.array([self._size(segment) for segment in self.segments], np.float64)
        self._shares = np.sqrt(size) / max(np.sqrt(size).sum(), 1e-12)

    def _size(self, segment: Segment) -> int:
        found = self._logged.get(segment)
        return len(found.anchor) if found is not None else len(self._anchors[segment[0]])

    def draw(self, rng: np.random.Generator, count: int) -> dict[Segment, tuple[np.ndarray, np.ndarray]]:
        """About ``count`` pairs: segment -> (anchor, positive), int64 (R,) each."""
        found = {}
        for segment, share in zip(self.segments, self._shares, strict=True):
            rows = max(1, round(count * share))
            near = rows if segment not in self._logged else round(rows * self._config.neighbour_pairs)
            near = 0 if segment in self._held else near
            parts = [self._near(rng, segment, near)]
            missing = rows - len(parts[0][0])
            if segment in self._logged and missing:
                parts.append(self._edges(rng, segment, missing))
            anchor, positive = (np.concatenate(column) for column in zip(*parts, strict=True))
            found[segment] = (anchor, positive)
        return found

    def _edges(self, rng: np.random.Generator, segment: Segment, rows: int) -> tuple[np.ndarray, np.ndarray]:
        log: Logged = self._logged[segment]
        cumulative = self._cumulative[segment]
        at = np.searchsorted(cumulative, rng.random(rows) * cumulative[-1], side="right")
        at = np.minimum(at, len(cumulative) - 1)
        return log.anchor[at], log.positive[at]

    def _near(self, rng: np.random.Generator, segment: Segment, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Uniform anchors, each with a neighbour drawn by its score; anchors without one are left out."""
        kind, wanted = segment
        candidates = self._anchors.get(kind, np.empty(0, np.int64))
        empty = np.empty(0, np.int64)
        if rows == 0 or not len(candidates):
            return empty, empty
        anchor = rng.choice(candidates, size=rows)
        draw = rng.random(rows)
        near = self._world.walks.stored(kind, anchor)
        places = [place for place, slot in enumerate(near.slots) if slot.node_type == wanted]
        if not places:
            return empty, empty
        # each subset's scores count alike, whatever the sizes of their graphs
        parts = [np.where(near.mask[p], near.scores[p], 0.0).astype(np.float64) for p in places]
        parts = [part / np.maximum(part.sum(1, keepdims=True), 1e-12) for part in parts]
        ids = np.concatenate([near.ids[p] for p in places], axis=1)
        total = np.cumsum(np.concatenate(parts, axis=1), axis=1)
        column = (total <= (draw * total[:, -1])[:, None]).sum(1)
        kept = total[:, -1] > 0
        column = np.minimum(column, ids.shape[1] - 1)
        positive = ids[np.arange(rows), column]
        kept &= positive >= 0
        return anchor[kept], positive[kept]
