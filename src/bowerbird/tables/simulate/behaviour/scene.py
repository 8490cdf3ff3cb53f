"""One request as seen from inside: which topics fit the person now, and where the logging policy looks.

A scene is filled once per request; afterwards the probability to show an item and the logits of every
action cost a few look-ups. Loops over requests and the oracle use the same scene, so what is simulated and
what is known cannot differ.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from numba import njit

from bowerbird.tables.simulate.behaviour.people import MAX_INTERESTS, topic_at
from bowerbird.tables.simulate.world.popularity import PERIOD_MS

# Typed numbers: a plain literal would make the compiler build a second version of every function it is
# passed to.
HOME, SEARCH, RELATED = cast(int, np.int64(0)), cast(int, np.int64(1)), cast(int, np.int64(2))
NONE, ZERO = cast(int, np.int64(-1)), cast(int, np.int64(0))
OWN_FIT, SISTER_FIT = 0.45, 0.3


class Policy(NamedTuple):
    """The logging policy's numbers.

    Attributes:
        mix: float64[3, 3] by surface: shares of (popular, personal, random).
        focus: float64[3, 3] by surface: where the personal part looks: (topic of the moment, the
        person's own interests,
            sister topics).
        start: ms of the first period.
    """

    mix: np.ndarray
    focus: np.ndarray
    start: int


class Scene(NamedTuple):
    """Scratch of one request, K topics.

    Attributes:
        fit: float64[K] how well a topic suits the person now: 1 the topic of the moment, .45 another
        interest of theirs,
            .3 a sister of the topic of the moment, 0 otherwise.
        slot: int64[K] the person's interest with this topic or -1.
        toward: float64[K] the policy's personal share for a topic.
        touched: int64[T] topics that are set; the last cell counts them.
        own: int64[MAX_INTERESTS] the person's topics now.
    """

    fit: np.ndarray
    slot: np.ndarray
    toward: np.ndarray
    touched: np.ndarray
    own: np.ndarray


@njit(cache=True)
def new_scene(n_topics: int) -> Scene:
    """An empty scene."""
    touched = np.zeros(n_topics + MAX_INTERESTS + 2, np.int64)
    return Scene(
        np.zeros(n_topics),
        np.full(n_topics, -1),
        np.zeros(n_topics),
        touched,
        np.zeros(MAX_INTERESTS, np.int64),
    )


@njit(cache=True)
def fill_scene(
    scene: Scene,
    people: np.ndarray,
    b: int,
    surface: int,
    moment: int,
    time: int,
    group: np.ndarray,
    group_start: np.ndarray,
    policy: Policy,
) -> None:
    """Set the scene for person b on a surface while `moment` is the topic of the moment."""
    touched = scene.touched
    for t in range(touched[-1]):
        topic = touched[t]
        scene.fit[topic], scene.slot[topic], scene.toward[topic] = 0.0, -1, 0.0
    n = 0
    focus = policy.focus[surface]
    first, last = group_start[group[moment]], group_start[group[moment] + 1]
    for topic in range(first, last):
        scene.fit[topic] = SISTER_FIT
        scene.toward[topic] = focus[2] / (last - first)
        touched[n] = topic
        n += 1
    for slot in range(people[b].n_interests):
        topic = topic_at(people, b, slot, time)
        scene.own[slot] = topic
        scene.fit[topic], scene.slot[topic] = OWN_FIT, slot
        scene.toward[topic] += focus[1] * people[b].weight[slot]
        touched[n] = topic
        n += 1
    scene.fit[moment] = 1.0
    scene.toward[moment] += focus[0]
    touched[-1] = n


@njit(cache=True)
def period_of(time: int, policy: Policy, n_periods: int) -> int:
    """Popularity period of a time (ms), held inside the log."""
    return min(max((time - policy.start) // PERIOD_MS, 0), n_periods - 1)
