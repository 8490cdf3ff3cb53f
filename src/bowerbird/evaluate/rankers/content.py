"""What rankers know of items besides their events: creator, categories, numbers and vectors.

Vocabularies and scales come from the items the training view shows; a later view is encoded with the same ones, so a
new item has content and a new category adds nothing.

Shapes: I items, V categories of a column.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bowerbird.nn.features.catalogue import CatalogueEncoder
from bowerbird.tables.store import ItemTable


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

    catalogue: vocabularies and scales of all columns but texts; n_creators: codes of creators, 0 where the table has
    none.
    """

    catalogue: CatalogueEncoder
    n_creators: int

    @classmethod
    def fit(cls, table: ItemTable) -> ContentEncoder:
        """Learn vocabularies and scales from the items that have a row in `table`."""
        has_creators = bool((table.creator >= 0).any())
        return cls(replace(CatalogueEncoder.fit(table), text=()), len(table.creators) if has_creators else 0)

    def encode(self, table: ItemTable) -> ItemContent:
        """The content of every item of `table`, in dense order."""
        features = self.catalogue.encode(table)
        bags = {
            column: Bag(*features.bags[f"category_{column}"], max(1, len(values)))
            for column, values in self.catalogue.categories.items()
        }
        if self.n_creators:
            known = (table.creator >= 0) & (table.creator < self.n_creators)
            offsets = np.concatenate([[0], np.cumsum(known)]).astype(np.int64)
            bags["creator"] = Bag(table.creator[known].astype(np.int32), offsets, self.n_creators)
        numbers = np.zeros((len(table), 0), np.float32) if features.numbers is None else features.numbers
        return ItemContent(bags, numbers, dict(features.vectors), np.asarray(table.created, np.int64))
