"""The knobs of the simulated platform, each explained, with defaults derived from the number of events."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from bowerbird.tables.errors import ConfigError, did_you_mean

ACTIONS: tuple[str, ...] = ("click", "long_click", "save", "hide")
"""Actions of the platform. The position in this tuple is the bit in an action mask and the row in a factor table."""

NEGATIVE_ACTIONS: tuple[str, ...] = ("hide",)
"""Actions that say "less of this"."""

SURFACES: tuple[str, ...] = ("home", "search", "related")
"""Surfaces of the platform. The position in this tuple is the code used inside the simulator."""

SLATE_RULE = "one request of the platform is one slate: the rows that share a request_id"
TIE_RULE = "input"
"""No two rows of a user share a timestamp, so the order of reading never decides."""

MIN_EVENTS, MAX_EVENTS = 1_000, 10_000_000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class SimulationConfig:
    """Everything that decides what the platform looks like. Equal configurations give equal bytes.

    Size
        n_events: rows of the events table (impressions), 10^3 to 10^7; met exactly.
        seed: any non-negative integer below 2^63.
        n_users: people, spam accounts included. 0 derives n_events / 50, at least 50.
        n_items: 0 derives 5.6 * sqrt(n_events), at least 160 (2 504 items at 2*10^5 events).
        n_topics: leaf topics. 0 derives n_items / 50, held between 20 and 200.
        n_creators: 0 derives n_items / 8.
        n_days: length of the log in days.
        start: first day (ISO 8601, UTC).

    Slates and the logging policy
        slate_size: items per request.
        policy_home, policy_search, policy_related: shares (popular, personal, random) of the logging policy's three
            parts; each slot of a slate draws its part, then its item.
        focus_home, focus_search, focus_related: where the personal part looks: shares (topic of the moment, the
            person's own interests by weight, sister topics of the topic of the moment).
        repeat_filter: the policy does not show again the last this many things a person engaged with.
        position_decay: a slot at position p is examined with probability (1 + p)^-position_decay.

    Outcomes
        rates: share of all shown rows of ordinary people that end in each action (long clicks are also clicks).
        affinity_gain: how many logits separate an item of the topic of the moment from a foreign one.
        appeal_strength: standard deviation, in logits, of an item's own pull toward one action.
        intent_strength: standard deviation, in logits, of what a person does with one of their interests (saves in
            one, only clicks in another).
        taste_strength: standard deviation, in logits, of the inner product of a person's and an item's style factors
            for one action.
        outcome_overlap: squared correlation-like share that the factors of different actions have in common, in
            [0, 1]. 0: what is clicked says nothing about what is saved. 1: one factor drives all.

    People
        new_user_share: share of people who join during the log; the others are there from the start.
        activity_spread: standard deviation of the logarithm of a person's activity (heavy tail).
        session_slates: mean requests per session.
        switch: probability to change interest after a request inside a session.
        habit: probability that a change of interest follows the person's own fixed order (otherwise by weight).
        session_memory: probability that a session starts with the interest the last one ended with.
        drift_share: share of people who replace one interest by a new topic at some moment.
        search_share: probability that a request is a search.
        related_share: probability that a request after a click looks at things related to the clicked item.
        keep_share: probability that a save also goes to a collection.
        follow_share: probability that an engagement makes the person follow the creator.

    Items
        new_item_share: share of items that appear during the log.
        half_life_days: median half-life of an item's popularity.
        popularity_spread: standard deviation of the logarithm of an item's popularity at birth (heavy tail).
        vector_size: length of the noisy content vector of an item; 0 leaves the column out.

    Trust and identity
        spam_share: share of people who are spam accounts. 0 switches the rings off.
        ring_size: accounts per ring.
        label_share: share of accounts (spam) and of names (identity) that carry a label.
        shared_names: creators' names per person; below 1 different persons share names.
    """

    n_events: int
    seed: int = 0
    n_users: int = 0
    n_items: int = 0
    n_topics: int = 0
    n_creators: int = 0
    n_days: int = 28
    start: str = "2024-03-04"
    slate_size: int = 6
    policy_home: tuple[float, float, float] = (0.15, 0.75, 0.10)
    policy_search: tuple[float, float, float] = (0.05, 0.90, 0.05)
    policy_related: tuple[float, float, float] = (0.05, 0.90, 0.05)
    focus_home: tuple[float, float, float] = (0.60, 0.30, 0.10)
    focus_search: tuple[float, float, float] = (0.85, 0.0, 0.15)
    focus_related: tuple[float, float, float] = (0.80, 0.0, 0.20)
    repeat_filter: int = 64
    position_decay: float = 0.25
    rates: Mapping[str, float] = field(
        default_factory=lambda: {"click": 0.30, "long_click": 0.12, "save": 0.07, "hide": 0.015}
    )
    affinity_gain: float = 3.0
    appeal_strength: float = 1.2
    intent_strength: float = 0.9
    taste_strength: float = 0.7
    outcome_overlap: float = 0.2
    new_user_share: float = 0.35
    activity_spread: float = 0.9
    session_slates: float = 5.0
    switch: float = 0.35
    habit: float = 0.75
    session_memory: float = 0.35
    drift_share: float = 0.4
    search_share: float = 0.15
    related_share: float = 0.25
    keep_share: float = 0.85
    follow_share: float = 0.02
    new_item_share: float = 0.4
    half_life_days: float = 10.0
    popularity_spread: float = 1.1
    vector_size: int = 16
    spam_share: float = 0.02
    ring_size: int = 12
    label_share: float = 0.6
    shared_names: float = 0.7

    def __post_init__(self) -> None:
        """Fill the derived sizes and check every value. Raises ConfigError naming the knob."""
        if not MIN_EVENTS <= self.n_events <= MAX_EVENTS:
            raise _bad("n_events", self.n_events, f"a number from {MIN_EVENTS} to {MAX_EVENTS}")
        derive = lambda name, value: object.__setattr__(self, name, getattr(self, name) or int(value))  # noqa: E731
        derive("n_users", max(50, self.n_events // 50))
        derive("n_items", max(160, round(5.6 * math.sqrt(self.n_events))))
        derive("n_topics", min(200, max(20, self.n_items // 50)))
        derive("n_creators", max(12, self.n_items // 8))
        for name in _TRIPLES:
            object.__setattr__(self, name, tuple(float(x) for x in getattr(self, name)))
        object.__setattr__(self, "rates", {a: float(self.rates.get(a, -1.0)) for a in ACTIONS} | {
            a: float(v) for a, v in self.rates.items()})
        self._check()

    @property
    def start_ms(self) -> int:
        """First millisecond of the log (int, ms UTC)."""
        return round(datetime.fromisoformat(self.start + "T00:00:00+00:00").timestamp() * 1000)

    @property
    def end_ms(self) -> int:
        """Nominal end of the log (int, ms UTC); the last session of the busiest people may run past it by hours."""
        return self.start_ms + self.n_days * DAY_MS

    def to_json(self) -> str:
        """All knobs, derived ones included, as one JSON object with sorted keys."""
        return json.dumps(asdict(self) | {"rates": dict(self.rates)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SimulationConfig:
        """The configuration that `to_json` wrote."""
        return cls.of(**json.loads(text))

    @classmethod
    def of(cls, **knobs: Any) -> SimulationConfig:
        """A configuration from keyword arguments. Raises ConfigError for an unknown knob, naming the closest one."""
        known = [f.name for f in fields(cls)]
        for name in knobs:
            if name not in known:
                raise ConfigError(f"simulation: unknown knob {name!r}; {did_you_mean(name, known)}")
        return cls(**knobs)

    def _check(self) -> None:
        try:
            datetime.fromisoformat(self.start + "T00:00:00+00:00")
        except ValueError:
            raise _bad("start", self.start, "a date such as 2024-03-04") from None
        if not 0 <= self.seed < 2**63:
            raise _bad("seed", self.seed, "an integer from 0 to 2^63 - 1")
        for name in _TRIPLES:
            shares = getattr(self, name)
            if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1.0) > 1e-9:
                raise _bad(name, shares, "three shares that sum to 1")
        if min(self.policy_home[2], self.policy_search[2], self.policy_related[2]) <= 0:
            raise _bad("policy_*", self.policy_home, "a random share above 0, so that every propensity is positive")
        if set(self.rates) != set(ACTIONS) or not all(0 < v < 1 for v in self.rates.values()):
            raise _bad("rates", dict(self.rates), f"one rate in (0, 1) for each of {', '.join(ACTIONS)}")
        if self.rates["long_click"] >= self.rates["click"]:
            raise _bad("rates", dict(self.rates), "long_click below click: every long click is a click")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise _bad(name, getattr(self, name), "a number from 0 to 1")
        for name, low in _AT_LEAST.items():
            if getattr(self, name) < low:
                raise _bad(name, getattr(self, name), f"at least {low}")
        if self.n_events < self.n_users:
            raise _bad("n_users", self.n_users, "at most n_events, so that everyone is shown something")
        if self.n_items < 4 * self.n_topics:
            raise _bad("n_topics", self.n_topics, "at most a quarter of n_items")
        if self.n_users >= 2**31 or self.n_items >= 2**31:
            raise _bad("n_users", self.n_users, "below 2^31")


_TRIPLES = ("policy_home", "policy_search", "policy_related", "focus_home", "focus_search", "focus_related")
_SHARES = (
    "outcome_overlap", "new_user_share", "switch", "habit", "session_memory", "drift_share", "search_share",
    "related_share", "keep_share", "follow_share", "new_item_share", "spam_share", "label_share",
)  # fmt: skip
_AT_LEAST = {
    "n_users": 20, "n_items": 80, "n_topics": 10, "n_creators": 4, "n_days": 2, "slate_size": 1, "repeat_filter": 0,
    "position_decay": 0, "affinity_gain": 0, "appeal_strength": 0, "intent_strength": 0, "taste_strength": 0,
    "activity_spread": 0, "session_slates": 1, "half_life_days": 0.1, "popularity_spread": 0,
    "vector_size": 0, "ring_size": 2, "shared_names": 0.05,
}  # fmt: skip


def _bad(name: str, value: object, want: str) -> ConfigError:
    return ConfigError(f"simulation: knob {name} is {value!r}; it must be {want}")
