"""Rules against sameness: at most so many items of an answer share a creator or a category value.

Shape letters: I items, F distinct values of a column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from bowerbird.serve.request import RequestError
from bowerbird.tables.errors import did_you_mean
from bowerbird.tables.store import ItemTable

CREATOR = "creator"


@dataclass(frozen=True, eq=False)
class _Column:
    """Values of every item: those of item i are `names[codes[start[i] : start[i + 1]]]`."""

    start: np.ndarray
    codes: np.ndarray
    names: list[str]

    def of(self, item: int) -> np.ndarray:
        return self.codes[self.start[item] : self.start[item + 1]]


class Sameness:
    """What items have in common.

    Args:
        table: The items of the store.
    """

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self._columns: dict[str, _Column] = {}
        named = (name for name, role in table.roles.items() if role in ("category", "categories"))
        creators = (CREATOR,) if len(table.creators) else ()
        self.columns: tuple[str, ...] = (*named, *(name for name in creators))

    def rules(self, at_most: Mapping[str, int]) -> list[Rule]:
        """The rules of one request.

        Raises:
            RequestError: There is no such column.
        """
        for name in at_most:
            if name not in self.columns:
                raise RequestError(
                    f"the catalogue has no column {name!r} to spread by; {did_you_mean(name, self.columns)}",
                    field="at_most",
                )
        return [Rule(name, most, self._column(name)) for name, most in at_most.items()]

    def _column(self, name: str) -> _Column:
        if name not in self._columns:
            self._columns[name] = self._creators() if name == CREATOR else self._categories(name)
        return self._columns[name]

    def _creators(self) -> _Column:
        known = self._table.creator >= 0
        start = np.concatenate([[0], np.cumsum(known)])
        return _Column(start, self._table.creator[known], [str(name) for name in self._table.creators])

    def _categories(self, name: str) -> _Column:
        rows = self._table.frame.select(value=pl.col(name)).with_row_index("item")
        rows = rows.explode("value") if rows.schema["value"].is_nested() else rows
        rows = rows.drop_nulls().with_columns(pl.col("value").cast(pl.String)).unique().sort("item", "value")
        names = rows["value"].unique().sort()
        codes = names.search_sorted(rows["value"]).to_numpy().astype(np.int32)
        counts = np.bincount(rows["item"].to_numpy(), minlength=len(self._table))
        return _Column(np.concatenate([[0], np.cumsum(counts)]), codes, names.to_list())


class Rule:
    """At most so many items with one value of a column, counted over one answer.

    Args:
        name: Of the column.
        most: Items with the same value.
        column: Its values.
    """

    def __init__(self, name: str, most: int, column: _Column) -> None:
        self.name, self.most, self._column = name, most, column
        self._taken = Counter[int]()
        self._held = Counter[int]()

    def objection(self, item: int) -> int | None:
        """The value of which there are enough already; None where the item may come."""
        for code in self._column.of(item):
            if self._taken[int(code)] >= self.most:
                return int(code)
        return None

    def take(self, item: int) -> None:
        """Counts an item that came."""
        self._taken.update(self._column.of(item).tolist())

    def hold(self, value: int) -> None:
        """Counts an item that did not come because of a value."""
        self._held[value] += 1

    @property
    def reason(self) -> str | None:
        """What was held back and why, in words; None where nothing was."""
        if not self._held:
            return None
        parts = [f"{n} with {self._column.names[code]!r}" for code, n in self._held.most_common(3)]
        rest = len(self._held) - len(parts)
        more = f" and {rest} more" if rest > 0 else ""
        n = sum(self._held.values())
        return f"at most {self.most} items may share a {self.name}: {n} held back ({', '.join(parts)}{more})"
