"""From the online history into the store: once and only once, however often and wherever it is interrupted.

The mark up to which a store has a history's events is written into the store's manifest by the very commit that adds
them. So a run that was cut off before the commit starts again from the old mark, one that was cut off after it finds
nothing left to do, and a store that was made afresh gets everything again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bowerbird.serve.online.errors import OnlineError
from bowerbird.serve.online.events import StoredEvent
from bowerbird.tables.schema import Columns, IdType
from bowerbird.tables.store import Manifest, StoreSettings, StoreWriter
from bowerbird.tables.store.manifest import Source
from bowerbird.tables.store.writing import normalise

if TYPE_CHECKING:
    from bowerbird.serve.online.history import OnlineHistory

CHUNK = 50_000


@dataclass(frozen=True)
class Chunk:
    """Events in order of arrival.

    Attributes:
        rows: In the columns of the `events` table.
        high_water: Sequence number of the last of them; an export `after` it goes on where this chunk ends.
    """

    rows: pl.DataFrame
    high_water: int


@dataclass(frozen=True)
class Exported:
    """What an export into a store did.

    Attributes:
        events: Events read.
        accepted: Events that are new in the store.
        duplicates: Events that the store had already, equal in every column.
        high_water: Up to which sequence number the store now has this history.
        generation: The store's generation.
    """

    events: int
    accepted: int
    duplicates: int
    high_water: int
    generation: int


def as_chunk(found: Sequence[StoredEvent], id_types: Mapping[str, IdType], high_water: int) -> Chunk:
    """Stored events as rows of the `events` table."""
    ids = {entity: pl.Int64 if kind == "integer" else pl.String for entity, kind in id_types.items()}
    columns = (
        pl.Series(Columns.USER, [event.user for event in found], ids["user"]),
        pl.Series(Columns.ITEM, [event.item for event in found], ids["item"]),
        pl.Series(Columns.TIMESTAMP, [event.time for event in found], pl.Int64),
        pl.Series(Columns.SURFACE, [event.surface for event in found], pl.String),
        pl.Series(Columns.REQUEST, [event.request for event in found], pl.String),
        pl.Series(Columns.POSITION, [event.position for event in found], pl.Int64),
        pl.Series(Columns.QUERY, [event.query for event in found], pl.String),
        pl.Series(Columns.ACTIONS, [list(event.actions) for event in found], pl.List(pl.String)),
    )
    return Chunk(pl.DataFrame(columns), high_water)


def exported(manifest: Manifest, history: OnlineHistory) -> int:
    """Up to which sequence number a store has the events of a history, 0 = none.

    Raises:
        OnlineError: The history reaches less far: its database was replaced by an older copy.
    """
    name = _source(history)
    mark = max((int(source.content) for source in manifest.sources if source.name == name), default=0)
    reached = history.high_water()
    if mark > reached:
        raise OnlineError(
            f"the store has its events up to number {mark}, but it reaches {reached}: the database was replaced "
            "by an older copy. Start a new history; the store keeps what it has"
        )
    return mark


def append_to_store(history: OnlineHistory, store: str | Path, *, chunk: int = CHUNK) -> Exported:
    """Adds to a store what it does not have of a history, in one commit. Running it again changes nothing.

    The server may go on writing meanwhile; what arrives after the start waits for the next export. Two events that are
    equal in every column of the `events` table are one event in a store, whatever their ids.

    Args:
        history: The online history.
        store: Folder of a store that is there already.
        chunk: Events read at a time.

    Raises:
        OnlineError: The history cannot be read, or has ids of another type than the store.
        StoreError: There is no store, or another writer is busy with it.
        TableError: The store's list of actions is closed and lacks one of the history.
    """
    path = Path(store)
    known = Manifest.read(path).id_types
    for entity, kind in known.items():
        if history.id_types[entity] != kind:
            raise OnlineError(
                f"the {entity} ids of the store are {kind}s, those of the online history "
                f"{history.id_types[entity]}s; it belongs to another platform"
            )
    types = {**history.id_types, **known}
    with StoreWriter(path, StoreSettings(), types) as writer:
        assert writer.previous is not None  # read above, and only a writer could have removed it
        mark = exported(writer.previous, history)
        events = 0
        for found in history.export(after=mark, chunk=chunk):
            writer.add_events(normalise("events", found.rows, types))
            mark, events = found.high_water, events + found.rows.height
        if not events:
            return Exported(0, 0, 0, mark, writer.previous.generation)
        name = _source(history)
        writer.sources = [source for source in writer.sources if source.name != name]
        writer.sources.append(Source("events", name, 0, str(mark), "", mark))
        result = writer.commit()
    return Exported(
        events, result.accepted["events"], result.duplicates["events"], mark, result.manifest.generation
    )


def _source(history: OnlineHistory) -> str:
    """Name of a history among the sources of a store. No file can have it: files have no scheme."""
    return f"online:{history.name}"
