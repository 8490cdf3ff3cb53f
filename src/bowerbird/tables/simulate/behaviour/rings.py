"""Spam accounts: rings that are opened together and push the same items in the same hours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bowerbird.tables.simulate.behaviour.randomness import exponential, integer, uniform
from bowerbird.tables.simulate.behaviour.records import Log, next_row
from bowerbird.tables.simulate.behaviour.scene import HOME, NONE, SEARCH
from bowerbird.tables.simulate.config import ACTIONS, DAY_MS, SimulationConfig
from bowerbird.tables.simulate.world.items import Catalogue
from bowerbird.tables.simulate.world.language import QUERIES_PER_TOPIC

N_TARGETS = 8
N_BURSTS = 3
_CAMOUFLAGE = 0.35
_CLICK, _SAVE = 1 << ACTIONS.index("click"), 1 << ACTIONS.index("save")


class Rings(NamedTuple):
    """R rings of spam accounts.

    Attributes:
        member: int64[U] ring of every person or -1.
        opened: int64[R] ms when its accounts were opened.
        bursts: int64[R, N_BURSTS] ms, ascending.
        targets: int64[R, N_TARGETS] items they push.
    """

    member: np.ndarray
    opened: np.ndarray
    bursts: np.ndarray
    targets: np.ndarray


def make_rings(rng: np.random.Generator, config: SimulationConfig, catalogue: Catalogue) -> Rings:
    """Draw the rings: who, when, and which items of one or two creators they push."""
    size = min(config.ring_size, max(2, config.n_users // 10))
    n_rings = max(1, round(config.spam_share * config.n_users / size)) if config.spam_share > 0 else 0
    member = np.full(config.n_users, -1, np.int64)
    # Members are spread over all numbers, so that an account's number says nothing.
    chosen = rng.permutation(config.n_users)[: n_rings * size]
    member[chosen] = np.arange(len(chosen)) // size
    span = config.end_ms - config.start_ms
    opened = (config.start_ms - 20 * DAY_MS * rng.random(n_rings)).astype(np.int64)
    bursts = np.sort(
        config.start_ms + (span * rng.uniform(0.15, 0.95, (n_rings, N_BURSTS))).astype(np.int64), axis=1
    )
    targets = np.zeros((n_rings, N_TARGETS), np.int64)
    for r in range(n_rings):
        live = int(np.searchsorted(catalogue.items["created"], config.start_ms))
        owners = rng.choice(catalogue.items["creator"][:live], 2)
        own = np.flatnonzero(np.isin(catalogue.items["creator"][:live], owners))
        rest = np.setdiff1d(rng.permutation(live)[: 3 * N_TARGETS], own)
        targets[r] = np.concatenate([rng.permutation(own), rng.permutation(rest)])[:N_TARGETS]
    return Rings(member, opened, bursts, targets)


@njit(cache=True)
def spam_life(
    log: Log,
    state: np.ndarray,
    b: int,
    ring: int,
    quota: int,
    slate_size: int,
    rings: Rings,
    items: np.ndarray,
) -> None:
    """Write all rows of one spam account.

    In every burst target items are clicked and saved, mixed with better known items as camouflage. Nothing
    here comes from the logging policy, so the propensity is NaN.
    """
    done, slate = 0, 0
    last = np.int64(0)
    shown = np.empty(slate_size, np.int64)
    for burst in range(N_BURSTS):
        goal = quota if burst == N_BURSTS - 1 else (quota * (burst + 1)) // N_BURSTS
        time = max(rings.bursts[ring, burst] + int(exponential(state, 1_200_000.0)), last + 60_000)
        while done < goal:
            surface, query = HOME, NONE
            if uniform(state) < 0.5:
                surface, query = SEARCH, items[rings.targets[ring, 0]].topic * QUERIES_PER_TOPIC
            width = min(slate_size, goal - done)
            start = time
            for position in range(width):
                item, actions = _spam_item(state, ring, shown, position, rings, items, start)
                shown[position] = item
                row = log.rows[next_row(log)]
                row.person, row.item, row.time, row.surface, row.slate = b, item, time, surface, slate
                row.position, row.query, row.actions, row.propensity = position, query, actions, np.nan
                row.moment, row.context = -1, -1
                time += 700 + int(exponential(state, 900.0))
            done += width
            slate += 1
            time += 2_000 + int(exponential(state, 4_000.0))
        last = time


@njit(cache=True)
def _spam_item(
    state: np.ndarray, ring: int, shown: np.ndarray, n_shown: int, rings: Rings, items: np.ndarray, time: int
) -> tuple[int, int]:
    live = int(np.searchsorted(items["created"], time))
    for _ in range(20):
        item = rings.targets[ring, integer(state, N_TARGETS)]
        hit = uniform(state) >= _CAMOUFLAGE
        if not hit:
            # The squared draw favours older items, which are the better known ones.
            item = int(uniform(state) ** 2 * live)
        if not _among(item, shown, n_shown):
            if hit:
                return item, (_CLICK if uniform(state) < 0.95 else 0) | (_SAVE if uniform(state) < 0.6 else 0)
            return item, _CLICK if uniform(state) < 0.3 else 0
    while True:
        item = integer(state, live)
        if not _among(item, shown, n_shown):
            return item, 0


@njit(cache=True)
def _among(item: int, items: np.ndarray, n: int) -> bool:
    for k in range(n):  # noqa: SIM110 - compiled loop
        if items[k] == item:
            return True
    return False
