"""How often an id is drawn: exact counts, or a count-min sketch where ids are too many to count (A3.2).

Both answer the same question for the logQ correction: the estimated probability that one draw from a stream of
ids is this id.
"""

from __future__ import annotations

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


def frequency_counter(n_ids: int) -> FrequencyCounter:
    """Exact counts below ten million ids, a sketch above."""
    return ExactCounter(n_ids) if n_ids < EXACT_BELOW else CountMinSketch()


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
