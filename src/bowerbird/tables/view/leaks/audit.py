"""The leak detector: run a read in two worlds that share the past, and demand the same bits.

It needs to know nothing about the read. A feature, a counter, a sampler, a graph or a whole training set that
gives another answer when only the future changes has looked at the future.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bowerbird.tables.errors import BowerbirdError, ConfigError, WallError
from bowerbird.tables.view.leaks.compare import difference, settle
from bowerbird.tables.view.leaks.twins import KINDS, Kind, make_twin
from bowerbird.tables.view.rows.source import EventSource
from bowerbird.tables.view.view import View
from bowerbird.tables.view.walls import Moment, WithoutUsers, as_wall

Read = Callable[[View], Any]


class LeakError(WallError):
    """A read depends on what happens beyond the wall."""


@dataclass(frozen=True)
class Leak:
    """One proof of a leak.

    Attributes:
        world: The twin that told (see `twins.KINDS`), or the moment of a request audit.
        difference: Where the answers differ first, with both values.
    """

    world: str
    difference: str


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        wall: The wall, in words.
        worlds: How many other worlds were tried.
        leaks: The proofs; empty where the read passed.
    """

    wall: str
    worlds: int
    leaks: tuple[Leak, ...]

    @property
    def passed(self) -> bool:
        """Whether every world gave the same bits."""
        return not self.leaks

    def demand(self) -> None:
        """Raises LeakError, with the first proof, unless the audit passed."""
        if self.leaks:
            leak = self.leaks[0]
            raise LeakError(
                f"the read depends on what happens beyond the wall ({self.wall}): in the world "
                f"{leak.world!r} it gives {leak.difference}. Fix: read only through the view that the read "
                f"is given."
            )


def audit(
    read: Read,
    store: EventSource,
    wall: Moment,
    seed: int = 0,
    *,
    worlds: Sequence[Kind] = KINDS,
    view_class: type[View] = View,
) -> Audit:
    """Does a read look past the wall? Runs it on the store and on counterfactual twins.

    Args:
        read: Gets a view, returns arrays, tensors, frames, numbers, or data classes, mappings and sequences
            of them.
            It must be deterministic: seed every sampler.
        store: An opened store. Twins are held in memory: for a big store audit a small one of the same shape.
        wall: The wall to test; something must lie beyond it.
        seed: Another seed tries other worlds.
        worlds: Which twins to try.
        view_class: The view to hand to the read.

    Raises:
        ConfigError: The wall hides whole users, nothing lies beyond the wall, or the read is not deterministic.
    """
    wall = as_wall(wall)
    if isinstance(wall, WithoutUsers):
        raise ConfigError("audit: worlds part at a moment or behind last events; give a TimeWall or a LastOut")
    view = view_class(store, wall)
    if not (np.asarray(store.events.user_count) > view.visible).any():
        raise ConfigError(f"audit: no event lies beyond the wall ({view.wall}); choose an earlier one")
    fact = settle(read(view))
    again = difference(fact, settle(read(view_class(store, wall))))
    if again:
        raise ConfigError(f"audit: the read answers differently each time ({again}); seed its random numbers")
    leaks = []
    for kind in worlds:
        twin = make_twin(store, wall, kind, seed)
        found = _answer_difference(read, view_class(twin, wall), fact)
        if found:
            leaks.append(Leak(kind, found))
    return Audit(view.wall, len(worlds), tuple(leaks))


def _answer_difference(read: Read, view: View, fact: Any) -> str | None:
    try:
        other = settle(read(view))
    except BowerbirdError as error:  # it worked in the real world, so the future decides whether it works
        return f"an answer in the store but an error in the other world: {error}"
    return difference(fact, other)
