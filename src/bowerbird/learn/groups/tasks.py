"""Batches of tasks for the training loop: any sampler of this package as a batch source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from bowerbird.learn.groups.diverse import KDPP, Greedy
from bowerbird.learn.groups.index import GroupError, GroupIndex
from bowerbird.learn.groups.samplers import Draw, RoundRobin, Sampler, SingleGroup, Systematic, Uniform
from bowerbird.tables.errors import did_you_mean

T = TypeVar("T")

#: Sampler kinds by name.
SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "uniform": Uniform,
    "systematic": Systematic,
    "round_robin": RoundRobin,
    "single_group": SingleGroup,
    "kdpp": KDPP,
    "greedy": Greedy,
}


def sampler(kind: str, groups: GroupIndex, size: int, **settings: Any) -> Sampler:
    """Make a sampler by name.

    Args:
        kind: a key of :data:`SAMPLERS`.
        groups: the relation between tasks: one path per task.
        size: tasks per batch.
        settings: passed on: ``seed``, ``target``, ``level``, ...

    Raises:
        GroupError: for an unknown kind or settings the kind does not have.
    """
    if kind not in SAMPLERS:
        raise GroupError(f"sampler {kind!r} is unknown; {did_you_mean(kind, SAMPLERS)}")
    try:
        return SAMPLERS[kind](groups, size, **settings)
    except TypeError as error:
        raise GroupError(f"sampler {kind!r}: {error}") from error


class TaskSource(Generic[T]):
    """A batch source whose batches are draws of a sampler.

    The weights of a draw go into the loss: ``loss_sum = sum(weights * task losses)`` and ``weight = share``,
    where ``share`` is this process's part of the draw, ``len(rows) / sampler.size``; the shares of all
    processes sum to 1.

    Args:
        sampler: draws tasks.
        batches_per_epoch: draws that count as an epoch.
        build: ``build(draw, share)`` makes the batch of this process.
    """

    def __init__(self, sampler: Sampler, batches_per_epoch: int, build: Callable[[Draw, float], T]) -> None:
        if batches_per_epoch < 1:
            raise GroupError(f"an epoch needs at least one batch, got {batches_per_epoch}")
        self._sampler, self._batches, self._build = sampler, batches_per_epoch, build

    def __len__(self) -> int:
        return self._batches

    def epoch(self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[T]:
        """See :class:`bowerbird.learn.batches.source.BatchSource`."""
        if world > self._sampler.size:
            raise GroupError(f"{world} processes cannot share a batch of {self._sampler.size} tasks")
        for number in range(epoch * self._batches + start, (epoch + 1) * self._batches):
            draw = self._sampler.draw(number)
            size = len(draw.rows)
            part = slice(size * rank // world, size * (rank + 1) // world)
            yield self._build(Draw(draw.rows[part], draw.weights[part]), len(draw.rows[part]) / size)
