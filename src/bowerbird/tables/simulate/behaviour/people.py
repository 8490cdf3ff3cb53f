"""Who people are: interests with habits and drift, tastes per action, activity. Drawn on demand, one by one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bowerbird.tables.simulate.behaviour.randomness import (
    TRAITS,
    exponential,
    integer,
    normal,
    open_stream,
    pick,
    uniform,
)
from bowerbird.tables.simulate.config import ACTIONS, DAY_MS
from bowerbird.tables.simulate.world.items import STYLES, Catalogue

MAX_INTERESTS = 5
COUNTRIES = ("pt", "de", "in", "jp", "br", "us")
PLATFORMS = ("android", "ios", "web")
_OFFSET_HOURS = np.array([0.0, 1.0, 5.5, 9.0, -3.0, -6.0])
_HOURS = np.array([8.0, 13.0, 20.0])
_N_TYPES = 12
_KIN = 0.6  # share of interests that grow out of another one
_A = len(ACTIONS)


class Traits(NamedTuple):
    """Scalars that decide how people are drawn (see SimulationConfig for their meaning)."""

    seed: int
    start: int
    end: int
    overlap: float
    new_user_share: float
    activity_spread: float
    drift_share: float


PERSON = np.dtype(
    [
        ("number", "i8"),
        ("n_interests", "i8"),
        ("topics", "i8", (MAX_INTERESTS,)),
        ("weight", "f8", (MAX_INTERESTS,)),
        ("follower", "i8", (MAX_INTERESTS,)),
        ("hour", "f8", (MAX_INTERESTS,)),
        ("intent", "f8", (MAX_INTERESTS, _A)),
        ("taste", "f8", (_A, STYLES)),
        ("drift_slot", "i8"),
        ("drift_topic", "i8"),
        ("drift_time", "i8"),
        ("joined", "i8"),
        ("activity", "f8"),
        ("country", "i8"),
        ("platform", "i8"),
        ("wake_hour", "f8"),
    ],
    align=True,
)
"""One person. Interests live in slots, unused ones have topic -1 and weight 0.

number; n_interests; topics per slot; weight per slot, summing to 1; follower: slot that habitually comes
after a slot; hour: hour of the day a slot prefers; intent: standardised leaning toward each action inside
an interest; taste: style factors per action; drift_slot: slot that changes topic or -1, to drift_topic, at
drift_time (ms); joined: ms; activity: relative number of events; country, platform: codes; wake_hour:
centre of the person's day in UTC hours."""


def draw_people(numbers: np.ndarray, traits: Traits, catalogue: Catalogue) -> np.ndarray:
    """The people with these numbers: a number always stands for the same person.

    Args: numbers: int64[B], any order, any subset. Returns PERSON[B].
    """
    people = np.zeros(len(numbers), PERSON)
    people["number"] = numbers
    people["topics"] = -1
    people["drift_slot"] = people["drift_topic"] = -1
    _draw(people, traits, catalogue.near, catalogue.topic_share)
    return people


@njit(cache=True)
def topic_at(people: np.ndarray, b: int, slot: int, time: int) -> int:
    """Topic of an interest slot of person b at a time (ms).

    Drift replaces one slot's topic from one moment on.
    """
    if slot == people[b].drift_slot and time >= people[b].drift_time:
        return people[b].drift_topic
    return people[b].topics[slot]


@njit(cache=True)
def _draw(people: np.ndarray, traits: Traits, near: np.ndarray, topic_share: np.ndarray) -> None:
    state = np.zeros(1, np.uint64)
    of_kind = np.zeros(1, np.uint64)
    for b in range(len(people)):
        me = people[b]
        open_stream(state, traits.seed, me.number, TRAITS)
        _draw_life(people, b, state, traits)
        n = 2 + integer(state, MAX_INTERESTS - 1)
        me.n_interests = n
        total = 0.0
        for j in range(n):
            origin = integer(state, j) if j > 0 and uniform(state) < _KIN else -1
            me.topics[j] = _new_topic(me.topics, j, origin, state, near, topic_share)
            # The habitual round: an interest that grew out of another comes right after it.
            before = origin if origin >= 0 else max(j - 1, 0)
            me.follower[j] = me.follower[before] if j > 0 else 0
            me.follower[before] = j
            me.weight[j] = 0.25 + exponential(state, 1.0)
            total += me.weight[j]
            me.hour[j] = _HOURS[integer(state, 3)] + normal(state)
        for j in range(n):
            me.weight[j] /= total
        if uniform(state) < traits.drift_share:
            me.drift_topic = _new_topic(me.topics, n, -1, state, near, topic_share)
            me.drift_slot = integer(state, n)
            me.drift_time = me.joined + int(uniform(state) * (traits.end - me.joined))
        kind = integer(state, _N_TYPES)
        open_stream(of_kind, traits.seed, -1 - kind, TRAITS)
        _draw_leanings(me.intent, me.taste, n, state, of_kind, traits.overlap)


@njit(cache=True)
def _draw_life(people: np.ndarray, b: int, state: np.ndarray, traits: Traits) -> None:
    me = people[b]
    me.activity = math.exp(traits.activity_spread * normal(state))
    me.country = integer(state, len(_OFFSET_HOURS))
    me.platform = integer(state, 3)
    me.wake_hour = 15.0 - _OFFSET_HOURS[me.country] + 1.5 * normal(state)
    span = traits.end - traits.start
    if uniform(state) < traits.new_user_share:
        me.joined = traits.start + int(0.95 * span * uniform(state))
    else:
        me.joined = traits.start - 1 - int(365 * DAY_MS * uniform(state))


@njit(cache=True)
def _new_topic(
    topics: np.ndarray, n: int, origin: int, state: np.ndarray, near: np.ndarray, topic_share: np.ndarray
) -> int:
    """A topic that is not among topics[:n]: one that goes together with slot `origin`, or any (-1)."""
    for attempt in range(1_000):
        if origin >= 0 and attempt < 8:  # the four that go together may all be taken
            topic = near[topics[origin], integer(state, 4)]
        else:
            topic = pick(state, topic_share, len(topic_share))
        fresh = True
        for j in range(n):
            fresh = fresh and topics[j] != topic
        if fresh:
            return topic
    return topics[0]


@njit(cache=True)
def _draw_leanings(
    intent: np.ndarray, taste: np.ndarray, n: int, state: np.ndarray, of_kind: np.ndarray, overlap: float
) -> None:
    """Intents per interest and style factors per action.

    Styles come from a dozen kinds of people plus own noise, so that what one person does says something
    about others.
    """
    common, own = math.sqrt(overlap), math.sqrt(1.0 - overlap)
    for j in range(n):
        shared = normal(state)
        for a in range(_A):
            intent[j, a] = common * shared + own * normal(state)
        intent[j, _A - 1] *= -1.0
    scale = 1.0 / math.sqrt(STYLES)
    for s in range(STYLES):
        shared_kind, shared_own = normal(of_kind), normal(state)
        for a in range(_A):
            typical = common * shared_kind + own * normal(of_kind)
            personal = common * shared_own + own * normal(state)
            taste[a, s] = scale * (math.sqrt(0.7) * typical + math.sqrt(0.3) * personal)
