"""What is posted to the online history, and what it says back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from bowerbird.serve.request import RawId


@dataclass(frozen=True)
class OnlineEvent:
    """One item shown to one user, with what they did, as it is posted.

    Attributes:
        event_id: Chosen by whoever posts; the same id again is the same event, never a second one.
        user: Raw id; need not be known yet.
        item: Raw id; need not be known yet.
        time: Milliseconds UTC at which it happened.
        actions: What the user did; empty = shown only. Order and repetitions mean nothing.
        surface: Where the item was shown.
        request: The slate it was part of.
        position: Its place in the slate, 0 to 32767.
        query: What was searched.
    """

    event_id: str
    user: RawId
    item: RawId
    time: int
    actions: tuple[str, ...] = ()
    surface: str | None = None
    request: str | None = None
    position: int | None = None
    query: str | None = None


@dataclass(frozen=True)
class StoredEvent(OnlineEvent):
    """An event as it is kept: ids in the type of the store, actions in alphabetical order.

    Attributes:
        sequence: Number of arrival, from 1, one after the other without gaps over the whole database.
    """

    sequence: int = 0


@dataclass(frozen=True)
class Receipt:
    """What became of one append. Whatever it counts is on the disk.

    Attributes:
        accepted: Events that are new.
        duplicates: Events that were there already, equal in every field; nothing was changed.
        conflicts: Ids that were there already with other content; the first content stays.
    """

    accepted: int = 0
    duplicates: int = 0
    conflicts: tuple[str, ...] = ()


class Version(NamedTuple):
    """How far a user's events are. It changes whenever they change.

    Whoever keeps something computed from a user's events compares the version then and now: equal = nothing
    happened; only `events` grew = the new ones stand at the end, so `tail(user, now.events - then.events)` is exactly
    them; `late` grew = at least one was placed among older ones and the whole history must be read again. (A flag for
    the last append alone would miss a late event that came before it.)

    Attributes:
        events: Number of events of this user.
        late: How many of them arrived with a time before the user's newest one.
    """

    events: int = 0
    late: int = 0


@dataclass(frozen=True)
class Tail:
    """A user's newest events and their version, read in one moment.

    Attributes:
        version: See `Version`.
        events: Oldest first; equal times in order of arrival.
    """

    version: Version = field(default_factory=Version)
    events: tuple[StoredEvent, ...] = ()


@dataclass(frozen=True)
class Health:
    """Whether the history can be read and written.

    Attributes:
        ok: No problem is known.
        problem: What is wrong, in words without secrets; None while all is well. A failed write stays the problem
            until a write succeeds.
        database: `sqlite` or `postgresql`.
        events: Events kept; None where the database does not answer.
        waiting: Events handed in and not committed yet.
    """

    ok: bool
    problem: str | None
    database: str
    events: int | None
    waiting: int
