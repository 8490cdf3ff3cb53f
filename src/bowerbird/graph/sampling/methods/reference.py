"""Forward push in numpy: the same order of the same float32 operations as `push.py`, so the same answer bit by bit.

It is there to be read, and to test the compiled one against. Shape letters: N nodes, D edges of one node, W walkers.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.sampling.adjacency import Adjacency
from bowerbird.graph.sampling.methods import random
from bowerbird.graph.sampling.methods.push import SPREAD
from bowerbird.graph.sampling.methods.rows import TRIES
from bowerbird.graph.sampling.methods.scorers import Found, PushScorer

_NOWHERE = -1
_ONE = np.float32(1)


def stream(key: np.uint64, number: int) -> np.uint64:
    """`random.stream`; a number that comes back from compiled code is a Python int."""
    return np.uint64(random.stream(key, number))


def draw(key: np.uint64, number: int) -> np.uint64:
    """`random.draw`."""
    return np.uint64(random.draw(key, number))


class ReferenceScorer(PushScorer):
    """Forward push with closing, in numpy. Arguments as for `PushScorer`."""

    def fill(self, sources: NDArray[np.int64], without: NDArray[np.int64], found: Found) -> None:
        """See `Scorer.fill`."""
        found.ids[:], found.scores[:], found.work[:] = -1, 0.0, 0
        for i, (source, other) in enumerate(zip(sources.tolist(), without.tolist(), strict=True)):
            if source >= 0:
                found.work[i] = self._fill_row(source, other, found.ids[i], found.scores[i])

    def push(self, source: int, other: int = -1) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
        """Settled estimate (N,), residual (N,), and the number of edges visited for them."""
        settled = np.zeros(len(self.space), np.float32)
        residual = np.zeros(len(self.space), np.float32)
        threshold = np.float32(self.delta) * np.maximum(self.space.degree, 1).astype(np.float32)
        for node in (source, other) if other >= 0 else ():
            threshold[node] = np.float32(self.delta) * np.float32(max(self._degree(node, source, other), 1))
        keep = np.float32(self.restart)
        residual[source] = _ONE
        queue, edges = deque([source]), 0
        while queue:
            node = queue.popleft()
            moving = residual[node]
            residual[node] = 0.0
            settled[node] += keep * moving
            total = self._total(node, source, other)
            if total == 0:
                continue
            share = (_ONE - keep) * moving / total
            for to, weights in self._rows(node, source, other):  # the targets in one relation are distinct
                edges += len(to)
                old = residual[to]
                new = old + share * weights
                residual[to] = new
                queue.extend(to[(old <= threshold[to]) & (new > threshold[to])].tolist())
        return settled, residual, edges

    def _fill_row(
        self, source: int, other: int, ids: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> tuple[int, int]:
        settled, residual, edges = self.push(source, other)
        own = stream(stream(np.uint64(self.seed), 0), source)
        steps, column = 0, 0
        rest = np.float32(0.5) if self.closing else np.float32(self.restart)
        first_guess = settled + rest * residual
        first_guess[source] = 0.0
        if other >= 0:
            first_guess[other] = 0.0
        for low, high, k in self.slots.tolist():
            nodes = np.arange(low, high)[first_guess[low:high] > 0]
            value = first_guess[nodes]
            order = np.lexsort((nodes, -value))[: k * SPREAD if self.closing else k]
            nodes, value = nodes[order], value[order]
            if self.closing:
                for place, node in enumerate(nodes.tolist()):
                    missing, taken = self._closed(node, residual, stream(own, node), source, other)
                    value[place] = settled[node] + missing
                    steps += taken
                order = np.lexsort((nodes, -value))[:k]
                nodes, value = nodes[order], value[order]
            ids[column : column + len(nodes)] = nodes - low
            scores[column : column + len(nodes)] = value
            column += k
        return edges, steps

    def _closed(
        self, node: int, residual: NDArray[np.float32], key: np.uint64, source: int, other: int
    ) -> tuple[np.float32, int]:
        keep = np.float32(self.restart)
        missing = keep * residual[node]
        lopsided = len(self.entering) > 0
        owed = self.entering[node] if lopsided else self._total(node, source, other)
        if owed == 0:
            return missing, 0
        degree = len(self._entering(node)[0])
        move = _ONE - keep
        further = move * move / (np.float32(2.0) - keep)
        n, base = self.closing, draw(key, 0)
        if degree <= n and not self._has_weights(node):
            n = n // degree * degree
            base = np.uint64(0x7FFFFFFFFFFFFFFF) // np.uint64(n)
        gap = np.uint64(0xFFFFFFFFFFFFFFFF) // np.uint64(n)
        walkers = np.full(n, node, np.int64)
        factors = np.ones(n, np.float32)
        terms, steps = [], 0
        for number, weight in enumerate((keep * move, further, further * move)):
            for i in range(n):
                before = int(walkers[i])
                if before == _NOWHERE:
                    continue
                if lopsided and number > 0:
                    total = self._total(before, source, other)
                    factors[i] *= self.entering[before] / total if total > 0 else np.float32(0)
                with np.errstate(over="ignore"):
                    bits = base + gap * np.uint64(i) if number == 0 else draw(stream(key, i), number)
                walkers[i] = self._step_back(before, bits, stream(stream(key, i), number), source, other)
            for i in np.flatnonzero(walkers != _NOWHERE).tolist():
                at = int(walkers[i])
                steps += 1
                total = self._total(at, source, other)
                if residual[at] > 0 and total > 0:
                    terms.append(weight * factors[i] * (residual[at] / total))
        sums = np.cumsum(np.array(terms, np.float32), dtype=np.float32)[-1] if terms else np.float32(0)
        return missing + owed * (sums / np.float32(n)), steps

    def _step_back(self, node: int, bits: np.uint64, key: np.uint64, source: int, other: int) -> int:
        """The node where a random edge that enters `node` comes from, unless it was taken out."""
        at = self._step(node, bits)
        avoid = {source: other, other: source}.get(node, _NOWHERE) if other >= 0 else _NOWHERE
        if avoid == _NOWHERE or at != avoid:
            return at
        for number in range(TRIES):
            at = self._step(node, draw(key, number))
            if at != avoid:
                return at
        sources, weights = self._entering(node)
        sources, weights = sources[sources != avoid], weights[sources != avoid]
        if not len(sources):
            return _NOWHERE
        sums = np.cumsum(weights, dtype=np.float64)
        goal = (int(draw(key, TRIES)) >> 11) * 2.0**-53 * sums[-1]
        return int(sources[min(int(np.searchsorted(sums, goal, side="right")), len(sources) - 1)])

    def _step(self, node: int, bits: np.uint64) -> int:
        sources, _ = self._entering(node)
        if not len(sources):
            return _NOWHERE
        if not self.space.weighted:
            return int(sources[(int(bits) >> 32) * len(sources) >> 32])
        return self._weighted_step(node, int(bits))

    def _weighted_step(self, node: int, bits: int) -> int:
        rows = []
        for relation, sums in zip(self.into.relations, self.into.sums, strict=True):
            low, high = self.space.span(relation.source)
            if low <= node < high and relation.indptr[node - low] < relation.indptr[node - low + 1]:
                begin, end = int(relation.indptr[node - low]), int(relation.indptr[node - low + 1])
                rows.append((relation, sums, begin, end))
        left = (bits >> 11) * 2.0**-53 * float(sum(sums[end] - sums[begin] for _, sums, begin, end in rows))
        for relation, sums, begin, end in rows:
            edge = end - 1
            if left < sums[end] - sums[begin]:
                edge = begin + int(np.searchsorted(sums[begin:end], sums[begin] + left, side="right")) - 1
            last = int(relation.indices[edge]) + self.space.span(relation.target)[0]
            if left < sums[end] - sums[begin]:
                return last
            left -= sums[end] - sums[begin]
        return last

    def _entering(self, node: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Where the edges that enter a node come from (D,), and their weights (D,)."""
        rows = self._rows(node, _NOWHERE, _NOWHERE, self.into)
        if not rows:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return np.concatenate([to for to, _ in rows]), np.concatenate([weights for _, weights in rows])

    def _rows(
        self, node: int, source: int, other: int, edges: Adjacency | None = None
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Targets (D,) and weights (D,) of a node, relation by relation, without the edge that was taken out."""
        avoid = {source: other, other: source}.get(node, _NOWHERE) if other >= 0 else _NOWHERE
        found = []
        for relation in (edges or self.space.leaving).relations:
            low, high = self.space.span(relation.source)
            if low <= node < high:
                to = relation.targets(node - low).astype(np.int64) + self.space.span(relation.target)[0]
                weights = (
                    relation.weights(node - low) if self.space.weighted else np.ones(len(to), np.float32)
                )
                found.append((to[to != avoid], np.asarray(weights)[to != avoid]))
        return found

    def _has_weights(self, node: int) -> bool:
        spans = [(self.space.span(relation.source), relation.weight) for relation in self.into.relations]
        return self.space.weighted and any(
            low <= node < high and weight is not None for (low, high), weight in spans
        )

    def _degree(self, node: int, source: int, other: int) -> int:
        return sum(len(to) for to, _ in self._rows(node, source, other))

    def _total(self, node: int, source: int, other: int) -> np.float32:
        """Summed weight of a node's edges; added up one by one in double precision where some were taken out."""
        if other < 0 or node not in (source, other):
            return np.float32(self.space.total[node])
        weights = np.concatenate(
            [weights for _, weights in self._rows(node, source, other)] or [np.zeros(0, np.float32)]
        )
        return np.float32(np.cumsum(weights, dtype=np.float64)[-1]) if len(weights) else np.float32(0)
