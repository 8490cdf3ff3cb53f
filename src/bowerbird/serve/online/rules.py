"""What an event must be to be kept, checked before anything reaches the database.

| rule | bound |
|---|---|
| event id | 1 to 200 characters |
| user and item id | 1 to 512 characters, or a 64-bit integer; where the store has integers, `"7"` is 7 |
| request, query | 1 to 512 and 1 to 1000 characters |
| position | 0 to 32767 |
| actions, surface | known ones; anything else is refused with the closest known name |
| time | from 1980 (earlier ones are seconds taken for milliseconds) to five minutes ahead of this machine's clock |
| text | no NUL and no half of a surrogate pair: no database could keep it |
| events in one append | 1000 |

One event that breaks a rule refuses its whole append: nothing of it is written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bowerbird.serve.online.errors import EventError
from bowerbird.serve.online.events import OnlineEvent
from bowerbird.serve.request import MAX_QUERY, RawId, RequestError
from bowerbird.tables.errors import did_you_mean, shorten
from bowerbird.tables.schema import JOINT, IdType

MAX_EVENTS = 1000
MAX_EVENT_ID, MAX_ID, MAX_REQUEST, MAX_POSITION = 200, 512, 512, 32767
EARLIEST = 315_532_800_000
"""The beginning of 1980 in milliseconds."""
SKEW_MS = 300_000
"""How far ahead of this machine's clock an event may be."""

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")


class Row(NamedTuple):
    """An event as the database keeps it. Two events are equal when their rows are."""

    event_id: str
    user_id: str
    item_id: str
    time: int
    actions: str
    surface: str | None
    request: str | None
    position: int | None
    query: str | None


def now_ms() -> int:
    """This machine's clock, milliseconds UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Rules:
    """Checks events and brings them into the form that is kept.

    Args:
        actions: Known actions.
        surfaces: Known surfaces; None = any.
        id_types: Types of the `user` and `item` ids.
        skew_ms: How far ahead of the clock an event may be.
        clock: Milliseconds UTC.
    """

    actions: frozenset[str]
    surfaces: frozenset[str] | None
    id_types: Mapping[str, IdType]
    skew_ms: int = SKEW_MS
    clock: Callable[[], int] = now_ms

    def rows(self, events: Sequence[OnlineEvent]) -> list[Row]:
        """The rows of one append.

        Raises:
            EventError: Naming the first event at fault, its field, its value and what would be accepted.
            RequestError: Too many events.
        """
        if len(events) > MAX_EVENTS:
            raise RequestError(f"{len(events)} in one append; at most {MAX_EVENTS}", field="events")
        latest = self.clock() + self.skew_ms
        return [self._row(event, place, latest) for place, event in enumerate(events)]

    def _row(self, event: OnlineEvent, place: int, latest: int) -> Row:
        return Row(
            event_id=_text(event.event_id, place, "event_id", MAX_EVENT_ID),
            user_id=self._id(event.user, place, "user"),
            item_id=self._id(event.item, place, "item"),
            time=_time(event.time, place, latest),
            actions=JOINT.join(sorted({self._action(name, place) for name in event.actions})),
            surface=self._surface(event.surface, place),
            request=_optional(event.request, place, "request", MAX_REQUEST),
            position=_position(event.position, place),
            query=_optional(event.query, place, "query", MAX_QUERY),
        )

    def key(self, raw: RawId, entity: str) -> str | None:
        """A raw id as the database keeps it; None where no event can have it.

        Args:
            raw: The id.
            entity: `user` or `item`.
        """
        try:
            return self._id(raw, 0, entity)
        except EventError:
            return None

    def raw(self, key: str, entity: str) -> RawId:
        """The raw id of a kept one, in the type of the store."""
        return int(key) if self.id_types[entity] == "integer" else key

    def _id(self, raw: RawId, place: int, entity: str) -> str:
        if isinstance(raw, int) and not isinstance(raw, bool):
            if not -(2**63) <= raw < 2**63:
                raise EventError(f"{shorten(raw)} does not fit in 64 bits", place=place, field=entity)
            return str(raw)
        text = _text(raw, place, entity, MAX_ID)
        if self.id_types[entity] == "string":
            return text
        number = text.strip()
        if not _INTEGER.fullmatch(number) or not -(2**63) <= int(number) < 2**63:
            raise EventError(
                f"{entity} ids are integers in this store, got {shorten(raw)}", place=place, field=entity
            )
        return str(int(number))

    def _action(self, name: str, place: int) -> str:
        if not isinstance(name, str) or name not in self.actions:
            raise EventError(
                f"unknown action {shorten(name)}; {did_you_mean(str(name), self.actions)}",
                place=place,
                field="actions",
            )
        return name

    def _surface(self, name: str | None, place: int) -> str | None:
        if name is None:
            return None
        text = _text(name, place, "surface", MAX_ID)
        if self.surfaces is not None and text not in self.surfaces:
            raise EventError(
                f"unknown surface {shorten(text)}; {did_you_mean(text, self.surfaces)}",
                place=place,
                field="surface",
            )
        return text


def _text(value: object, place: int, field: str, most: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        found = f"{len(value)} characters" if isinstance(value, str) else shorten(value)
        raise EventError(f"must be text of 1 to {most} characters, got {found}", place=place, field=field)
    if _UNKEEPABLE.search(value):
        raise EventError(
            f"must not hold NUL or half of a surrogate pair, got {shorten(value)}", place=place, field=field
        )
    return value


def _optional(value: object, place: int, field: str, most: int) -> str | None:
    return None if value is None else _text(value, place, field, most)


def _time(value: int, place: int, latest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise EventError(f"must be milliseconds UTC, got {shorten(value)}", place=place, field="time")
    if value < EARLIEST:
        raise EventError(
            f"{shorten(value)} ms UTC lies before 1980; times are milliseconds, not seconds",
            place=place,
            field="time",
        )
    if value > latest:
        raise EventError(
            f"{shorten(value)} ms UTC lies in the future (the latest accepted time is now {latest}); "
            "check the clock of the sender",
            place=place,
            field="time",
        )
    return value


def _position(value: int | None, place: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_POSITION:
        raise EventError(
            f"must be a whole number from 0 to {MAX_POSITION}, got {shorten(value)}",
            place=place,
            field="position",
        )
    return value
