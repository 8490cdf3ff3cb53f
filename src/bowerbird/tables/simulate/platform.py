"""The simulated platform in memory: what does not grow with the events, plus one number per person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.simulate.behaviour.choice import (
    CLICK,
    HIDE,
    LONG_CLICK,
    SAVE,
    Choice,
    examination,
    pair_logits,
)
from bowerbird.tables.simulate.behaviour.people import Traits, draw_people
from bowerbird.tables.simulate.behaviour.records import Log, empty_log
from bowerbird.tables.simulate.behaviour.rings import Rings, make_rings
from bowerbird.tables.simulate.behaviour.scene import Policy
from bowerbird.tables.simulate.behaviour.sessions import Manners, simulate_people
from bowerbird.tables.simulate.config import ACTIONS, SimulationConfig
from bowerbird.tables.simulate.world.creators import Creators, make_creators
from bowerbird.tables.simulate.world.items import Catalogue, make_catalogue, make_topics
from bowerbird.tables.simulate.world.language import Language, invent_language

_BUSIEST = 60.0  # nobody has more than this many times the mean number of rows
_PILOT_ROWS = 120_000


@dataclass(frozen=True)
class Platform:
    """A platform ready to run.

    Attributes:
        quota: int64[U] rows of every person, summing to config.n_events.
    """

    config: SimulationConfig
    language: Language
    creators: Creators
    catalogue: Catalogue
    rings: Rings
    traits: Traits
    choice: Choice
    policy: Policy
    manners: Manners
    quota: np.ndarray

    def people(self, numbers: np.ndarray) -> np.ndarray:
        """The people with these numbers; spam accounts joined when their ring was opened.

        Args: numbers: int64[B]. Returns PERSON[B].
        """
        people = draw_people(np.asarray(numbers, dtype=np.int64), self.traits, self.catalogue)
        ring = self.rings.member[people["number"]]
        spam = ring >= 0
        jitter = people["joined"][spam] % 7_200_000
        people["joined"][spam] = self.rings.opened[ring[spam]] + jitter
        return people

    def run(self, people: np.ndarray) -> Log:
        """Everything these people see and do."""
        quota = self.quota[people["number"]]
        log = empty_log(int(quota.sum()))
        simulate_people(
            log, people, quota, self.rings, self.catalogue, self.choice, self.policy, self.manners
        )
        return log

    def blocks(self, chunk_rows: int) -> Iterator[np.ndarray]:
        """Consecutive person numbers (int64[B]) with chunk_rows rows together, or one person with more."""
        ends = np.cumsum(self.quota)
        first = 0
        while first < len(ends):
            limit = (ends[first - 1] if first else 0) + chunk_rows
            last = max(int(np.searchsorted(ends, limit, side="right")), first + 1)
            yield np.arange(first, last, dtype=np.int64)
            first = last


def build_platform(config: SimulationConfig) -> Platform:
    """Draw the world and calibrate it, so that actions happen at the configured rates."""
    rng = np.random.Generator(np.random.Philox(config.seed))
    topics = make_topics(rng, config.n_topics)
    language = invent_language(rng, topics.group)
    creators = make_creators(rng, config, topics.share)
    catalogue = make_catalogue(rng, config, topics, creators)
    rings = make_rings(rng, config, catalogue)
    traits = Traits(
        config.seed,
        config.start_ms,
        config.end_ms,
        config.outcome_overlap,
        config.new_user_share,
        config.activity_spread,
        config.drift_share,
    )
    manners = Manners(
        config.seed,
        config.start_ms,
        config.end_ms,
        config.slate_size,
        min(config.repeat_filter, int(catalogue.live[0]) // 3),
        config.session_slates,
        config.switch,
        config.habit,
        config.session_memory,
        config.search_share,
        config.related_share,
        config.keep_share,
        config.follow_share,
    )
    choice, policy = choice_of(config, np.array([-2.0, -1.0, -4.0, -3.0])), policy_of(config)
    quota = _quotas(config, traits, catalogue, rings)
    platform = Platform(config, language, creators, catalogue, rings, traits, choice, policy, manners, quota)
    return _calibrated(platform)


def choice_of(config: SimulationConfig, bias: np.ndarray) -> Choice:
    """The outcome model of a configuration with these biases (float64[A])."""
    return Choice(
        bias,
        config.affinity_gain,
        config.appeal_strength,
        config.intent_strength,
        config.taste_strength,
        config.position_decay,
    )


def policy_of(config: SimulationConfig) -> Policy:
    """The logging policy of a configuration."""
    return Policy(
        np.array([config.policy_home, config.policy_search, config.policy_related]),
        np.array([config.focus_home, config.focus_search, config.focus_related]),
        config.start_ms,
    )


def _quotas(config: SimulationConfig, traits: Traits, catalogue: Catalogue, rings: Rings) -> np.ndarray:
    """Rows of every person: a few for all, the rest by activity times the share of the log they were there."""
    weight = np.empty(config.n_users)
    for first in range(0, config.n_users, 10_000):
        people = draw_people(np.arange(first, min(first + 10_000, config.n_users)), traits, catalogue)
        present = (config.end_ms - np.maximum(people["joined"], config.start_ms)) / (
            config.end_ms - config.start_ms
        )
        weight[people["number"]] = people["activity"] * present
    ordinary = rings.member < 0
    weight[~ordinary] = weight[ordinary].mean()
    weight = np.minimum(weight, _BUSIEST * weight.mean())
    least = min(config.slate_size, config.n_events // config.n_users)
    exact = weight / weight.sum() * (config.n_events - least * config.n_users)
    quota = np.floor(exact).astype(np.int64)
    short = config.n_events - least * config.n_users - int(quota.sum())
    quota[np.argsort(quota - exact, kind="stable")[:short]] += 1
    return quota + least


def _calibrated(platform: Platform) -> Platform:
    """The platform with biases at which a pilot group acts at the configured rates.

    Actions steer what is shown next, a little, so the pilot is run twice.
    """
    ordinary = np.flatnonzero(platform.rings.member < 0)
    n = max(1, round(len(ordinary) * min(1.0, _PILOT_ROWS / platform.config.n_events)))
    pilot = platform.people(ordinary[np.linspace(0, len(ordinary) - 1, n).astype(np.int64)])
    for _ in range(2):
        rows = platform.run(pilot).rows
        bare = platform.choice._replace(bias=np.zeros(len(ACTIONS)))
        requested = request_times(rows)
        logit_RA = pair_logits(
            pilot,
            rows["person"],
            rows["item"],
            rows["moment"],
            requested,
            platform.catalogue,
            bare,
            platform.policy,
        )
        sees = examination(rows["position"], platform.choice)
        solve = partial(_solve, platform.config, logit_RA)
        bias = np.zeros(len(ACTIONS))
        bias[HIDE] = solve(HIDE, sees)
        stays = sees * (1.0 - _sigmoid(logit_RA[:, HIDE] + bias[HIDE]))
        bias[CLICK] = solve(CLICK, stays)
        bias[SAVE] = solve(SAVE, stays)
        clicks = stays * _sigmoid(logit_RA[:, CLICK] + bias[CLICK])
        bias[LONG_CLICK] = solve(LONG_CLICK, clicks)
        choice = platform.choice._replace(bias=bias)
        platform = Platform(**(vars(platform) | {"choice": choice}))
    return platform


def request_times(rows: np.ndarray) -> np.ndarray:
    """Time of the request of every row of a log (ROW[N]), int64[N] ms: the time of the slate's first row."""
    first = np.maximum.accumulate(np.where(rows["position"] == 0, np.arange(len(rows)), 0))
    return rows["time"][first]


def _solve(config: SimulationConfig, logit_RA: np.ndarray, action: int, weight_R: np.ndarray) -> float:
    """The bias at which mean(weight * sigmoid(logit + bias)) is the action's rate, by bisection.

    Raises ConfigError for a rate that even certainty would not reach.
    """
    rate, logit_R = config.rates[ACTIONS[action]], logit_RA[:, action]
    if rate >= weight_R.mean():
        raise ConfigError(
            f"simulation: knob rates asks for {rate:g} of {ACTIONS[action]}, but only {weight_R.mean():.3f} of all "
            f"rows leave room for it; lower that rate, lower hide or lower position_decay"
        )
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(weight_R * _sigmoid(logit_R + middle)) < rate else (low, middle)
    return (low + high) / 2


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))
