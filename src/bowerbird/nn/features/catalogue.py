"""From a table of features to the arrays an embedder reads: fitted on the rows of one view, applied to any later one.

Everything learned here (category vocabularies, number scales) comes from the rows the training view shows; a later
view is encoded with the same vocabularies, so new rows get content and unknown categories simply add nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import polars as pl

from bowerbird.nn.features.items import ItemFeatures
from bowerbird.nn.features.text import encode_text

TEXT_BUCKETS = 1 << 14
_MOST_CATEGORIES = 50_000


class FeatureTable(Protocol):
    """A table whose columns have roles, e.g. the item table of a store.

    Attributes:
        frame: one row per thing, in dense order.
        roles: feature column -> ``text``, ``category``, ``categories``, ``number`` or ``vector``; columns with other
            roles are left out.
        has_row: bool, one per row: whether anything was said about the thing.
    """

    @property
    def frame(self) -> pl.DataFrame: ...

    @property
    def roles(self) -> Mapping[str, str]: ...

    @property
    def has_row(self) -> np.ndarray: ...


@dataclass(frozen=True)
class CatalogueEncoder:
    """How the columns of a table become features.

    Attributes:
        text: columns read as text.
        categories: column -> known values; value i is bag id i.
        numbers: column -> (mean, standard deviation) over the rows of the training view.
        vectors: column -> width.
    """

    text: tuple[str, ...]
    categories: dict[str, list[Any]]
    numbers: dict[str, tuple[float, float]]
    vectors: dict[str, int]

    def __post_init__(self) -> None:
        """Bring the columns into alphabetical order, whatever order they come in.

        The item embedder reads its features side by side in this order, and the file an artifact is kept in does not
        remember another one.
        """
        for name in ("categories", "numbers", "vectors"):
            object.__setattr__(self, name, dict(sorted(getattr(self, name).items())))

    @classmethod
    def fit(cls, table: FeatureTable) -> Self:
        """Learn vocabularies and scales from the rows that exist in ``table``."""
        frame = table.frame.filter(pl.Series(table.has_row)) if table.frame.height else table.frame
        text, categories, numbers, vectors = [], {}, {}, {}
        for column, role in table.roles.items():
            if column not in frame.columns or frame[column].null_count() == frame.height:
                continue
            if role in ("text", "title"):
                text.append(column)
            elif role in ("category", "categories"):
                values = frame[column].explode() if frame[column].dtype == pl.List else frame[column]
                counts = values.drop_nulls().value_counts(sort=True).head(_MOST_CATEGORIES)
                categories[column] = sorted(counts[column].to_list(), key=str)
            elif role == "number":
                values = frame[column].cast(pl.Float64)
                spread = values.std()
                numbers[column] = (float(values.mean() or 0.0), float(spread or 0.0) or 1.0)  # type: ignore[arg-type]
            elif role == "vector":
                vectors[column] = len(frame[column].drop_nulls()[0])
        return cls(tuple(text), categories, numbers, vectors)

    @property
    def bags(self) -> dict[str, int]:
        """Name -> number of ids of every bag feature; an empty vocabulary still has one slot."""
        sizes = {f"text_{column}": TEXT_BUCKETS for column in self.text}
        return sizes | {
            f"category_{column}": max(1, len(values)) for column, values in self.categories.items()
        }

    def encode(self, table: FeatureTable) -> ItemFeatures:
        """The features of every row of ``table``, in dense order."""
        frame = table.frame
        bags = {f"text_{column}": encode_text(frame[column].to_list(), TEXT_BUCKETS) for column in self.text}
        for column, values in self.categories.items():
            bags[f"category_{column}"] = _category_bag(frame[column], values)
        numbers = None
        if self.numbers:
            parts = []
            for column, (mean, spread) in self.numbers.items():
                value = frame[column].cast(pl.Float64).to_numpy()
                parts.append(np.nan_to_num((value - mean) / spread, nan=0.0).clip(-5, 5))
            numbers = np.stack(parts, axis=1).astype(np.float32)
        vectors = {column: _vectors(frame[column], width) for column, width in self.vectors.items()}
        return ItemFeatures(bags=bags, numbers=numbers, vectors=vectors)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "text": list(self.text),
            "categories": self.categories,
            "numbers": {column: list(scale) for column, scale in self.numbers.items()},
            "vectors": self.vectors,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        numbers = {column: (float(mean), float(spread)) for column, (mean, spread) in data["numbers"].items()}
        if any(not math.isfinite(x) for scale in numbers.values() for x in scale):
            raise ValueError("number scales must be finite")
        return cls(tuple(data["text"]), dict(data["categories"]), numbers, dict(data["vectors"]))


def _category_bag(column: pl.Series, values: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    codes = {value: code for code, value in enumerate(values)}
    rows = column.to_list()
    flat: list[int] = []
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    for row, value in enumerate(rows):
        members = value if isinstance(value, list) else [] if value is None else [value]
        flat.extend(codes[member] for member in members if member in codes)
        offsets[row + 1] = len(flat)
    return np.asarray(flat, dtype=np.int32), offsets


def _vectors(column: pl.Series, width: int) -> np.ndarray:
    out = np.zeros((len(column), width), dtype=np.float32)
    for row, value in enumerate(column.to_list()):
        if value is not None:
            out[row] = value
    return out
