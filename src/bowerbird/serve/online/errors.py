"""What can go wrong with the online history, told so that a person or a client knows what to do."""

from __future__ import annotations

import logging
import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bowerbird.serve.request import RequestError
from bowerbird.tables.errors import BowerbirdError


class OnlineError(BowerbirdError):
    """The online history cannot do what was asked. Nothing of it was half done.

    Args:
        reason: What is wrong and what to do about it; names no path, host or user, so a client may see it.
        name: The database, for the person who runs it; part of `str(error)` alone.
        retry_after: Seconds after which trying again makes sense; None where a person has to act first.
    """

    def __init__(self, reason: str, *, name: str | None = None, retry_after: float | None = None) -> None:
        self.reason, self.name, self.retry_after = reason, name, retry_after
        super().__init__(f"online history {name}: {reason}" if name else f"online history: {reason}")


class EventError(RequestError):
    """An event that cannot be kept as written. Nothing of its append was written.

    Args:
        message: What is wrong and what would be accepted.
        place: Number of the event in its append, from 0.
        field: The part of the event at fault; `RequestError.field` becomes `events.<place>.<field>`.
    """

    def __init__(self, message: str, *, place: int, field: str) -> None:
        self.place = place
        super().__init__(message, field=f"events.{place}.{field}")


log = logging.getLogger("bowerbird.serve")

_UNEXPECTED = "the database failed (details are in the log):"
_UNSURE = (
    "whether the last events were kept is not known; post them again with the same event ids, "
    "none is counted twice"
)
_SQLITE: dict[int, tuple[str, float | None]] = {
    sqlite3.SQLITE_BUSY: ("it is locked by another process", 1.0),
    sqlite3.SQLITE_LOCKED: ("it is locked by another connection", 1.0),
    sqlite3.SQLITE_FULL: ("the disk is full; nothing was written. Free some space", 30.0),
    sqlite3.SQLITE_IOERR: (f"the disk failed or is full; {_UNSURE}", 30.0),
    sqlite3.SQLITE_READONLY: ("it is read-only. Make the file and its folder writable for this user", None),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened. Check that its folder exists and is writable", None),
    sqlite3.SQLITE_PERM: ("access is denied. Make the file and its folder writable for this user", None),
    sqlite3.SQLITE_CORRUPT: ("it is damaged. Restore a copy", None),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database. Give the path of another file", None),
}
"""By primary result code."""

_POSTGRESQL: dict[str, tuple[str, float | None]] = {
    "55P03": ("it is locked by another process", 1.0),
    "40": ("two transactions met; nothing was written", 0.5),
    "53100": ("the disk of the database server is full; nothing was written. Free some space", 30.0),
    "53": ("the database server is short of resources; nothing was written", 5.0),
    "25006": ("it is read-only (a standby server?). Give the address of the primary", 5.0),
    "57": (f"the database server is stopping, starting or has cut the connection; {_UNSURE}", 2.0),
    "08": (f"the connection to the database server broke; {_UNSURE}", 2.0),
    "28": ("the database server refuses this user. Check the user, the password and pg_hba.conf", None),
    "3D": ("there is no such database. Make it with createdb", None),
    "42501": ("this user may not do that. Grant it the right to create and write tables", None),
}
"""By SQLSTATE, or by its class (the first two digits)."""


def explain(error: SQLAlchemyError | OSError, name: str) -> OnlineError:
    """The error of a database as an `OnlineError`.

    Args:
        error: What was raised.
        name: The database as a person knows it, without a password.
    """
    reason, retry = _meaning(error)
    if reason.startswith(_UNEXPECTED):
        log.warning("online history %s: %s", name, error)
    return OnlineError(reason, name=name, retry_after=retry)


def _meaning(error: SQLAlchemyError | OSError) -> tuple[str, float | None]:
    if isinstance(error, OSError):
        return f"{error.strerror or error}. Check that its folder exists and is writable for this user", None
    if isinstance(error, PoolTimeoutError):
        return "too many reads at once", 1.0
    if not isinstance(error, DBAPIError):
        return f"{_UNEXPECTED} {type(error).__name__}", None
    origin = error.orig
    if isinstance(origin, sqlite3.Error):
        # Extended codes keep the primary one in the low byte. Errors of Python's own module carry no code.
        code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
        return _SQLITE.get(code) or (f"{_UNEXPECTED} {getattr(origin, 'sqlite_errorname', '')}", None)
    state = getattr(origin, "sqlstate", None)
    if state is None:
        return f"the database server does not answer; {_UNSURE}", 2.0
    return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2]) or (f"{_UNEXPECTED} SQLSTATE {state}", None)
