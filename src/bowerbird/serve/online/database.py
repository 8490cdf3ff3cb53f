"""Connections: SQLite in WAL mode, or PostgreSQL; transactions for reading and for writing."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from bowerbird.serve.online.errors import OnlineError, explain
from bowerbird.tables.atomic import sync_folder

LOCK_SECONDS = 2.0
"""How long a writer waits for another process before it gives up."""

_WRITES = "bowerbird_writes"
_POOL, _MORE = 8, 24
"""Connections kept open, and how many more there may be while many threads read."""


class Database:
    """One database. Safe to share between threads; every error comes out as an `OnlineError`.

    SQLite runs in WAL mode with `synchronous=FULL`: a commit returns when the log is flushed to the disk, readers
    never wait for the writer, and a process that dies leaves whole transactions only. PostgreSQL commits with
    `synchronous_commit=on` and must run with its default `fsync=on`.

    Args:
        url: Path of a file, `sqlite:///path`, or `postgresql://user:password@host/database`.
        create: Make a SQLite file where there is none.
        lock_seconds: How long a writer waits for another process.

    Raises:
        OnlineError: The database cannot be reached or used.
    """

    def __init__(self, url: str | Path, *, create: bool = True, lock_seconds: float = LOCK_SECONDS) -> None:
        self._url = _parsed(url)
        self.kind = self._url.get_backend_name()
        self.name = (
            str(self._url.database)
            if self.kind == "sqlite"
            else self._url.render_as_string(hide_password=True)
        )
        if self.kind == "sqlite":
            self._make_file(create)
            self.engine = _sqlite(self._url, lock_seconds)
            try:
                with self.errors():
                    self._enter_wal(lock_seconds)
            except OnlineError:
                self.close()
                raise
        else:
            self.engine = _postgresql(self._url, lock_seconds)
        # A statement alone needs no transaction. SQLite has none unless `_sqlite` begins one.
        self._single = (
            self.engine
            if self.kind == "sqlite"
            else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """For single statements: each sees one moment, with everything that was acknowledged before it."""
        with self.errors(), self._single.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on the disk when the block has ended well, and leaves no trace otherwise."""
        with self.errors(), self.engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turns errors of the database into `OnlineError`."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise explain(error, self.name) from error

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    def _make_file(self, create: bool) -> None:
        """Makes an empty file that only this user can read: it will hold what people did."""
        path = Path(str(self._url.database))
        if path.is_file():
            return
        if not create:
            raise OnlineError("no such file; give the path the server writes to", name=self.name)
        with self.errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            sync_folder(path.parent)

    def _enter_wal(self, lock_seconds: float) -> None:
        """Switches the file to WAL mode; it stays in it. SQLite does not wait for a lock here, so this does."""
        deadline = time.monotonic() + lock_seconds
        while True:
            try:
                mode = self._journal_mode()
                break
            except OperationalError as error:
                locked = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not locked or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        if mode != "wal":
            raise OnlineError(
                f"its file system does not support WAL mode (found {mode!r}); put the file on a local disk, "
                "or use PostgreSQL",
                name=self.name,
            )

    def _journal_mode(self) -> str:
        with self.engine.connect() as connection:
            cursor = connection.connection.cursor()  # outside of a transaction, where the mode may change
            try:
                return str(cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0])
            except sqlite3.Error as error:
                raise OperationalError("PRAGMA journal_mode=WAL", None, error) from error
            finally:
                cursor.close()


def _parsed(url: str | Path) -> URL:
    text = str(url)
    if isinstance(url, Path) or "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        found = make_url(text)
        kind = found.get_backend_name()
    except ArgumentError as error:
        raise OnlineError(
            "the address cannot be read; give a path or postgresql://user@host/database"
        ) from error
    if kind in ("postgres", "postgresql"):
        return found.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise OnlineError(f"{kind!r} is not supported; use SQLite (a path) or PostgreSQL")
    if not found.database or found.database == ":memory:" or found.query:
        raise OnlineError("SQLite needs the plain path of a file, such as sqlite:///online.sqlite")
    return found.set(drivername="sqlite")


def _sqlite(url: URL, lock_seconds: float) -> Engine:
    engine = create_engine(
        url,
        pool_size=_POOL,
        max_overflow=_MORE,
        connect_args={"timeout": lock_seconds, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where Python guesses
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # A transaction that reads first and writes later cannot wait for a lock: it would have read the past.
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL, lock_seconds: float) -> Engine:
    given = url.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    try:
        return create_engine(
            url,
            pool_size=_POOL,
            max_overflow=_MORE,
            pool_pre_ping=True,  # a server that was restarted meanwhile is nobody's error
            connect_args={
                "options": f"-c synchronous_commit=on -c lock_timeout={int(lock_seconds * 1000)} {options}".strip(),
                "connect_timeout": 10,
            },
        )
    except ModuleNotFoundError as error:
        raise OnlineError(
            "PostgreSQL needs the psycopg package; install it with: pip install 'psycopg[binary]'"
        ) from error
