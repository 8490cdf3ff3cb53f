"""Relations of the other tables: collections, creators, links.

A row's `timestamp` is the time of its edge; rows without one make undated edges. A numeric column `weight` gives the
weight of each row; where it is empty or missing the row counts 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bowerbird.graph.building.input.edges import Edges
from bowerbird.graph.building.view.relations import CHUNK, STORE_TYPES, RelationSpec
from bowerbird.graph.store.relation import UNDATED
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.schema import Columns
from bowerbird.tables.store import UNKNOWN_TIME

if TYPE_CHECKING:
    from bowerbird.tables.view import View


@dataclass(frozen=True)
class TableRelation(RelationSpec):
    """A relation of a side table.

    Attributes:
        undated: Take rows without a timestamp; they are known from the start.
        weight: Numeric column with the weight of a row (where the table has one); None: each row counts 1.
    """

    undated: bool = True
    weight: str | None = "weight"

    @property
    def raw(self) -> bool:
        return True

    def _edges(
        self,
        rows: pl.LazyFrame,
        columns: tuple[str, str],
        since: int | None,
    ) -> Iterator[Edges]:
        schema = rows.collect_schema()
        dated = Columns.TIMESTAMP in schema
        weight = self.weight
        if weight is not None and (weight not in schema or not schema[weight].is_numeric()):
            weight = None
        if since is not None:
            rows = rows.filter(pl.col(Columns.TIMESTAMP) >= since if dated else pl.lit(False))
        chosen = [*columns, *([weight] if weight else []), *([Columns.TIMESTAMP] if dated else [])]
        for part in rows.select(chosen).collect_batches(chunk_size=CHUNK):
            yield Edges(
                part[columns[0]],
                part[columns[1]],
                part[weight].cast(pl.Float64).fill_null(1.0).to_numpy() if weight else None,
                part[Columns.TIMESTAMP].fill_null(UNDATED).to_numpy() if dated else None,
            )


@dataclass(frozen=True)
class ItemCollection(TableRelation):
    """`item-collection`: an item is kept in a titled list. Weight: the number of rows, or their weights."""

    @property
    def name(self) -> str:
        return "item-collection"

    @property
    def ends(self) -> tuple[str, str]:
        return "item", "collection"

    def raw_ids(self, view: View) -> dict[str, pl.Series]:
        rows = view.collections(undated=self.undated)
        return {"collection": _distinct(rows, Columns.COLLECTION)}

    def edges(self, view: View, since: int | None) -> Iterator[Edges]:
        rows = view.collections(undated=self.undated)
        yield from self._edges(rows, (Columns.ITEM, Columns.COLLECTION), since)


@dataclass(frozen=True)
class LinkRelation(TableRelation):
    """A relation of the `links` table, between two node types.

    Attributes:
        relation: Its name in the table.
        source_type, target_type: Only rows between these types.
        called: Name of the relation in the graph; that in the table by default.
        undirected: (u, v) and (v, u) are one edge; for links between nodes of one type, such as friends.
    """

    relation: str = ""
    source_type: str = ""
    target_type: str = ""
    called: str | None = None
    undirected: bool = False

    def __post_init__(self) -> None:
        if not (self.relation and self.source_type and self.target_type):
            raise ConfigError("LinkRelation needs relation, source_type and target_type")

    @property
    def name(self) -> str:
        return self.called or self.relation

    @property
    def ends(self) -> tuple[str, str]:
        return self.source_type, self.target_type

    @property
    def symmetric(self) -> bool:
        return self.undirected

    def _rows(self, view: View) -> pl.LazyFrame:
        return view.links(self.relation, undated=self.undated).filter(
            (pl.col(Columns.SOURCE_TYPE) == self.source_type)
            & (pl.col(Columns.TARGET_TYPE) == self.target_type)
        )

    def raw_ids(self, view: View) -> dict[str, pl.Series]:
        found: dict[str, pl.Series] = {}
        for node_type, column in zip(self.ends, (Columns.SOURCE, Columns.TARGET), strict=True):
            if node_type not in STORE_TYPES:
                ids = _distinct(self._rows(view), column)
                found[node_type] = pl.concat([found[node_type], ids]) if node_type in found else ids
        return found

    def edges(self, view: View, since: int | None) -> Iterator[Edges]:
        yield from self._edges(self._rows(view), (Columns.SOURCE, Columns.TARGET), since)


@dataclass(frozen=True)
class ItemCreator(RelationSpec):
    """`item-creator`: who made an item. Weight 1; time: when the item was made."""

    @property
    def name(self) -> str:
        return "item-creator"

    @property
    def ends(self) -> tuple[str, str]:
        return "item", "creator"

    def edges(self, view: View, since: int | None) -> Iterator[Edges]:
        table = view.item_table()  # items made past the wall have lost their creator
        known = table.creator >= 0
        if since is not None:
            known &= (table.created >= since) & (table.created != UNKNOWN_TIME)
        item = np.flatnonzero(known)
        yield Edges(item, table.creator[item], None, table.created[item])


def _distinct(rows: pl.LazyFrame, column: str) -> pl.Series:
    return rows.select(pl.col(column).unique()).collect(engine="streaming")[column].drop_nulls()
