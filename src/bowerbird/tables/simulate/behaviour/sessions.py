"""The life of a person on the platform: sessions, interests inside them, requests, what was shown and done.

Inside a session the next engagements follow the topic of the moment; after a request the person may move
on, mostly in their own fixed order, so engagements minutes later come from other interests, and those hours
later from any of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bowerbird.tables.simulate.behaviour.choice import (
    CLICK,
    HIDE,
    LONG_CLICK,
    SAVE,
    Choice,
    examined,
    logits,
    sigmoid,
)
from bowerbird.tables.simulate.behaviour.people import topic_at
from bowerbird.tables.simulate.behaviour.policy import draw_item, exposure, shelf_at
from bowerbird.tables.simulate.behaviour.randomness import DEEDS, exponential, normal, open_stream, uniform
from bowerbird.tables.simulate.behaviour.records import Log, next_row, write_follow, write_keep
from bowerbird.tables.simulate.behaviour.rings import Rings, spam_life
from bowerbird.tables.simulate.behaviour.scene import (
    HOME,
    NONE,
    RELATED,
    SEARCH,
    ZERO,
    Policy,
    Scene,
    fill_scene,
    new_scene,
)
from bowerbird.tables.simulate.config import DAY_MS
from bowerbird.tables.simulate.world.items import Catalogue
from bowerbird.tables.simulate.world.language import QUERIES_PER_TOPIC

_MINUTE = 60_000
_HOUR = 60 * _MINUTE


class Manners(NamedTuple):
    """How sessions go (see SimulationConfig for the meaning of each)."""

    seed: int
    start: int
    end: int
    slate_size: int
    repeat_filter: int
    session_slates: float
    switch: float
    habit: float
    session_memory: float
    search_share: float
    related_share: float
    keep_share: float
    follow_share: float


@njit(cache=True)
def simulate_people(
    log: Log,
    people: np.ndarray,
    quota: np.ndarray,
    rings: Rings,
    catalogue: Catalogue,
    choice: Choice,
    policy: Policy,
    manners: Manners,
) -> None:
    """Write exactly quota[b] rows for every person b of the block."""
    state = np.zeros(1, np.uint64)
    scene = new_scene(len(catalogue.group))
    for b in range(len(people)):
        open_stream(state, manners.seed, people[b].number, DEEDS)
        ring = rings.member[people[b].number]
        if ring >= 0:
            spam_life(log, state, b, ring, quota[b], manners.slate_size, rings, catalogue.items)
        else:
            _ordinary_life(log, state, scene, people, b, quota[b], catalogue, choice, policy, manners)


@njit(cache=True)
def _ordinary_life(
    log: Log,
    state: np.ndarray,
    scene: Scene,
    people: np.ndarray,
    b: int,
    quota: int,
    catalogue: Catalogue,
    choice: Choice,
    policy: Policy,
    manners: Manners,
) -> None:
    recent = np.full(manners.repeat_filter + 1, -1, np.int64)  # the last cell counts engagements ever
    recent[-1] = 0
    done, slate, slot = ZERO, ZERO, NONE
    time = max(people[b].joined, manners.start)
    newcomer = people[b].joined >= manners.start
    first_session = True
    while done < quota:
        if not (first_session and newcomer):
            left = (quota - done) / (manners.slate_size * manners.session_slates)
            time = _next_session(state, people, b, time, left, first_session, manners)
        if first_session or uniform(state) >= manners.session_memory:
            slot = _opening_interest(state, people, b, time)
        first_session = False
        context = NONE
        while done < quota:
            surface, moment, query = HOME, topic_at(people, b, slot, time), NONE
            if context >= 0 and uniform(state) < manners.related_share:
                surface, moment = RELATED, catalogue.items[context].topic
            elif uniform(state) < manners.search_share:
                surface = SEARCH
                query = moment * QUERIES_PER_TOPIC + int(QUERIES_PER_TOPIC * uniform(state) ** 2)
            origin = context if surface == RELATED else NONE
            width = min(manners.slate_size, quota - done)
            time, context = _slate(
                log,
                state,
                scene,
                people,
                b,
                surface,
                moment,
                query,
                origin,
                time,
                slate,
                width,
                recent,
                catalogue,
                choice,
                policy,
                manners,
            )
            done += width
            slate += 1
            time += 2_000 + int(exponential(state, 8_000.0))
            if uniform(state) * manners.session_slates < 1.0:
                break
            if uniform(state) < manners.switch:
                slot = _next_interest(state, people, b, slot, time, manners)


@njit(cache=True)
def _next_session(
    state: np.ndarray, people: np.ndarray, b: int, time: int, left: float, first: bool, manners: Manners
) -> int:
    """Start of the next session, at least 40 minutes after the last.

    The first of `left` uniform moments in what remains of the log, moved to the person's waking hours.
    """
    earliest = time if first else time + 40 * _MINUTE
    start = earliest + int(max(manners.end - earliest, 0) * (1.0 - uniform(state) ** (1.0 / (left + 0.5))))
    hour = (people[b].wake_hour + 3.5 * normal(state)) % 24.0
    awake = start - (start - manners.start) % DAY_MS + int(hour * _HOUR)
    return awake if earliest <= awake < manners.end - _HOUR else start


@njit(cache=True)
def _opening_interest(state: np.ndarray, people: np.ndarray, b: int, time: int) -> int:
    return _weighted_interest(state, people, b, time, 1.2, NONE)


@njit(cache=True)
def _next_interest(
    state: np.ndarray, people: np.ndarray, b: int, slot: int, time: int, manners: Manners
) -> int:
    if uniform(state) < manners.habit:
        return people[b].follower[slot]
    return _weighted_interest(state, people, b, time, 0.0, slot)


@njit(cache=True)
def _weighted_interest(
    state: np.ndarray, people: np.ndarray, b: int, time: int, by_hour: float, but: int
) -> int:
    """A slot by weight, never the slot `but`; one whose hour it is counts up to e^by_hour times as much."""
    n = people[b].n_interests
    hour = (time % DAY_MS) / _HOUR - (people[b].wake_hour - 15.0)
    chance = np.zeros(n)
    for j in range(n):
        if j != but:
            swing = math.cos(2.0 * math.pi * (hour - people[b].hour[j]) / 24.0)
            chance[j] = people[b].weight[j] * math.exp(by_hour * swing)
    left = uniform(state) * chance.sum()
    for j in range(n):
        left -= chance[j]
        if left < 0.0 and j != but:
            return j
    return n - 1 if but != n - 1 else 0


@njit(cache=True)
def _slate(
    log: Log,
    state: np.ndarray,
    scene: Scene,
    people: np.ndarray,
    b: int,
    surface: int,
    moment: int,
    query: int,
    origin: int,
    time: int,
    slate: int,
    width: int,
    recent: np.ndarray,
    catalogue: Catalogue,
    choice: Choice,
    policy: Policy,
    manners: Manners,
) -> tuple[int, int]:
    """Show one slate and write its rows. Returns the time after it and the item clicked last, or -1."""
    clicked = NONE
    fill_scene(scene, people, b, surface, moment, time, catalogue.group, catalogue.group_start, policy)
    shelf = shelf_at(time, surface, catalogue, policy)
    shown = np.empty(width, np.int64)
    logit = np.empty(len(choice.bias))
    n_recent = min(recent[-1], len(recent) - 1)
    excluded = 0.0
    for k in range(n_recent):
        excluded += exposure(recent[k], scene, shelf)
    for position in range(width):
        item = draw_item(state, scene, shelf)
        while _in(item, recent, n_recent) or _in(item, shown, position):
            item = draw_item(state, scene, shelf)
        q = exposure(item, scene, shelf)
        logits(logit, people, b, catalogue.items, item, scene, choice)
        actions = _act(state, logit, examined(position, choice))
        row = log.rows[next_row(log)]
        row.person, row.item, row.time, row.surface, row.slate = b, item, time, surface, slate
        row.position, row.query, row.actions, row.propensity = position, query, actions, q / (1.0 - excluded)
        row.moment, row.context = moment, origin
        if actions & (1 << CLICK):
            clicked = item
        if actions & (1 << SAVE) and uniform(state) < manners.keep_share:
            write_keep(log)
        if actions & ~(1 << HIDE) and uniform(state) < manners.follow_share:
            write_follow(log)
        shown[position] = item
        excluded += q
        time += _dwell(state, actions)
    _remember(log, shown, recent)
    return time, clicked


@njit(cache=True)
def _act(state: np.ndarray, logit: np.ndarray, sees: float) -> int:
    """Draw the action mask of one row; always takes the same number of draws."""
    look, hide, click, long_click, save = (
        uniform(state),
        uniform(state),
        uniform(state),
        uniform(state),
        uniform(state),
    )
    if look >= sees:
        return 0
    if hide < sigmoid(logit[HIDE]):
        return 1 << HIDE
    actions = 0
    if click < sigmoid(logit[CLICK]):
        actions |= 1 << CLICK
        if long_click < sigmoid(logit[LONG_CLICK]):
            actions |= 1 << LONG_CLICK
    if save < sigmoid(logit[SAVE]):
        actions |= 1 << SAVE
    return actions


@njit(cache=True)
def _dwell(state: np.ndarray, actions: int) -> int:
    """How long the row holds the person, ms."""
    time = 800 + int(exponential(state, 1_200.0))
    if actions & (1 << LONG_CLICK):
        time += 30_000 + int(exponential(state, 25_000.0))
    elif actions & (1 << CLICK):
        time += 3_000 + int(exponential(state, 6_000.0))
    if actions & (1 << SAVE):
        time += 2_000 + int(exponential(state, 2_000.0))
    return time


@njit(cache=True)
def _remember(log: Log, shown: np.ndarray, recent: np.ndarray) -> None:
    """Put the slate's engaged items (hidden ones too) into the ring of recent ones; its last cell counts."""
    room = len(recent) - 1
    if room == 0:
        return
    first = log.written[0] - len(shown)
    for k in range(len(shown)):
        if log.rows[first + k].actions != 0:
            recent[recent[-1] % room] = shown[k]
            recent[-1] += 1


@njit(cache=True)
def _in(item: int, items: np.ndarray, n: int) -> bool:
    for k in range(n):  # noqa: SIM110 - compiled loop
        if items[k] == item:
            return True
    return False
