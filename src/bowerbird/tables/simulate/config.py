"""The knobs of the simulated platform, each explained, with sizes derived from the number of events."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from bowerbird.tables.errors import ConfigError, did_you_mean

ACTIONS: tuple[str, ...] = ("click", "long_click", "save", "hide")
"""Actions of the platform. The position here is the bit in an action mask and the row in a factor table."""

NEGATIVE_ACTIONS: tuple[str, ...] = ("hide",)
"""Actions that say "less of this"."""

SURFACES: tuple[str, ...] = ("home", "search", "related")
"""Surfaces of the platform. The position here is the code used inside the simulator."""

SLATE_RULE = "one request of the platform is one slate: the rows that share a request_id"
TIE_RULE = "input"
"""No two rows of a user share a timestamp, so the order of reading never decides."""

MIN_EVENTS, MAX_EVENTS = 1_000, 10_000_000
DAY_MS = 86_400_000

Shares = tuple[float, float, float]


def _about(
    meaning: str, *, least: float | None = None, most: float | None = None, share: bool = False
) -> dict[str, Any]:
    """What a knob means, and its bounds: from `least` to `most`, or a `share` from 0 to 1."""
    return {"about": meaning, "bounds": (0.0, 1.0) if share else (least, most)}


_PARTS = "shares (popular, personal, random) of the logging policy on this surface; each slot draws its part"
_FOCUS = "where the personal part looks: (topic of the moment, own interests by weight, sister topics)"
_DEFAULT_RATES = {"click": 0.30, "long_click": 0.12, "save": 0.07, "hide": 0.015}


@dataclass(frozen=True)
class SimulationConfig:
    """Everything that decides what the platform looks like. Equal configurations give equal bytes.

    `SimulationConfig.explain()` gives the meaning of every knob. Sizes left at 0 are derived from n_events.

    Raises ConfigError for a value outside its bounds.
    """

    n_events: int = field(metadata=_about("rows of events (impressions), 10^3 to 10^7; met exactly"))
    seed: int = field(default=0, metadata=_about("any integer from 0 to 2^63 - 1", least=0))
    n_users: int = field(
        default=0,
        metadata=_about("people, spam accounts included; derived: n_events / 50, at least 50", least=20),
    )
    n_items: int = field(
        default=0, metadata=_about("items; derived: 5.6 * sqrt(n_events), at least 160", least=80)
    )
    n_topics: int = field(
        default=0, metadata=_about("leaf topics; derived: n_items / 50, held between 20 and 200", least=10)
    )
    n_creators: int = field(default=0, metadata=_about("creator accounts; derived: n_items / 8", least=4))
    n_days: int = field(default=28, metadata=_about("length of the log in days", least=2))
    start: str = field(default="2024-03-04", metadata=_about("first day, UTC"))

    slate_size: int = field(default=6, metadata=_about("items per request", least=1))
    policy_home: Shares = field(default=(0.15, 0.75, 0.10), metadata=_about(_PARTS))
    policy_search: Shares = field(default=(0.05, 0.90, 0.05), metadata=_about(_PARTS))
    policy_related: Shares = field(default=(0.05, 0.90, 0.05), metadata=_about(_PARTS))
    focus_home: Shares = field(default=(0.60, 0.30, 0.10), metadata=_about(_FOCUS))
    focus_search: Shares = field(default=(0.85, 0.0, 0.15), metadata=_about(_FOCUS))
    focus_related: Shares = field(default=(0.80, 0.0, 0.20), metadata=_about(_FOCUS))
    repeat_filter: int = field(
        default=64,
        metadata=_about("the policy leaves out the last this many things a person acted on", least=0),
    )
    position_decay: float = field(
        default=0.25, metadata=_about("slot p is looked at with probability (1 + p)^-position_decay", least=0)
    )

    rates: Mapping[str, float] = field(
        default_factory=lambda: dict(_DEFAULT_RATES),
        metadata=_about(
            "share of the rows of ordinary people with each action (a long click is a click too)"
        ),
    )
    affinity_gain: float = field(
        default=3.0,
        metadata=_about("logits between an item on the topic of the moment and a foreign one", least=0),
    )
    appeal_strength: float = field(
        default=1.2, metadata=_about("deviation, in logits, of an item's own pull toward one action", least=0)
    )
    intent_strength: float = field(
        default=0.9,
        metadata=_about(
            "deviation, in logits, of what a person does inside one interest (saves here, clicks there)",
            least=0,
        ),
    )
    taste_strength: float = field(
        default=0.7,
        metadata=_about(
            "deviation, in logits, of a person's style factors times an item's, per action", least=0
        ),
    )
    outcome_overlap: float = field(
        default=0.2,
        metadata=_about(
            "correlation of the factors of different actions; 1: what is clicked is what is saved", share=True
        ),
    )

    new_user_share: float = field(
        default=0.35, metadata=_about("share of people who join during the log", share=True)
    )
    activity_spread: float = field(
        default=0.9, metadata=_about("deviation of the logarithm of activity (heavy tail)", least=0)
    )
    session_slates: float = field(default=5.0, metadata=_about("mean requests per session", least=1))
    switch: float = field(
        default=0.4,
        metadata=_about("probability to change interest after a request of a session", share=True),
    )
    habit: float = field(
        default=0.8,
        metadata=_about("probability that a change follows the person's own fixed order", share=True),
    )
    session_memory: float = field(
        default=0.35, metadata=_about("probability to start where the last session ended", share=True)
    )
    drift_share: float = field(
        default=0.4, metadata=_about("share of people who replace one interest at some moment", share=True)
    )
    search_share: float = field(
        default=0.15, metadata=_about("probability that a request is a search", share=True)
    )
    related_share: float = field(
        default=0.25,
        metadata=_about(
            "probability that the request after a click is for things related to the clicked item", share=True
        ),
    )
    keep_share: float = field(
        default=0.85, metadata=_about("probability that a save also goes to a collection", share=True)
    )
    follow_share: float = field(
        default=0.02,
        metadata=_about("probability that a positive row makes the person follow the creator", share=True),
    )

    new_item_share: float = field(
        default=0.4, metadata=_about("share of items that appear during the log", share=True)
    )
    half_life_days: float = field(
        default=10.0, metadata=_about("median half-life of an item's popularity", least=0.1)
    )
    popularity_spread: float = field(
        default=1.1,
        metadata=_about("deviation of the logarithm of popularity at birth (heavy tail)", least=0),
    )
    vector_size: int = field(
        default=16,
        metadata=_about("length of an item's noisy content vector; 0 leaves the column out", least=0),
    )

    spam_share: float = field(
        default=0.02,
        metadata=_about("share of people who are spam accounts; 0 switches the rings off", least=0, most=0.5),
    )
    ring_size: int = field(default=12, metadata=_about("accounts per ring", least=2))
    label_share: float = field(
        default=0.6,
        metadata=_about("share of accounts (spam) and of names (identity) with a label", share=True),
    )
    shared_names: float = field(
        default=0.7,
        metadata=_about("creators' names per person; below 1 different persons share names", least=0.05),
    )

    def __post_init__(self) -> None:
        """Fill the derived sizes and check every value."""
        if not MIN_EVENTS <= self.n_events <= MAX_EVENTS:
            raise _bad("n_events", self.n_events, f"a number from {MIN_EVENTS} to {MAX_EVENTS}")
        self._derive("n_users", max(50, self.n_events // 50))
        self._derive("n_items", max(160, round(5.6 * math.sqrt(self.n_events))))
        self._derive("n_topics", min(200, max(20, self.n_items // 50)))
        self._derive("n_creators", max(12, self.n_items // 8))
        for knob in fields(self):
            low, high = knob.metadata["bounds"]
            value = getattr(self, knob.name)
            if isinstance(value, tuple | list):
                shares = tuple(float(x) for x in value)
                object.__setattr__(self, knob.name, shares)
                if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1.0) > 1e-9:
                    raise _bad(knob.name, value, "three shares that sum to 1")
            elif (low is not None and value < low) or (high is not None and value > high):
                raise _bad(
                    knob.name, value, f"at least {low:g}" + ("" if high is None else f" and at most {high:g}")
                )
        self._check_together()

    @property
    def start_ms(self) -> int:
        """First millisecond of the log (int, ms UTC)."""
        return round(datetime.fromisoformat(self.start + "T00:00:00+00:00").timestamp() * 1000)

    @property
    def end_ms(self) -> int:
        """End of the log (int, ms UTC); a session that began before it may run past it by minutes."""
        return self.start_ms + self.n_days * DAY_MS

    def to_json(self) -> str:
        """All knobs, derived ones included, as one JSON object with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SimulationConfig:
        """The configuration that `to_json` wrote."""
        return cls.of(**json.loads(text))

    @classmethod
    def of(cls, **knobs: Any) -> SimulationConfig:
        """A configuration from keyword arguments.

        Raises ConfigError for an unknown knob, naming the closest one.
        """
        known = cls.explain()
        for name in knobs:
            if name not in known:
                raise ConfigError(f"simulation: unknown knob {name!r}; {did_you_mean(name, known)}")
        return cls(**knobs)

    @classmethod
    def explain(cls) -> dict[str, str]:
        """What every knob means, in the order of the fields."""
        return {knob.name: knob.metadata["about"] for knob in fields(cls)}

    def _derive(self, name: str, value: int) -> None:
        object.__setattr__(self, name, getattr(self, name) or value)

    def _check_together(self) -> None:
        try:
            datetime.fromisoformat(self.start + "T00:00:00+00:00")
        except ValueError:
            raise _bad("start", self.start, "a date such as 2024-03-04") from None
        if self.seed >= 2**63:
            raise _bad("seed", self.seed, "below 2^63")
        for name in ("policy_home", "policy_search", "policy_related"):
            if getattr(self, name)[2] <= 0:
                raise _bad(
                    name, getattr(self, name), "with a random share above 0: every item needs a chance"
                )
        if set(self.rates) != set(ACTIONS) or not all(0 < rate < 1 for rate in self.rates.values()):
            raise _bad(
                "rates", dict(self.rates), f"one rate between 0 and 1 for each of {', '.join(ACTIONS)}"
            )
        if self.rates["long_click"] >= self.rates["click"]:
            raise _bad("rates", dict(self.rates), "long_click below click: every long click is a click")
        if self.n_events < self.n_users:
            raise _bad("n_users", self.n_users, "at most n_events, so that everyone is shown something")
        if self.n_items < 4 * self.n_topics:
            raise _bad("n_topics", self.n_topics, f"at most a quarter of n_items ({self.n_items})")
        if self.slate_size > self.n_topics:
            raise _bad(
                "slate_size",
                self.slate_size,
                f"at most n_topics ({self.n_topics}), so that slates can be filled",
            )
        if self.n_users >= 2**31:
            raise _bad("n_users", self.n_users, "below 2^31")


def _bad(name: str, value: object, want: str) -> ConfigError:
    return ConfigError(f"simulation: knob {name} is {value!r}; it must be {want}")
