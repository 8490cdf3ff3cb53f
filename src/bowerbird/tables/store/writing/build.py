"""Data frames in, store out: the door used by dataset adapters, the simulator and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bowerbird.tables.errors import ConfigError, StoreError, did_you_mean
from bowerbird.tables.schema import TABLES, Columns, IdType
from bowerbird.tables.store.manifest import MANIFEST
from bowerbird.tables.store.store import Store
from bowerbird.tables.store.writing.normalise import id_type, normalise
from bowerbird.tables.store.writing.settings import StoreSettings
from bowerbird.tables.store.writing.writer import StoreWriter

Rows = pl.DataFrame | pl.LazyFrame | Iterable[pl.DataFrame]

_ORDER = ("users", "items", "events", "collections", "links", "labels", "clips")
_ID_COLUMNS: Mapping[str, str] = {"user": Columns.USER, "item": Columns.ITEM}


def build_store(
    path: str | Path,
    tables: Mapping[str, Rows],
    *,
    actions: Sequence[str] | None = None,
    negative_actions: Sequence[str] | None = None,
    item_roles: Mapping[str, str] | None = None,
    slate_rule: str | None = None,
    tie_rule: str | None = None,
    dataset: str | None = None,
    expected_events: int | None = None,
    config: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    append: bool = False,
) -> Store:
    """Makes a store from data frames, through the same writer that ingest uses.

    Args:
        path: Folder of the store.
        tables: Table name to rows with the public column names. Rows are a data frame, a lazy frame, or an
            iterable of data frames (streamed: only what has to be kept is kept). Times are integers (ms UTC),
            dates or datetimes (naive ones are UTC); `actions` is a list of names a row.
        actions: Action names in bit order; any other action raises. None: names get bits as they appear.
        negative_actions: Actions that do not make an event positive.
        item_roles: Role of item feature columns, or `"title"`; the others are guessed.
        slate_rule: How slates were cut, printed in reports.
        tie_rule: Key of `TIE_RULES`; `"input"` by default.
        dataset: Name shown in reports.
        expected_events: Rough number of events where `events` is an iterable.
        config: Settings to keep in the manifest, fit for JSON.
        overwrite: Replace a store that is already there.
        append: Add to a store that is already there.

    Returns:
        The store, opened.

    Raises:
        TableError: Rows that do not fit the contract.
        StoreError: There is a store already and neither `overwrite` nor `append` is set.
    """
    folder = Path(path)
    if overwrite and append:
        raise ConfigError("overwrite and append exclude each other")
    if (folder / MANIFEST).exists() and not (overwrite or append):
        raise StoreError(
            f"{folder} is a store already; pass overwrite=True to replace it or append=True to add to it"
        )
    for name in tables:
        if name not in TABLES:
            raise ConfigError(f"unknown table {name!r}; {did_you_mean(name, TABLES)}")
    streams = {name: _peeked(tables[name]) for name in _ORDER if name in tables}
    settings = StoreSettings(
        dataset=dataset,
        actions=actions,
        negative_actions=negative_actions,
        item_roles=dict(item_roles or {}),
        slate_rule=slate_rule,
        tie_rule=tie_rule,
        expected_events=expected_events or (streams["events"][0].height if "events" in streams else 0),
        config=dict(config or {}),
    )
    types = _id_types({name: first for name, (first, _) in streams.items()})
    with StoreWriter(folder, settings, types, fresh=not append) as writer:
        for name, (first, rest) in streams.items():
            for frame in _chain(first, rest):
                rows = normalise(name, frame, types)
                if name == "events":
                    writer.add_events(rows)
                else:
                    writer.add_rows(name, rows)
        writer.commit()
    return Store.open(folder)


def _peeked(rows: Rows) -> tuple[pl.DataFrame, Iterator[pl.DataFrame]]:
    """The first data frame and the ones after it."""
    if isinstance(rows, pl.LazyFrame):
        rows = rows.collect(engine="streaming")
    if isinstance(rows, pl.DataFrame):
        return rows, iter(())
    frames = iter(rows)
    return next(frames, pl.DataFrame()), frames


def _chain(first: pl.DataFrame, rest: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    yield first
    yield from rest


def _id_types(frames: Mapping[str, pl.DataFrame]) -> dict[str, IdType]:
    types: dict[str, IdType] = {}
    for entity, column in _ID_COLUMNS.items():
        holders = [
            name for name in ("events", "items", "users", "collections") if column in frames.get(name, ())
        ]
        types[entity] = id_type(frames[holders[0]], holders[0], column) if holders else "string"
    return types
