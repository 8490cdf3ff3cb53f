"""Splits: three views of one store, each seeing more than the one before, and words that say how they were
cut.

Fit on `train`, stop early on `valid.held_out(train)`, report `test.held_out(valid)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.given import GivenSplit
from bowerbird.tables.view.rows.source import EventSource
from bowerbird.tables.view.view import View
from bowerbird.tables.view.walls import LastOut, WithoutUsers, format_time, milliseconds

Moment = int | datetime | date | str


@dataclass(frozen=True)
class Split:
    """Three nested views. Every row of `train` is in `valid`, every row of `valid` in `test`.

    Attributes:
        train: What a model may be fitted on.
        valid: Train and the validation rows; targets are `valid.held_out(train)`.
        test: Everything up to the end of the test; targets are `test.held_out(valid)`.
        description: How it was cut, with counts, ties and slates: printed in every report.
    """

    train: View
    valid: View
    test: View
    description: str


def time_split(
    store: EventSource,
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    *,
    valid_from: Moment | None = None,
    test_from: Moment | None = None,
    until: Moment | None = None,
) -> Split:
    """Cut all users at two moments: the headline protocol.

    Args:
        store: An opened store.
        valid_fraction, test_fraction: Share of the events (before `until`) in each part, by time. Events of
            one
            millisecond are never torn apart: they all go to the later part.
        valid_from, test_from: The two moments themselves (both or neither), instead of fractions.
        until: Where the test ends (exclusive); None = the end of the log.

    Raises:
        ConfigError: Fractions that leave nothing, moments in the wrong order, or a part without events.
    """
    if (valid_from is None) != (test_from is None):
        raise ConfigError("time_split: give both valid_from and test_from, or neither")
    test = View(store, None if until is None else milliseconds(until))
    if valid_from is not None and test_from is not None:
        walls = (milliseconds(valid_from), milliseconds(test_from))
        if walls[0] >= walls[1]:
            raise ConfigError(
                f"time_split: validation begins at {format_time(walls[0])}, not before the test at "
                f"{format_time(walls[1])}; exchange them"
            )
        how = "at given moments"
    else:
        if valid_fraction <= 0 or test_fraction <= 0 or valid_fraction + test_fraction >= 1:
            raise ConfigError(
                f"time_split: valid_fraction={valid_fraction} and test_fraction={test_fraction} must be "
                f"above "
                "0 and leave something to train on"
            )
        walls = _quantiles(test, (1 - valid_fraction - test_fraction, 1 - test_fraction))
        how = f"with {valid_fraction:.0%} of the events for validation and {test_fraction:.0%} for the test"
    valid, train = test.narrow(walls[1]), test.narrow(walls[0])
    parts = (train.n_events, valid.n_events - train.n_events, test.n_events - valid.n_events)
    for name, n_events in zip(("train", "valid", "test"), parts, strict=True):
        if n_events == 0:
            raise ConfigError(
                f"time_split: no events in {name} (cut at {format_time(walls[0])} and "
                f"{format_time(walls[1])}); choose other fractions or moments"
            )
    end = "the end of the log" if until is None else format_time(milliseconds(until))
    description = (
        f"Global time split {how}: train before {format_time(walls[0])} ({parts[0]:,} events), validation "
        f"until {format_time(walls[1])} ({parts[1]:,}), test until {end} ({parts[2]:,}). {_rules(test)}"
    )
    return Split(train, valid, test, description)


def leave_last_out(store: EventSource) -> Split:
    """The literature's protocol: the last positive event of each user tests, the one before it validates.

    Rows between and after those positives go with the positive before them in the user's order. It leaks
    time: one user's training event may be later than another user's test event, so use it only to compare
    with the literature. A user with fewer than three positive events has nothing left to train on and no
    history.

    Raises:
        ConfigError: No user has three positive events.
    """
    test, valid, train = View(store), View(store, LastOut(1)), View(store, LastOut(2))
    if len(train.positives) == 0:
        raise ConfigError("leave_last_out: no user has three positive events, so nothing is left to train on")
    sizes = [len(view.positives) for view in (train, valid, test)]
    description = (
        f"Leave-last-out: the last positive event of each user tests ({sizes[2] - sizes[1]:,}), the one "
        f"before it validates ({sizes[1] - sizes[0]:,}), earlier ones train ({sizes[0]:,} positive events). "
        f"No wall between users: comparable with the literature, not leak-free. {_rules(test)}"
    )
    return Split(train, valid, test, description)


def user_split(store: EventSource, share: float = 0.1, *, seed: int = 0) -> Split:
    """The time split, learnt without some users: the test asks how well a model serves people it has never met.

    Train and validation lack a seeded share of the users, whole; the test has everybody. Targets are rows of the
    hidden users past the wall in time, with their own past before it as history (PinRec A6: evaluation users are
    disjoint from training users). Other rows of the test are not asked for.

    Args:
        store: An opened store.
        share: Of the users, hidden.
        seed: Chooses them.

    Raises:
        ConfigError: As `time_split`, or a part is empty without those users.
    """
    whole = time_split(store)
    wall = WithoutUsers(share, seed)
    train, valid = whole.train.narrow(wall), whole.valid.narrow(wall)
    if not len(train.positives) or valid.n_events == train.n_events:
        raise ConfigError(
            f"user_split: without {share:.0%} of the users nothing is left to learn from or to validate on; "
            "hide fewer, or take more data"
        )
    n_hidden = int(wall.hides(store.n_users).sum())
    description = (
        f"{whole.description} Of {store.n_users:,} users {n_hidden:,} are hidden from training and validation "
        f"(seed {seed}); the test asks about them alone."
    )
    return Split(train, valid, whole.test, description)


def given_split(store: EventSource) -> Split:
    """The split a data set brings with it (see `GivenSplit`): the seeded draw of citeulike-a, say.

    Args:
        store: A store made by an adapter that has a split of its own.

    Raises:
        ConfigError: The store brings none, or a part of it is empty.
    """
    given = GivenSplit.of(store.manifest.config)
    if given is None:
        raise ConfigError(
            "given_split: this store brings no split of its own; use time_split or leave_last_out, or read a data set "
            "that has one (citeulike, citeulike-cold, lastfm, lastfm-timed)"
        )
    cut = time_split(store, valid_from=given.valid_from, test_from=given.test_from, until=given.until)
    sizes = [view.n_events for view in (cut.train, cut.valid, cut.test)]
    description = (
        f"The data set's own split: train before {format_time(given.valid_from)} ({sizes[0]:,} events), validation "
        f"until {format_time(given.test_from)} ({sizes[1] - sizes[0]:,}), then the test ({sizes[2] - sizes[1]:,}). "
        f"{_rules(cut.test)}"
    )
    return replace(cut, description=description)


def _quantiles(view: View, shares: tuple[float, float]) -> tuple[int, int]:
    """The times below which about these shares of the visible events lie."""
    parts = [time for (time,) in view.events.columns("time")]
    times = np.concatenate(parts) if parts else np.empty(0, np.int64)
    if len(times) < 3:
        raise ConfigError(f"time_split: {len(times)} events are too few to split; ingest more")
    places = [min(int(len(times) * share), len(times) - 1) for share in shares]
    found = np.partition(times, places)[places]
    return int(found[0]), int(found[1])


def _rules(view: View) -> str:
    from bowerbird.tables.schema import TIE_RULES

    slates = (view.slate_rule or "none in this log").rstrip(".")
    return f"Slates: {slates}. Ties: {TIE_RULES.get(view.tie_rule, view.tie_rule)}."
