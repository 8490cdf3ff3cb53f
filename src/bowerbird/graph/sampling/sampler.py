"""`Sampler`: the importance neighbourhoods of nodes (OmniSage, section 3.1.1).

Shape letters: B sources, k length of one slot, K places of all slots of a subset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bowerbird.graph.errors import GraphError
from bowerbird.graph.sampling.shapes import PADDING, Neighbourhoods, Slot, Subset
from bowerbird.graph.sampling.space import Space
from bowerbird.graph.sampling.steady import SPARE, steady
from bowerbird.graph.sampling.threads import cores, over_blocks
from bowerbird.graph.store import Graph
from bowerbird.tables.errors import did_you_mean

Method = Literal["push", "reference", "walks", "exact"]


class Sampler:
    """Finds the nodes where a random walk with restart from a node spends most of its time.

    Per subset of relations one walk is scored in the induced graph, and per node type the best are kept. Answers depend
    on the graph, the settings and the node alone: not on the batch it comes in, nor on threads.

    Args:
        graph: The graph. It stays memory-mapped; scratch is 16 bytes a node for each thread.
        subsets: What to walk on and what to keep.
        restart: Probability c of returning to the source before each step, between 0 and 1. Not in the paper.
        budget: 1 / delta for `push`, which visits at most budget / restart edges; the number of walks for `walks`.
            It must grow with the number of neighbours asked for: choose it by overlap with `exact` on a sample.
        method: `push` is forward push, closed by a few short walks from each candidate; the fastest at equal overlap.
            `reference` is the same in numpy, with the same answer bit by bit, some hundred times slower.
            `walks` simulates and counts visits. `exact` iterates over the whole graph.
        closing: Closing walks a candidate (`push`, `reference`). 0 leaves them out, and scores are then lower bounds.
        weighted: Move in proportion to weight in relations that have weights.
        tolerance: What the scores of `exact` may miss, summed over all nodes.
        grid: Round scores down to powers of two to the n / grid before the best are chosen, ties to the smaller id, so
            that a new edge somewhere changes few neighbourhoods (see `sampling/steady.py`). 0: scores as they are.
        threads: How many; None takes every core.
        seed: Of the walks.

    Raises:
        GraphError: A subset asks for something that the graph does not hold, or a setting is out of range.

    Example:
        >>> sampler = Sampler(graph, [Subset("saves", ("item-collection",), {"item": 25})])    # doctest: +SKIP
        >>> found = sampler.sample("item", [3, 14, 15])                                       # doctest: +SKIP
        >>> found.ids[0].shape                                                                # doctest: +SKIP
        (3, 25)
    """

    def __init__(
        self,
        graph: Graph,
        subsets: Sequence[Subset],
        *,
        restart: float = 0.2,
        budget: int = 200_000,
        method: Method = "push",
        closing: int = 32,
        weighted: bool = False,
        tolerance: float = 1e-9,
        grid: int = 0,
        threads: int | None = None,
        seed: int = 0,
    ) -> None:
        _check(subsets, restart, budget, method, closing, tolerance, grid, threads, seed)
        self.graph = graph
        self.subsets = tuple(subsets)
        self.slots: tuple[Slot, ...] = tuple(slot for subset in self.subsets for slot in subset.slots)
        self.restart, self.budget, self.method = float(restart), int(budget), method
        self.closing, self.weighted, self.seed = int(closing), bool(weighted), int(seed)
        self.tolerance, self.grid = float(tolerance), int(grid)
        self.threads = threads or cores()
        self._spaces = [Space(graph, subset, weighted=weighted) for subset in self.subsets]
        self._scorers = [
            self._scorer(space, subset) for space, subset in zip(self._spaces, self.subsets, strict=True)
        ]

    def _scorer(self, space: Space, subset: Subset) -> Any:
        from bowerbird.graph.sampling.methods import scorers
        from bowerbird.graph.sampling.methods.reference import ReferenceScorer

        more = SPARE if self.grid else 1
        slots = np.array([(*space.span(slot.node_type), slot.k * more) for slot in subset.slots], np.int64)
        if self.method == "exact":
            return scorers.ExactScorer(space, slots, restart=self.restart, tolerance=self.tolerance)
        if self.method == "walks":
            return scorers.WalkScorer(space, slots, restart=self.restart, budget=self.budget, seed=self.seed)
        kind = ReferenceScorer if self.method == "reference" else scorers.PushScorer
        return kind(
            space, slots, restart=self.restart, budget=self.budget, closing=self.closing, seed=self.seed
        )

    def sample(
        self,
        node_type: str,
        ids: ArrayLike,
        *,
        without: ArrayLike | None = None,
        without_type: str | None = None,
    ) -> Neighbourhoods:
        """The neighbourhoods of nodes.

        A node whose type is in no relation of a subset, or that has no edges there, gets an empty row.

        Args:
            node_type: Type of all sources.
            ids: int64 (B,) dense ids; they may repeat.
            without: int64 (B,) one node a source, -1 for none. For this sample the edges between the two, in both
                directions, do not exist, and the node is not returned. So a pair that is to be predicted cannot be read
                from the graph.
            without_type: Type of these nodes; None: `node_type`.

        Returns:
            One row a source, in their order.

        Raises:
            GraphError: An unknown node type, an id that no node has, or arrays that do not fit.
        """
        return self._sample(node_type, ids, without, without_type)[0]

    def work(self, node_type: str, ids: ArrayLike) -> NDArray[np.int64]:
        """What sampling costs, independently of the machine; samples to find out.

        Returns:
            int64 (B, 2): edges visited by pushes, steps of walks. 0 for `exact`, which reads all edges all the time.
        """
        return self._sample(node_type, ids, None, None)[1]

    def _sample(
        self, node_type: str, ids: ArrayLike, without: ArrayLike | None, without_type: str | None
    ) -> tuple[Neighbourhoods, NDArray[np.int64]]:
        from bowerbird.graph.sampling.methods.scorers import Found

        sources = self._ids("ids", node_type, ids, low=0)
        left_out, left_type = np.full(len(sources), PADDING, np.int64), node_type
        if without is not None:
            left_type = without_type or node_type
            left_out = self._ids("without", left_type, without, low=PADDING)
            if len(left_out) != len(sources):
                raise GraphError(
                    f"without has {len(left_out)} nodes for {len(sources)} sources; give one each"
                )
            if left_type == node_type:  # nothing leads from a node to itself
                left_out = np.where(left_out == sources, PADDING, left_out)
        slot_ids, slot_scores = [], []
        work = np.zeros((len(sources), 2), np.int64)
        for subset, space, scorer in zip(self.subsets, self._spaces, self._scorers, strict=True):
            found = Found.empty(len(sources), scorer.places)
            numbers, cut = space.number(node_type, sources), space.number(left_type, left_out)

            def fill(
                begin: int, end: int, scorer: Any = scorer, found: Found = found,
                numbers: NDArray[np.int64] = numbers, cut: NDArray[np.int64] = cut,
            ) -> None:  # fmt: skip
                part = slice(begin, end)
                scorer.fill(
                    numbers[part], cut[part], Found(found.ids[part], found.scores[part], found.work[part])
                )

            over_blocks(fill, len(sources), scorer.block, self.threads)
            ends = np.cumsum(scorer.slots[:, 2])[:-1]
            parts = zip(np.split(found.ids, ends, axis=1), np.split(found.scores, ends, axis=1), strict=True)
            for slot, (ids_BK, scores_BK) in zip(subset.slots, parts, strict=True):
                if self.grid:
                    ids_BK, scores_BK = steady(ids_BK, scores_BK, slot.k, self.grid)
                slot_ids.append(np.ascontiguousarray(ids_BK))
                slot_scores.append(np.ascontiguousarray(scores_BK))
            work += found.work
        return Neighbourhoods.of(self.slots, tuple(slot_ids), tuple(slot_scores)), work

    def _ids(self, name: str, node_type: str, ids: ArrayLike, *, low: int) -> NDArray[np.int64]:
        """Checked dense ids (B,) of a type, from `low` up."""
        if node_type not in self.graph.counts:
            raise GraphError(
                f"no node type {node_type!r} in the graph; {did_you_mean(node_type, self.graph.counts)}"
            )
        found = np.asarray(ids)
        if found.ndim != 1 or (len(found) and not np.issubdtype(found.dtype, np.integer)):
            raise GraphError(
                f"{name} must be whole numbers in one dimension, not {found.dtype} of shape {found.shape}"
            )
        found = np.ascontiguousarray(found, np.int64)
        wrong = np.flatnonzero((found < low) | (found >= self.graph.counts[node_type]))
        if len(wrong):
            raise GraphError(
                f"{name}, position {wrong[0]}: no {node_type} has the dense id {found[wrong[0]]}; there are "
                f"{self.graph.counts[node_type]:,}, numbered from 0"
            )
        return found

    @property
    def relations(self) -> tuple[str, ...]:
        """Names of all relations that are walked along, reverse ones included, sorted."""
        return tuple(sorted({relation.name for space in self._spaces for relation in space.relations}))

    def settings(self) -> dict[str, Any]:
        """What an answer depends on, besides the graph: JSON-able, equal for samplers that answer alike."""
        return {
            "subsets": [
                {
                    "name": subset.name,
                    "relations": list(subset.relations),
                    "keep": {name: int(k) for name, k in subset.keep.items()},
                    "directed": subset.directed,
                }
                for subset in self.subsets
            ],
            "restart": self.restart,
            "budget": self.budget,
            "method": "push" if self.method == "reference" else self.method,
            "closing": self.closing,
            "weighted": self.weighted,
            "tolerance": self.tolerance,
            "grid": self.grid,
            "seed": self.seed,
        }


def _check(
    subsets: Sequence[Subset],
    restart: float,
    budget: int,
    method: str,
    closing: int,
    tolerance: float,
    grid: int,
    threads: int | None,
    seed: int,
) -> None:
    if not subsets:
        raise GraphError("a sampler needs at least one subset of relations")
    names = [subset.name for subset in subsets]
    if len(set(names)) < len(names):
        raise GraphError(f"two subsets have one name: {', '.join(names)}")
    if not (math.isfinite(restart) and 0.0 < restart < 1.0):
        raise GraphError(f"restart must lie between 0 and 1, not {restart}")
    if not 1 <= budget <= 1 << 40:
        raise GraphError(f"budget must be from 1 to 2^40, not {budget}")
    if method not in get_args(Method):
        raise GraphError(f"no method {method!r}; {did_you_mean(method, get_args(Method))}")
    if not 0 <= closing <= 4096:
        raise GraphError(f"closing must be from 0 to 4096 walks a candidate, not {closing}")
    if not 0 < tolerance < 1:
        raise GraphError(f"tolerance must lie between 0 and 1, not {tolerance}")
    if not 0 <= grid <= 1024:
        raise GraphError(f"grid must be from 0 to 1024 steps an octave, not {grid}")
    if threads is not None and threads < 1:
        raise GraphError(f"threads must be at least 1, not {threads}")
    if not 0 <= seed < 1 << 63:
        raise GraphError(f"seed must be from 0 to 2^63 - 1, not {seed}")
