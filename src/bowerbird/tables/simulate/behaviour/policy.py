"""The logging policy: which items a request shows, and with which probability.

Every slot draws one part of a mixture (popular, personal, random), then an item from that part; an item
that is excluded (already in the slate, or among the last things the person engaged with) is thrown away and
the slot drawn again. With q(i) the mixture's probability of item i, the probability of i in a slot is
exactly q(i) / (1 - sum of q over excluded). That number is the logged propensity: exact, sequential, given
the earlier slots of the same slate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bowerbird.tables.simulate.behaviour.randomness import integer, uniform
from bowerbird.tables.simulate.behaviour.scene import ZERO, Policy, Scene, fill_scene, new_scene, period_of
from bowerbird.tables.simulate.world.items import Catalogue


class Shelf(NamedTuple):
    """What can be shown on one surface in one period: views of the catalogue.

    Attributes:
        popular, mild: float64[I + 1] running sums over `order`.
        order: int64[I] items by topic.
        items: ITEM[I].
        topic_start: int64[K + 1] bounds of the topics in `order`.
        live: number of items that exist.
        mix: float64[3] shares of (popular, personal, random).
    """

    popular: np.ndarray
    mild: np.ndarray
    order: np.ndarray
    items: np.ndarray
    topic_start: np.ndarray
    live: int
    mix: np.ndarray


@njit(cache=True)
def shelf_at(time: int, surface: int, catalogue: Catalogue, policy: Policy) -> Shelf:
    """The shelf of a surface at a time (ms)."""
    period = period_of(time, policy, len(catalogue.live))
    return Shelf(
        catalogue.popular[period],
        catalogue.mild[period],
        catalogue.order,
        catalogue.items,
        catalogue.topic_start,
        catalogue.live[period],
        policy.mix[surface],
    )


@njit(cache=True)
def exposure(item: int, scene: Scene, shelf: Shelf) -> float:
    """q(item): the mixture's probability to draw an item, before anything is excluded."""
    place, topic = shelf.items[item].place, shelf.items[item].topic
    q = shelf.mix[0] * (shelf.popular[place + 1] - shelf.popular[place]) / shelf.popular[-1]
    toward = scene.toward[topic]
    if toward > 0.0:
        total = shelf.mild[shelf.topic_start[topic + 1]] - shelf.mild[shelf.topic_start[topic]]
        q += shelf.mix[1] * toward * (shelf.mild[place + 1] - shelf.mild[place]) / total
    if item < shelf.live:
        q += shelf.mix[2] / shelf.live
    return q


@njit(cache=True)
def draw_item(state: np.ndarray, scene: Scene, shelf: Shelf) -> int:
    """One draw from the mixture, excluded or not."""
    u = uniform(state)
    if u < shelf.mix[2]:
        return integer(state, shelf.live)
    if u < shelf.mix[2] + shelf.mix[0]:
        return _search(state, shelf.popular, ZERO, len(shelf.order), shelf.order)
    # The topics' shares sum to 1 over the touched ones; a topic can be listed twice, so it gives up its
    # share once.
    left = uniform(state)
    topic = scene.touched[0]
    for t in range(scene.touched[-1]):
        topic = scene.touched[t]
        if not _listed(scene.touched, t, topic):
            left -= scene.toward[topic]
            if left < 0.0:
                break
    return _search(state, shelf.mild, shelf.topic_start[topic], shelf.topic_start[topic + 1], shelf.order)


@njit(cache=True)
def _listed(topics: np.ndarray, n: int, topic: int) -> bool:
    for t in range(n):  # noqa: SIM110 - compiled loop
        if topics[t] == topic:
            return True
    return False


@njit(cache=True)
def _search(state: np.ndarray, cumulative: np.ndarray, first: int, last: int, order: np.ndarray) -> int:
    """Item of one draw proportional to the weights behind cumulative[first : last + 1]."""
    while True:
        target = cumulative[first] + uniform(state) * (cumulative[last] - cumulative[first])
        low, high = first, last
        while low < high:  # the first place whose running sum exceeds the target
            middle = (low + high) // 2
            if cumulative[middle + 1] > target:
                high = middle
            else:
                low = middle + 1
        if low < last and cumulative[low + 1] > cumulative[low]:
            return order[low]


@njit(cache=True)
def catalogue_exposures(
    people: np.ndarray,
    rows: np.ndarray,
    surfaces: np.ndarray,
    moments: np.ndarray,
    times: np.ndarray,
    catalogue: Catalogue,
    policy: Policy,
) -> np.ndarray:
    """q of R requests on every item, float64[R, I]; each row sums to 1.

    Args: people: PERSON[B]; rows: int64[R] into `people`; surfaces: int64[R] codes; moments: int64[R]
    topics of the moment; times: int64[R] ms.
    """
    out = np.empty((len(rows), len(catalogue.items)))
    scene = new_scene(len(catalogue.group))
    for r in range(len(rows)):
        fill_scene(
            scene,
            people,
            rows[r],
            surfaces[r],
            moments[r],
            times[r],
            catalogue.group,
            catalogue.group_start,
            policy,
        )
        shelf = shelf_at(times[r], surfaces[r], catalogue, policy)
        for item in range(out.shape[1]):
            out[r, item] = exposure(item, scene, shelf)
    return out
