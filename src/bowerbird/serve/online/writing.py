"""The one transaction that changes the history: many appends at once, each with its own receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from bowerbird.serve.online.events import Receipt
from bowerbird.serve.online.rules import Row
from bowerbird.serve.online.schema import about, events, users

_AT_ONCE = 500
"""Values in one IN list; databases bound their number."""

_LAST = select(about.c.sequence).with_for_update()
_GIVE = about.update().values(sequence=bindparam("last"))
_KNOWN = select(*(events.c[name] for name in Row._fields)).where(
    events.c.event_id.in_(bindparam("ids", expanding=True))
)
_USERS = select(users).where(users.c.user_id.in_(bindparam("ids", expanding=True)))
_INSERT, _INSERT_USER = events.insert(), users.insert()
_UPDATE_USER = users.update().where(users.c.user_id == bindparam("key"))


@dataclass
class _User:
    events: int = 0
    late: int = 0
    newest: int | None = None
    known: bool = False

    def add(self, time: int) -> None:
        self.events += 1
        if self.newest is None or time >= self.newest:
            self.newest = time
        else:
            self.late += 1


def write(connection: Connection, appends: Sequence[Sequence[Row]]) -> list[Receipt]:
    """Adds the events of several appends, in order.

    Locking the row of `about` first makes writers of all processes take turns, so sequence numbers are given in the
    order in which transactions become visible: whoever has read up to a number has missed nothing below it.

    Args:
        connection: In a writing transaction.
        appends: Checked rows of each append.

    Returns:
        One receipt for each append.
    """
    last = connection.execute(_LAST).scalar_one()
    known = _known(connection, [row.event_id for rows in appends for row in rows])
    fresh: list[Row] = []
    receipts = []
    for rows in appends:
        accepted = duplicates = 0
        conflicts = []
        for row in rows:
            found = known.get(row.event_id)
            if found is None:
                known[row.event_id] = row
                fresh.append(row)
                accepted += 1
            elif found == row:
                duplicates += 1
            else:
                conflicts.append(row.event_id)
        receipts.append(Receipt(accepted, duplicates, tuple(conflicts)))
    if fresh:
        numbered = [{"sequence": number, **row._asdict()} for number, row in enumerate(fresh, last + 1)]
        connection.execute(_INSERT, numbered)
        _count(connection, fresh)
        connection.execute(_GIVE, {"last": last + len(fresh)})
    return receipts


def _known(connection: Connection, ids: Sequence[str]) -> dict[str, Row]:
    """The events among `ids` that are there already."""
    found: dict[str, Row] = {}
    for start in range(0, len(ids), _AT_ONCE):
        for kept in connection.execute(_KNOWN, {"ids": ids[start : start + _AT_ONCE]}):
            found[kept.event_id] = Row(*kept)
    return found


def _count(connection: Connection, fresh: Sequence[Row]) -> None:
    """Brings the versions of the users up to date."""
    changed = {row.user_id: _User() for row in fresh}
    keys = sorted(changed)
    for start in range(0, len(keys), _AT_ONCE):
        for kept in connection.execute(_USERS, {"ids": keys[start : start + _AT_ONCE]}):
            changed[kept.user_id] = _User(kept.events, kept.late, kept.newest, known=True)
    for row in fresh:
        changed[row.user_id].add(row.time)
    fields = {key: {"events": u.events, "late": u.late, "newest": u.newest} for key, u in changed.items()}
    new = [{"user_id": key, **fields[key]} for key in keys if not changed[key].known]
    old = [{"key": key, **fields[key]} for key in keys if changed[key].known]
    if new:
        connection.execute(_INSERT_USER, new)
    if old:
        connection.execute(_UPDATE_USER, old)
