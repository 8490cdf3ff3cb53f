"""Entity pairs: from importance neighbourhoods, weighted by walk scores, and from logged edges (A.3, task 1).

Shapes: R rows, E edges.
"""

from __future__ import annotations

import numpy as np

from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.world.world import Logged, World

Segment = tuple[str, str]
"""(anchor type, positive type)."""


class PairSource:
    """Draws pairs by segment.

    A segment's share of the rows grows with the square root of its edges (A.8), so that rare relations are heard.

    Args:
        world: edges and neighbourhoods.
        config: ``pairs`` are shared out; ``neighbour_pairs`` of each segment come from neighbourhoods.
    """

    def __init__(self, world: World, config: OmniSageConfig) -> None:
        self._world, self._config = world, config
        self._logged = {(found.anchor_type, found.positive_type): found for found in world.logged()}
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
