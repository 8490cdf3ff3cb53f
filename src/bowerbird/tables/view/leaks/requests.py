"""Leaks inside an example: does the input of a request know what happens at or after that request?

An ordinary audit cannot see these, because the whole example lies before the wall. Here the worlds part at
the time
of single requests: from that moment on items and actions are other ones, while which rows and slates exist
stays, so that both worlds have the same requests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view.leaks.audit import Audit, Leak
from bowerbird.tables.view.leaks.compare import difference, settle
from bowerbird.tables.view.leaks.twins import Twin
from bowerbird.tables.view.rows.source import EventSource
from bowerbird.tables.view.view import View
from bowerbird.tables.view.walls import Moment


@dataclass(frozen=True)
class RequestInputs:
    """What a model is given for R requests, without labels and candidates.

    Attributes:
        key: int64 (R,) or (R, m): tells requests apart, the same in both worlds (user and request number).
        time: int64 (R,): when each request was made, ms UTC.
        inputs: A mapping of arrays with leading axis R: everything that must be known before the request.
    """

    key: NDArray[np.int64]
    time: NDArray[np.int64]
    inputs: dict[str, NDArray[Any]]


def audit_requests(
    read: Callable[[View], RequestInputs],
    store: EventSource,
    wall: Moment | None = None,
    seed: int = 0,
    *,
    moments: int = 8,
    view_class: type[View] = View,
) -> Audit:
    """Does the input of any request depend on rows at or after its own time?

    Args:
        read: Gets a view, returns inputs of requests. Which requests it returns may depend on labels (empty
            slates are dropped); those in both worlds are compared.
        store: An opened store; its events are copied for each moment.
        wall: Wall of the views handed to the read.
        seed: Chooses moments and worlds.
        moments: How many request times to part the worlds at.
        view_class: The view to hand to the read.

    Raises:
        ConfigError: The read gives no requests.
    """
    fact = read(view_class(store, wall))
    if not len(fact.time):
        raise ConfigError("audit_requests: the read returned no requests, so nothing was tested")
    rng = np.random.default_rng(seed)
    times = np.unique(fact.time)
    chosen = rng.choice(times, min(moments, len(times)), replace=False)
    leaks = []
    for moment in sorted(int(time) for time in chosen):
        other = read(view_class(_parted(store, moment, rng), wall))
        found = _difference(fact, other, moment)
        if found:
            leaks.append(Leak(f"other items and actions from {moment} ms on", found))
    return Audit(view_class(store, wall).wall, len(chosen), tuple(leaks))


def _parted(store: EventSource, moment: int, rng: np.random.Generator) -> Twin:
    """The store with other items, actions, queries and weights in every row from `moment` on."""
    events = store.events
    late = np.asarray(events.time) >= moment
    n = int(late.sum())
    item, actions = np.array(events.item), np.array(events.actions)
    query, weight = np.array(events.query), np.array(events.weight)
    item[late] = rng.integers(0, store.n_items, n)
    actions[late] = rng.integers(0, 1 << len(store.actions), n).astype(np.uint32)
    weight[late] = rng.random(n)
    if len(store.queries):
        query[late] = rng.integers(-1, len(store.queries), n)
    return Twin(
        manifest=store.manifest,
        n_users=store.n_users,
        n_items=store.n_items,
        events=dataclasses.replace(events, item=item, actions=actions, query=query, weight=weight),
        users=store.users,
        items=store.items,
        surfaces=store.surfaces,
        actions=store.actions,
        queries=store.queries,
        item_table=store.item_table,
        source=store,
        kind="scrambled",
        end=np.iinfo(np.int64).max,
        seed=0,
    )


def _difference(left: RequestInputs, right: RequestInputs, moment: int) -> str | None:
    """First difference among requests made at or before the moment that both worlds have."""
    places = [_by_key(side, moment) for side in (left, right)]
    shared = sorted(set(places[0]) & set(places[1]))
    rows = [np.array([place[key] for key in shared], dtype=np.int64) for place in places]
    parts = [
        settle({name: np.asarray(values)[row] for name, values in side.inputs.items()})
        for side, row in zip((left, right), rows, strict=True)
    ]
    return difference(parts[0], parts[1], "inputs")


def _by_key(side: RequestInputs, moment: int) -> dict[tuple[int, ...], int]:
    rows = np.flatnonzero(side.time <= moment)
    key = np.asarray(side.key)
    key = key.reshape(len(key), -1)
    return {tuple(int(part) for part in key[row]): int(row) for row in rows}
