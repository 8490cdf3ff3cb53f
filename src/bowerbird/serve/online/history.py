"""The online history: events that are durable when acknowledged and change the next answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, true

from bowerbird.serve.online import schema
from bowerbird.serve.online.committer import Committer
from bowerbird.serve.online.database import LOCK_SECONDS, Database
from bowerbird.serve.online.errors import OnlineError
from bowerbird.serve.online.events import Health, OnlineEvent, Receipt, StoredEvent, Tail, Version
from bowerbird.serve.online.rules import SKEW_MS, Row, Rules, now_ms
from bowerbird.serve.online.schema import about, events, users
from bowerbird.serve.online.writing import write
from bowerbird.serve.request import RawId
from bowerbird.tables.schema import JOINT, IdType

if TYPE_CHECKING:
    from bowerbird.serve.online.export import Chunk
    from bowerbird.tables.store import Store

_ROW = tuple(events.c[name] for name in Row._fields)
_TAIL = (
    select(*_ROW, events.c.sequence)
    .where(events.c.user_id == bindparam("user"), events.c.sequence > bindparam("after"))
    .order_by(events.c.time.desc(), events.c.sequence.desc())
    .limit(bindparam("most"))
    .subquery()
)
# One statement, so that both are of one moment: the version on every row, without events on a row of its own.
_READ = (
    select(users.c.events, users.c.late, _TAIL)
    .select_from(users.outerjoin(_TAIL, true()))
    .where(users.c.user_id == bindparam("user"))
    .order_by(_TAIL.c.time, _TAIL.c.sequence)
)
_VERSION = select(users.c.events, users.c.late).where(users.c.user_id == bindparam("user"))
_SINCE = (
    select(*_ROW, events.c.sequence)
    .where(events.c.sequence > bindparam("after"), events.c.sequence <= bindparam("last"))
    .order_by(events.c.sequence)
    .limit(bindparam("most"))
)


class OnlineHistory:
    """Events posted after the store was built. Safe to share between threads; several processes may share a database.

    - **Durable**: `append` returns when the events are flushed to the disk. A reader in any process that starts after
      that sees them; nothing is cached, so there is nothing that could be stale.
    - **Once**: an event id is kept once. The same event again is a duplicate; other content under the same id is a
      conflict, which is refused and reported. Both leave what is there as it is.
    - **Order**: a user's events are ordered by time, equal times by arrival. An event that comes late is kept and
      placed by its time; `Version.late` counts it.
    - **Raw**: users and items need not be known to any store yet.

    Use `open` or `for_store`.

    Args:
        database: Open connections.
        rules: What an event must be.
        name: Name of this database, given when it was made: exports are recorded under it.
    """

    def __init__(self, database: Database, rules: Rules, name: str) -> None:
        self._database, self._rules, self.name = database, rules, name
        self._committer = Committer(self._write)

    @classmethod
    def open(
        cls,
        url: str | Path,
        *,
        actions: Sequence[str],
        surfaces: Sequence[str] | None = None,
        id_types: Mapping[str, IdType] | None = None,
        create: bool = True,
        skew_ms: int = SKEW_MS,
        lock_seconds: float = LOCK_SECONDS,
        clock: Callable[[], int] = now_ms,
    ) -> OnlineHistory:
        """Opens a history, made where there is none.

        Args:
            url: Path of a SQLite file, `sqlite:///path`, or `postgresql://user:password@host/database`.
            actions: Known actions.
            surfaces: Known surfaces; None = any.
            id_types: Types of the `user` and `item` ids; left out: as the database has them, text in a new one.
            create: Whether to make what is missing; otherwise that is an error.
            skew_ms: How far ahead of the clock an event may be, in milliseconds.
            lock_seconds: How long a writer waits for another process.
            clock: Milliseconds UTC.

        Raises:
            OnlineError: The database cannot be reached, belongs to another version of this program, or has ids of
                another type.
        """
        database = Database(url, create=create, lock_seconds=lock_seconds)
        try:
            found = _prepare(database, id_types, create)
        except BaseException:
            database.close()
            raise
        known = None if surfaces is None else frozenset(surfaces)
        rules = Rules(frozenset(actions), known, found.id_types, skew_ms, clock)
        return cls(database, rules, found.database)

    @classmethod
    def for_store(cls, url: str | Path, store: Store, *, create: bool = True) -> OnlineHistory:
        """Opens a history for the platform of a store: its actions, its surfaces, its types of ids."""
        surfaces = [str(surface) for surface in store.surfaces]
        types = {**dict.fromkeys(("user", "item"), "string"), **store.manifest.id_types}
        return cls.open(
            url,
            actions=store.manifest.actions,
            surfaces=surfaces or None,
            id_types=types if store.manifest.id_types else None,  # type: ignore[arg-type]
            create=create,
        )

    @property
    def id_types(self) -> Mapping[str, IdType]:
        """Types of the `user` and `item` ids."""
        return self._rules.id_types

    def append(self, posted: Sequence[OnlineEvent]) -> Receipt:
        """Keeps events, all in one transaction. When it returns they are on the disk.

        Posting again after an error is always safe: an event id counts once.

        Args:
            posted: Up to 1000 events.

        Raises:
            EventError: An event breaks a rule (see `rules`); nothing of this append was written.
            OnlineError: The database is locked, full, read-only or gone; `retry_after` says when to try again.
        """
        rows = self._rules.rows(posted)
        return self._committer.commit(rows) if rows else Receipt()

    def tail(self, user: RawId, limit: int, *, after: int = 0) -> list[StoredEvent]:
        """The newest events of a user, oldest first; equal times in order of arrival.

        Args:
            user: Raw id; one that nobody posted for has no events.
            limit: Number of events wanted.
            after: Leave out events up to this sequence number: those the store has already (see `exported`).
        """
        return list(self.read(user, limit, after=after).events)

    def version(self, user: RawId) -> Version:
        """How far this user's events are: one look-up by key."""
        key = self._rules.key(user, "user")
        if key is None:
            return Version()
        with self._database.reading() as connection:
            found = connection.execute(_VERSION, {"user": key}).one_or_none()
        return Version(*found) if found else Version()

    def read(self, user: RawId, limit: int, *, after: int = 0) -> Tail:
        """The version and the tail of a user, both of one moment. Arguments as for `tail`."""
        key = self._rules.key(user, "user")
        if key is None:
            return Tail()
        wanted = {"user": key, "after": after, "most": max(0, limit)}
        with self._database.reading() as connection:
            rows = connection.execute(_READ, wanted).all()
        if not rows:
            return Tail()
        found = tuple(self._event(row[2:]) for row in rows if row.sequence is not None)
        return Tail(Version(rows[0].events, rows[0].late), found)

    def export(self, *, after: int = 0, chunk: int = 50_000) -> Iterator[Chunk]:
        """Everything that arrived after a sequence number, in order of arrival, up to now.

        Args:
            after: High-water mark of an earlier export; 0 = from the beginning.
            chunk: Events in a chunk; a chunk is all that is held in memory, and one short transaction.

        Yields:
            Chunks in the columns of the `events` table; each with the mark to resume from.
        """
        from bowerbird.serve.online.export import as_chunk

        last = self.high_water()
        while after < last:
            with self._database.reading() as connection:
                rows = connection.execute(_SINCE, {"after": after, "last": last, "most": chunk}).all()
            if not rows:
                return
            after = rows[-1].sequence
            yield as_chunk([self._event(row) for row in rows], self.id_types, after)

    def high_water(self) -> int:
        """The sequence number given last; also the number of events."""
        with self._database.reading() as connection:
            return int(connection.execute(select(about.c.sequence)).scalar_one())

    def exported(self, store: Store) -> int:
        """Up to which sequence number a store has the events of this history: `after` for `tail` and `export`.

        Raises:
            OnlineError: The history reaches less far than what the store has of it.
        """
        from bowerbird.serve.online.export import exported

        return exported(store.manifest, self)

    def health(self) -> Health:
        """Whether the history can be read and written; never raises for what the database does."""
        problem, kept = self._committer.problem, None
        try:
            kept = self.high_water()
        except OnlineError as error:
            problem = error.reason
        return Health(problem is None, problem, self._database.kind, kept, self._committer.waiting)

    def close(self) -> None:
        """Commits what waits and closes the database; harmless when called twice."""
        self._committer.close()
        self._database.close()

    def __enter__(self) -> OnlineHistory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, appends: Sequence[Sequence[Row]]) -> list[Receipt]:
        with self._database.writing() as connection:
            return write(connection, appends)

    def _event(self, row: Sequence[object]) -> StoredEvent:
        *found, sequence = row
        kept = Row(*found)  # type: ignore[arg-type]
        return StoredEvent(
            kept.event_id,
            self._rules.raw(kept.user_id, "user"),
            self._rules.raw(kept.item_id, "item"),
            kept.time,
            tuple(kept.actions.split(JOINT)) if kept.actions else (),
            kept.surface,
            kept.request,
            kept.position,
            kept.query,
            sequence=int(sequence),  # type: ignore[call-overload]
        )


def _prepare(database: Database, id_types: Mapping[str, IdType] | None, create: bool) -> schema.About:
    """Makes the tables where they are missing, and checks that this program and these ids fit."""
    with database.reading() as connection:
        made = schema.exists(connection)
    if not made:
        if not create:
            raise OnlineError("no server ever wrote to this database", name=database.name)
        with database.writing() as connection:
            schema.create(connection, id_types or {"user": "string", "item": "string"})
    with database.reading() as connection:
        found = schema.read_about(connection, database.name)
    for entity, kind in (id_types or {}).items():
        if found.id_types[entity] != kind:
            raise OnlineError(
                f"its {entity} ids are {found.id_types[entity]}s, those of the store are {kind}s; it belongs to "
                "another platform. Give another file or database",
                name=database.name,
            )
    return found
