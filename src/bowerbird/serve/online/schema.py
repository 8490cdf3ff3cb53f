"""The tables of the online history, and making them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    inspect,
    select,
    text,
)

from bowerbird.serve.online.errors import OnlineError
from bowerbird.tables.schema import IdType

SCHEMA_VERSION: Final = 1

_metadata = MetaData()
# In SQLite only a column of exactly this type is the row number itself, without an index of its own.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

about = Table(
    "bowerbird_online",
    _metadata,
    Column("schema_version", Integer, nullable=False),
    Column("database", Text, nullable=False),
    Column("user_ids", Text, nullable=False),
    Column("item_ids", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)
"""One row: what this database is, and the last sequence number given. Writers lock it, so they take turns."""

events = Table(
    "bowerbird_events",
    _metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("actions", Text, nullable=False),
    Column("surface", Text),
    Column("request", Text),
    Column("position", Integer),
    Column("query", Text),
    Index("bowerbird_events_by_user", "user_id", "time", "sequence"),
)

users = Table(
    "bowerbird_users",
    _metadata,
    Column("user_id", Text, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("late", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The version of each user, and the time of their newest event."""

_CREATION_LOCK = 0x626F7765726269  # any number, the same in every process


@dataclass(frozen=True)
class About:
    """What a database says about itself.

    Attributes:
        database: Name given when it was made, never changed.
        id_types: Types of the `user` and `item` ids.
    """

    database: str
    id_types: Mapping[str, IdType]


def exists(connection: Connection) -> bool:
    """Whether the tables are there."""
    return inspect(connection).has_table(about.name)


def create(connection: Connection, id_types: Mapping[str, IdType]) -> None:
    """Makes the tables, unless another process was faster.

    Args:
        connection: In a writing transaction.
        id_types: Types of the `user` and `item` ids.
    """
    if connection.dialect.name == "postgresql":
        # CREATE TABLE IF NOT EXISTS of two sessions at once fails in PostgreSQL; SQLite has one writer anyway.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
    if exists(connection):
        return
    _metadata.create_all(connection)
    connection.execute(
        about.insert().values(
            schema_version=SCHEMA_VERSION,
            database=uuid.uuid4().hex,
            user_ids=id_types["user"],
            item_ids=id_types["item"],
            sequence=0,
        )
    )


def read_about(connection: Connection, name: str) -> About:
    """What this database is.

    Raises:
        OnlineError: Another version of this program made it.
    """
    version = connection.execute(select(about.c.schema_version)).scalar_one()
    if version != SCHEMA_VERSION:
        raise OnlineError(
            f"it has schema version {version}, this program reads {SCHEMA_VERSION}; "
            "use the version of Bowerbird that wrote it, or start a new history",
            name=name,
        )
    found = connection.execute(select(about.c.database, about.c.user_ids, about.c.item_ids)).one()
    return About(found.database, {"user": found.user_ids, "item": found.item_ids})
