"""The catalogue for people: cards, search by title, and filters by category.

Shape letters: I items of the store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from bowerbird.serve.request import Filters, RequestError
from bowerbird.serve.response import Facet, Fact, ItemCard, Note
from bowerbird.tables.errors import did_you_mean
from bowerbird.tables.schema import Columns
from bowerbird.tables.store import ItemTable

_FACET_VALUES = 200
_FACT_LENGTH = 80
_CARDS_KEPT = 20_000


class Catalogue:
    """Reads the item table for people.

    Args:
        table: The items of the store, dense order.
        counts: int64 (I,) positive events of each item; breaks ties in searches.
    """

    def __init__(self, table: ItemTable, counts: np.ndarray) -> None:
        self._table = table
        self._counts = counts
        self._single = table.columns("category")
        self._multiple = table.columns("categories")
        named = [name for name in table.columns("text") if name != table.title_column]
        self._facts = [*table.columns("number"), *named]
        self.category_columns: tuple[str, ...] = tuple(
            name for name in table.roles if name in self._single or name in self._multiple
        )
        titles = [table.title_column] if table.title_column else []
        wanted = [Columns.ITEM, *titles, *self.category_columns, *self._facts]
        self._shown = table.frame.select(list(dict.fromkeys(wanted)))
        self._made: dict[int, ItemCard] = {}

    def __len__(self) -> int:
        return len(self._table)

    def cards(self, items: Sequence[int] | np.ndarray) -> list[ItemCard]:
        """Cards of dense items, in the order given."""
        codes = np.asarray(items, dtype=np.int64).tolist()
        made = {code: card for code in codes if (card := self._made.get(code)) is not None}
        missing = list(dict.fromkeys(code for code in codes if code not in made))
        if missing:
            rows = self._shown[missing].to_dicts()
            made.update((code, self._card(row, code)) for row, code in zip(rows, missing, strict=True))
            if len(self._made) > _CARDS_KEPT:  # the popular ones are back soon
                self._made = {}
            self._made.update((code, made[code]) for code in missing)
        return [made[code] for code in codes]

    def _card(self, row: dict[str, Any], code: int) -> ItemCard:
        title = row[self._table.title_column] if self._table.title_column else None
        categories: list[str] = []
        for name in self.category_columns:
            value = row[name]
            categories += [str(v) for v in value or () if v is not None] if name in self._multiple else (
                [str(value)] if value is not None else []
            )  # fmt: skip
        facts = {name: fact for name in self._facts if (fact := _fact(row[name])) is not None}
        raw = row[Columns.ITEM]
        return ItemCard(
            raw, str(raw if title is None else title), tuple(categories), facts, int(self._counts[code])
        )

    @cached_property
    def _titles(self) -> pl.Series:
        column = self._table.title_column
        ids = self._table.frame[Columns.ITEM].cast(pl.String)
        titles = (
            self._table.frame[column].cast(pl.String).fill_null("") + " " if column else ids.str.slice(0, 0)
        )
        return folded(titles + ids)

    def search(self, query: str, limit: int, filters: Filters | None = None) -> np.ndarray:
        """Dense items whose title or id holds every word of `query`, most popular first.

        Args:
            query: Words; case and accents do not matter. Empty = every item.
            limit: At most so many.
            filters: Which items may be found.
        """
        found = np.ones(len(self), dtype=bool)
        for word in folded(pl.Series([query]))[0].split():
            found &= self._titles.str.contains(word, literal=True).to_numpy()
        codes = np.flatnonzero(found)
        if filters:
            codes = np.intersect1d(codes, self.allowed(filters)[0])
        best = np.argsort(-self._counts[codes], kind="stable")[:limit]
        return codes[best].astype(np.int32)

    def first_categories(self) -> tuple[str | None, tuple[str, ...], np.ndarray]:
        """The first value of each item in the first category column, for colouring.

        Returns:
            The column (None: there is none), its first values with the most frequent first, and int32 (I,) the place of
            each item's value among them, -1 where it has none.
        """
        none = np.full(len(self), -1, np.int32)
        if not self.category_columns:
            return None, (), none
        name = self.category_columns[0]
        values = pl.col(name).list.drop_nulls().list.first() if name in self._multiple else pl.col(name)
        rows = self._table.frame.select(value=values.cast(pl.String))
        counted = rows.drop_nulls().group_by("value").len().sort(["len", "value"], descending=[True, False])
        known = counted.select("value").with_row_index("code")
        codes = rows.join(known, on="value", how="left", maintain_order="left")["code"].cast(pl.Int32)
        return name, tuple(counted["value"].to_list()), codes.fill_null(-1).to_numpy().astype(np.int32)

    @cached_property
    def _members(self) -> dict[str, dict[str, np.ndarray]]:
        """Column to value to the ascending dense items that carry it."""
        members: dict[str, dict[str, np.ndarray]] = {}
        for name in self.category_columns:
            rows = self._table.frame.select(value=pl.col(name)).with_row_index("item")
            rows = rows.explode("value") if name in self._multiple else rows
            rows = rows.drop_nulls().with_columns(pl.col("value").cast(pl.String)).unique()
            groups = rows.sort("item").group_by("value", maintain_order=True).agg("item")
            members[name] = {
                value: np.asarray(items, dtype=np.int32)
                for value, items in zip(groups["value"].to_list(), groups["item"].to_list(), strict=True)
            }
        return members

    def facets(self) -> tuple[Facet, ...]:
        """The category columns with their most frequent values."""
        facets = []
        for name, values in self._members.items():
            counts = sorted(
                ((value, len(items)) for value, items in values.items()), key=lambda v: (-v[1], v[0])
            )
            facets.append(Facet(name, tuple(counts[:_FACET_VALUES])))
        return tuple(facets)

    def allowed(self, filters: Filters) -> tuple[np.ndarray, list[Note]]:
        """The items that pass the filters.

        Returns:
            int32 (a,) ascending dense items, and a note for each value that no item has.

        Raises:
            RequestError: There is no such category column.
        """
        notes: list[Note] = []
        passing = np.ones(len(self), dtype=bool)
        for column, values in filters.include.items():
            passing &= self._carrying(column, values, notes)
        for column, values in filters.exclude.items():
            passing &= ~self._carrying(column, values, notes)
        return np.flatnonzero(passing).astype(np.int32), notes

    def _carrying(self, column: str, values: Sequence[str], notes: list[Note]) -> np.ndarray:
        if column not in self._members:
            raise RequestError(
                f"the catalogue has no category column {column!r}; {did_you_mean(column, self._members)}",
                field="filters",
            )
        members: Mapping[str, np.ndarray] = self._members[column]
        carrying = np.zeros(len(self), dtype=bool)
        for value in values:
            if value in members:
                carrying[members[value]] = True
            else:
                text = f"no item has {column} {value!r}; {did_you_mean(value, members)}"
                notes.append(Note("unknown_category", text))
        return carrying


def folded(text: pl.Series) -> pl.Series:
    """Text for comparing: lower case, without accents."""
    return text.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase()


def _fact(value: Any) -> Fact | None:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else round(value, 4)
    if isinstance(value, int):
        return value
    text = str(value).strip()
    return (text if len(text) <= _FACT_LENGTH else f"{text[: _FACT_LENGTH - 1]}…") or None
