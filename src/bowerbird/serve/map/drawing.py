"""What a map shows: items in the order they are drawn, where they lie, how they look.

Shape letters: I items of the store, N items on the map, M most items on a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bowerbird.serve.map.layout import Method

MOST = 100_000
"""Items on a map at most: the more popular half of them are the most popular items, the rest are drawn by lot."""
_SHARES = (0.6, 0.9, 0.99)
"""Shares of the items that are less popular than those of size 1, 2 and 3."""


@dataclass(frozen=True, eq=False)
class CatalogueMap:
    """A map. All arrays have length N and one order: less popular items first, so that popular ones lie on top.

    Attributes:
        release: Who answers while it is on show.
        source: What the vectors are: a signal and its release, or the model's release.
        method: How they were laid out.
        total: Items with vectors; more than N where only some are shown.
        items: Items of the catalogue.
        ids: Raw ids.
        x, y: int32 from 0 to `layout.SIDE`.
        size: int32, 0 (usual) to 3 (the most popular one in a hundred).
        column: The category column that `category` is about; None = the catalogue has none.
        categories: Its values, the most frequent first.
        category: int32 index into `categories` of each item's first value; -1 = it has none.
    """

    release: str
    source: str
    method: Method
    total: int
    items: int
    ids: Sequence[Any]
    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    column: str | None
    categories: tuple[str, ...]
    category: np.ndarray


def chosen(item: np.ndarray, counts_I: np.ndarray, *, seed: int, most: int = MOST) -> np.ndarray:
    """Positions in `item` of what is drawn, ascending: all, or half by popularity and half by lot."""
    if len(item) <= most:
        return np.arange(len(item))
    order = np.argsort(-counts_I[item], kind="stable")
    popular, rest = order[: most // 2], order[most // 2 :]
    lot = np.random.default_rng(seed).choice(rest, most - len(popular), replace=False)
    return np.sort(np.concatenate([popular, lot]))


def sizes(counts: np.ndarray) -> np.ndarray:
    """int32 sizes from numbers of events that are ascending; an item without events is never large."""
    edges = [int(np.ceil(share * len(counts))) for share in _SHARES]
    found = np.searchsorted(edges, np.arange(len(counts)), side="right")
    return np.where(counts > 0, found, 0).astype(np.int32)
