"""What rankers know of items besides their events: creator, categories, numbers and vectors.

Vocabularies and scales come from the items the training view shows; a later view is encoded with the same ones, so a
new item has content and a new category adds nothing.

Shapes: I items, V categories of a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.store import ItemTable

_MOST_CATEGORIES = 20_000


@dataclass(frozen=True)
class Bag:
    """Any number of codes an item: those of item i are `codes[offsets[i]:offsets[i + 1]]`; size = number of codes."""

    codes: NDArray[np.int32]
    offsets: NDArray[np.int64]
    size: int

    def of(self, items_X: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The codes of some items, one item after another.

        Returns:
            int64 (P,) place in `items_X`, int64 (P,) code.
        """
        low, count = self.offsets[items_X], self.offsets[items_X + 1] - self.offsets[items_X]
        owner = np.repeat(np.arange(len(items_X)), count)
        index = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(len(owner))
        return owner, self.codes[index].astype(np.int64)


@dataclass(frozen=True)
class ItemContent:
    """Content of every item of a catalogue.

    bags: name -> categories, "creator" among them where items have creators; numbers: float32 (I, n) standardised,
    0 where unknown; vectors: name -> float32 (I, width), 0 where unknown; created: int64 (I,) ms UTC,
    `UNKNOWN_TIME` where unknown.
    """

    bags: dict[str, Bag]
    numbers: NDArray[np.float32]
    vectors: dict[str, NDArray[np.float32]]
    created: NDArray[np.int64]


@dataclass(frozen=True)
class ContentEncoder:
    """How the columns of an item table become content.

    categories: column -> value -> code; numbers: column -> (mean, deviation); vectors: column -> width;
    n_creators: codes of creators, 0 where the table has none.
    """

    categories: dict[str, dict[Any, int]]
    numbers: dict[str, tuple[float, float]]
    vectors: dict[str, int]
    n_creators: int

    @classmethod
    def fit(cls, table: ItemTable) -> ContentEncoder:
        """Learn vocabularies and scales from the items that have a row in `table`."""
        import polars as pl

        frame = table.frame.filter(pl.Series(table.has_row)) if table.frame.height else table.frame
        categories, numbers, vectors = {}, {}, {}
        for column, role in table.roles.items():
            if column not in frame.columns or frame[column].null_count() == frame.height:
                continue
            if role in ("category", "categories"):
                values = frame[column].explode() if frame[column].dtype == pl.List else frame[column]
                counts = values.drop_nulls().value_counts(sort=True).head(_MOST_CATEGORIES)
                categories[column] = {
                    v: code for code, v in enumerate(sorted(counts[column].to_list(), key=str))
                }
            elif role == "number":
                values = frame[column].cast(pl.Float64)
                numbers[column] = (float(values.mean() or 0.0), float(values.std() or 0.0) or 1.0)  # type: ignore[arg-type]
            elif role == "vector":
                vectors[column] = len(frame[column].drop_nulls()[0])
        has_creators = bool((table.creator >= 0).any())
        return cls(categories, numbers, vectors, len(table.creators) if has_creators else 0)

    def encode(self, table: ItemTable) -> ItemContent:
        """The content of every item of `table`, in dense order."""
        import polars as pl

        frame, n_items = table.frame, len(table)
        bags = {column: _bag(frame[column].to_list(), codes) for column, codes in self.categories.items()}
        if self.n_creators:
            known = (table.creator >= 0) & (table.creator < self.n_creators)
            offsets = np.concatenate([[0], np.cumsum(known)]).astype(np.int64)
            bags["creator"] = Bag(table.creator[known].astype(np.int32), offsets, self.n_creators)
        numbers = np.zeros((n_items, len(self.numbers)), np.float32)
        for place, (column, (mean, deviation)) in enumerate(self.numbers.items()):
            values = (frame[column].cast(pl.Float64).to_numpy() - mean) / deviation
            numbers[:, place] = np.nan_to_num(values, nan=0.0).clip(-5, 5)
        vectors = {column: _vectors(frame[column].to_list(), width) for column, width in self.vectors.items()}
        return ItemContent(bags, numbers, vectors, np.asarray(table.created, np.int64))


def _bag(rows: list[Any], codes: dict[Any, int]) -> Bag:
    flat: list[int] = []
    offsets = np.zeros(len(rows) + 1, np.int64)
    for row, value in enumerate(rows):
        members = value if isinstance(value, list) else [] if value is None else [value]
        flat.extend(dict.fromkeys(codes[member] for member in members if member in codes))
        offsets[row + 1] = len(flat)
    return Bag(np.asarray(flat, np.int32), offsets, max(1, len(codes)))


def _vectors(rows: list[Any], width: int) -> NDArray[np.float32]:
    out = np.zeros((len(rows), width), np.float32)
    for row, value in enumerate(rows):
        if value is not None:
            out[row] = value
    return out
