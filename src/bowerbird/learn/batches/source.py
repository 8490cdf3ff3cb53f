"""Where batches come from: deterministic in (seed, epoch), shared by processes, resumable anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

import numpy as np

from bowerbird.learn.randomness import derived
from bowerbird.tables.errors import ConfigError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_ORDER, _BUILD = 1, 2


class BatchSource(Protocol[T_co]):
    """Batches of one training.

    The same (epoch, rank, world) must always give the same batches in the same order, so randomness comes
    from generators derived from a seed and the epoch, never from global ones: batches are built ahead in a
        thread.
    """

    def __len__(self) -> int:
        """Batches per epoch as one process sees them; may be an estimate, for schedule and progress."""
        ...

    def epoch(self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[T_co]:
        """The batches of one epoch.

        Args:
            epoch: counted from 0.
            start: batches to skip, without building them where that is possible.
            rank, world: this process and how many there are. Batch ``i`` of all ranks together is the batch
                ``i`` that one process alone would get. All ranks yield equally many.
        """
        ...


class ShuffledRows(Generic[T]):
    """Rows ``0 .. n_rows - 1`` in a new order every epoch, in batches made by a function.

    Args:
        n_rows: number of training rows.
        batch_size: rows per batch over all processes together.
        build: ``build(rows, rng)`` makes a batch of the rows (int64, at least one). ``rng`` depends on (seed,
            epoch, batch, rank); what must be equal for any number of processes must not be drawn from it.
        seed: of the order and of ``rng``.
        drop_last: leave out an epoch's last, smaller batch. Even when ``False``, a last batch with fewer rows
            than there are processes is left out, as no process may stand idle.

    Raises:
        ConfigError: if there is nothing to train on.
    """

    def __init__(
        self,
        n_rows: int,
        batch_size: int,
        build: Callable[[np.ndarray, np.random.Generator], T],
        *,
        seed: int,
        drop_last: bool = False,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"the batch size must be at least 1, got {batch_size}")
        if n_rows < (batch_size if drop_last else 1):
            raise ConfigError(f"{n_rows} training rows do not fill one batch of {batch_size}")
        self.n_rows, self.batch_size, self.seed, self.drop_last = n_rows, batch_size, seed, drop_last
        self._build = build

    def __len__(self) -> int:
        return self.n_rows // self.batch_size if self.drop_last else -(-self.n_rows // self.batch_size)

    def epoch(self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[T]:
        """See :class:`BatchSource`."""
        order = derived(self.seed, _ORDER, epoch).permutation(self.n_rows)
        for number in range(start, len(self)):
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            if len(rows) < world:
                return
            share = rows[len(rows) * rank // world : len(rows) * (rank + 1) // world]
            yield self._build(share, derived(self.seed, _BUILD, epoch, number, rank))
