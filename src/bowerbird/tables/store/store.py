"""The store, opened for reading."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.tables.errors import StoreError, did_you_mean
from bowerbird.tables.schema import SIDE_TABLES, Columns, Role
from bowerbird.tables.store.columns import EventColumns
from bowerbird.tables.store.items import ItemTable, assemble_items
from bowerbird.tables.store.manifest import Manifest
from bowerbird.tables.store.vocabulary import Vocabulary

_DENSE = {Columns.USER: ("users", "user"), Columns.ITEM: ("items", "item")}


class Store:
    """A store as its manifest described it when it was opened. Opening is cheap: event columns are memory-mapped.

    Training and evaluation do not read a store directly but through a `View`, which knows the wall in time.

    Args:
        path: The folder of the store.
        manifest: Its manifest.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.users = self._vocabulary("users")
        self.items = self._vocabulary("items")
        self.surfaces = self._vocabulary("surfaces")
        self.queries = self._vocabulary("queries")
        self.creators = self._vocabulary("creators")
        self.actions = Vocabulary.of(manifest.actions)
        folder = path / manifest.columns if manifest.columns else None
        self.events = EventColumns.open(folder, len(self.users))

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Opens the last committed state.

        Raises:
            StoreError: No finished store is there, or a newer program wrote it.
        """
        folder = Path(path)
        last: Exception | None = None
        # A writer may commit and sweep between reading the manifest and opening its files: look again then.
        for _ in range(3):
            manifest = Manifest.read(folder)
            try:
                return cls(folder, manifest)
            except FileNotFoundError as error:
                last = error
        raise StoreError(
            f"{folder} lacks a file its manifest names ({last}); restore it from a copy or ingest again"
        )

    def _vocabulary(self, name: str) -> Vocabulary:
        entry = self.manifest.vocabularies.get(name)
        return Vocabulary.open(self.path / entry["file"]) if entry else Vocabulary.of([])

    @property
    def n_users(self) -> int:
        """Number of users, those without events included."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items, those without a row in `items` included."""
        return len(self.items)

    @cached_property
    def negative_mask(self) -> int:
        """Bit mask of the actions that do not make an event positive."""
        negative = set(self.manifest.negative_actions)
        return sum(1 << bit for bit, name in enumerate(self.manifest.actions) if name in negative)

    def is_positive(self, actions: np.ndarray) -> np.ndarray:
        """Whether events are positive: they have at least one action that is not negative.

        Args:
            actions: uint32 (...) masks.

        Returns:
            bool (...).
        """
        return (actions & np.uint32(0xFFFFFFFF ^ self.negative_mask)) != 0

    @cached_property
    def item_table(self) -> ItemTable:
        """All items in dense order with their features."""
        parts = self.manifest.parts.get("items", [])
        rows = pl.concat([pl.read_parquet(self.path / part.file) for part in parts]) if parts else None
        roles: dict[str, Role] = dict(self.manifest.item_roles)  # type: ignore[arg-type]
        return assemble_items(rows, self.items, self.creators, roles, self.manifest.title_column)

    def table(self, name: str) -> pl.LazyFrame:
        """Rows of one of the tables `users`, `collections`, `links`, `labels`, `clips`, or of `events`.

        Raw ids keep their public names; where a column holds users or items, `user` / `item` add the dense id (null
        where the id is unknown). Times are Int64 ms. A table that was never given has no rows.

        Raises:
            StoreError: There is no table of that name.
        """
        if name == "events":
            return self._event_rows()
        if name == "items":
            return self.item_table.frame.lazy()
        if name not in SIDE_TABLES:
            raise StoreError(f"no table {name!r}; {did_you_mean(name, [*SIDE_TABLES, 'events', 'items'])}")
        parts = self.manifest.parts.get(name, [])
        if not parts:
            return _empty(name)
        rows = pl.concat([pl.scan_parquet(self.path / part.file) for part in parts], how="diagonal")
        names = rows.collect_schema().names()
        for column, (vocabulary, dense) in _DENSE.items():
            if column in names:
                known = _codes(getattr(self, vocabulary), column, dense)
                rows = rows.join(known, on=column, how="left", maintain_order="left")
        return rows

    def _event_rows(self) -> pl.LazyFrame:
        """Events in stored order, with raw ids added to the dense columns."""
        columns = {
            name: getattr(self.events, name)
            for name in (
                "user",
                "item",
                "time",
                "actions",
                "surface",
                "request",
                "position",
                "query",
                "weight",
            )
        }
        rows = pl.LazyFrame({name: np.asarray(values) for name, values in columns.items()})
        for column, (vocabulary, dense) in _DENSE.items():
            rows = rows.join(
                _codes(getattr(self, vocabulary), column, dense), on=dense, how="left", maintain_order="left"
            )
        return rows


def _codes(vocabulary: Vocabulary, column: str, dense: str) -> pl.LazyFrame:
    return pl.LazyFrame(
        {column: vocabulary.ids, dense: pl.Series(np.arange(len(vocabulary), dtype=np.int32))},
    )


def _empty(name: str) -> pl.LazyFrame:
    from bowerbird.tables.schema import TABLES

    kinds = {"time": pl.Int64, "integer": pl.Int64, "float": pl.Float32}
    return pl.LazyFrame(
        schema={column.name: kinds.get(column.kind, pl.String) for column in TABLES[name].columns}
    )
