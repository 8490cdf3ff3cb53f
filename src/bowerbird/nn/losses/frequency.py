"""How often an id is drawn: exact counts, or a count-min sketch where ids are too many to count (A3.2).

Both answer the same question for the logQ correction: the estimated probability that one draw from a stream of
ids is this id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

EXACT_BELOW = 10_000_000
_PRIME = 2**31 - 1


class FrequencyCounter(Protocol):
    """Counts ids of a stream."""

    total: Tensor

    def update(self, ids: Tensor, counts: Tensor | None = None) -> None:
        """Count ids (int64, any shape); ``counts`` says how often each, once if left out."""
        ...

    def count(self, ids: Tensor) -> Tensor:
        """Estimated count of each id (int64, the shape of ``ids``)."""
        ...

    def log_probability(self, ids: Tensor) -> Tensor:
        """log(count / total), float32; an id never seen counts as half a draw so that the log stays finite."""
        ...

    def state(self) -> dict[str, Tensor]:
        """The counts as named tensors (not copies), for a checkpoint."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over the counts of :meth:`state`; ValueError if they belong to a counter of another shape or seed."""
        ...


def frequency_counter(n_ids: int) -> ExactCounter | CountMinSketch:
    """Exact counts below ten million ids, a sketch with about as many counters as ids (at most 2^26) above."""
    if n_ids < EXACT_BELOW:
        return ExactCounter(n_ids)
    return CountMinSketch(log2_width=min(26, math.ceil(math.log2(n_ids))))


class ExactCounter:
    """One int64 per id.

    Args:
        n_ids: ids are 0 .. n_ids - 1.
    """

    def __init__(self, n_ids: int) -> None:
        self.counts = torch.zeros(n_ids, dtype=torch.long)
        self.total = torch.zeros((), dtype=torch.long)

    def update(self, ids: Tensor, counts: Tensor | None = None) -> None:
        """See :class:`FrequencyCounter`."""
        flat = ids.reshape(-1)
        each = torch.ones_like(flat) if counts is None else counts.reshape(-1)
        self.counts.index_add_(0, flat, each)
        self.total += each.sum()

    def count(self, ids: Tensor) -> Tensor:
        """See :class:`FrequencyCounter`."""
        return self.counts[ids]

    def log_probability(self, ids: Tensor) -> Tensor:
        """See :class:`FrequencyCounter`."""
        return _log_share(self.count(ids), self.total)

    def merge(self, other: ExactCounter) -> None:
        """Add another stream's counts of the same ids, in place.

        Raises:
            ValueError: if the counters cover different id ranges.
        """
        if self.counts.shape != other.counts.shape:
            raise ValueError(f"counters of {len(self.counts)} and {len(other.counts)} ids cannot be merged")
        self.counts += other.counts
        self.total += other.total

    def state(self) -> dict[str, Tensor]:
        """See :class:`FrequencyCounter`."""
        return {"counts": self.counts, "total": self.total}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`FrequencyCounter`."""
        if state["counts"].shape != self.counts.shape:
            raise ValueError(f"this counter has {len(self.counts)} ids, the state has {len(state['counts'])}")
        self.counts, self.total = state["counts"].clone(), state["total"].clone()


class CountMinSketch:
    """A count-min sketch with multiply-shift hashing modulo 2^31 - 1; never underestimates a count.

    The seed is fixed so that all processes hash alike, and two sketches of the same shape add up.

    Args:
        depth: rows; the estimate is the smallest of them.
        log2_width: counters per row as a power of two. The paper family uses depth 2 and width 2^26.
        seed: of the hash functions.
    """

    def __init__(self, depth: int = 2, log2_width: int = 22, seed: int = 20250410) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.depth, self.width = depth, 1 << log2_width
        self.multipliers = torch.randint(1, _PRIME, (depth, 1), generator=generator)
        self.offsets = torch.randint(0, _PRIME, (depth, 1), generator=generator)
        self.table = torch.zeros(depth, self.width, dtype=torch.long)
        self.total = torch.zeros((), dtype=torch.long)

    def update(self, ids: Tensor, counts: Tensor | None = None) -> None:
        """See :class:`FrequencyCounter`."""
        flat = ids.reshape(-1)
        each = torch.ones_like(flat) if counts is None else counts.reshape(-1)
        self.table.scatter_add_(1, self._slots(flat), each.expand(self.depth, -1))
        self.total += each.sum()

    def merge(self, other: CountMinSketch) -> None:
        """Add another stream's sketch of the same shape and seed, in place.

        Raises:
            ValueError: if the hash functions differ.
        """
        same = self.table.shape == other.table.shape and torch.equal(self.multipliers, other.multipliers)
        if not same or not torch.equal(self.offsets, other.offsets):
            raise ValueError("only sketches of the same depth, width and seed can be merged")
        self.table += other.table
        self.total += other.total

    def state(self) -> dict[str, Tensor]:
        """See :class:`FrequencyCounter`."""
        return {
            "table": self.table,
            "total": self.total,
            "multipliers": self.multipliers,
            "offsets": self.offsets,
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`FrequencyCounter`."""
        same = torch.equal(state["multipliers"], self.multipliers) and torch.equal(
            state["offsets"], self.offsets
        )
        if state["table"].shape != self.table.shape or not same:
            raise ValueError("the state belongs to a sketch of another depth, width or seed")
        self.table, self.total = state["table"].clone(), state["total"].clone()

    def count(self, ids: Tensor) -> Tensor:
        """See :class:`FrequencyCounter`."""
        flat = ids.reshape(-1)
        return self.table.gather(1, self._slots(flat)).amin(dim=0).view(ids.shape)

    def log_probability(self, ids: Tensor) -> Tensor:
        """See :class:`FrequencyCounter`."""
        return _log_share(self.count(ids), self.total)

    def _slots(self, flat: Tensor) -> Tensor:
        # ids are folded below the prime first, so the product stays inside 62 bits
        return (self.multipliers * (flat % _PRIME) + self.offsets) % _PRIME % self.width


def _log_share(counts: Tensor, total: Tensor) -> Tensor:
    return counts.clamp(min=1).double().log().float().where(counts > 0, torch.log(torch.tensor(0.5))) - (
        total.clamp(min=1).double().log().float()
    )
