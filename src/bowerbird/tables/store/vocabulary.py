"""Vocabularies: raw ids (text or integers, one type each) to dense ids and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bowerbird.tables.atomic import replacing
from bowerbird.tables.schema import IdType
from bowerbird.tables.store.keys import stable_keys

_DICTIONARY_LIMIT = 4096
"""Longest request answered through a Python dictionary; longer ones are joined column by column."""


class Vocabulary:
    """Raw ids in dense order: the id at place `i` has the dense id `i`.

    Args:
        ids: Distinct raw ids, Int64 or String.
    """

    def __init__(self, ids: pl.Series) -> None:
        self.ids = ids.rename("id")

    @classmethod
    def open(cls, path: Path) -> Vocabulary:
        """Reads the vocabulary file written by `save`."""
        return cls(pl.read_parquet(path, columns=["id"], memory_map=False)["id"])

    @classmethod
    def of(cls, values: Sequence[str] | Sequence[int], kind: IdType = "string") -> Vocabulary:
        """A vocabulary from distinct values in dense order."""
        return cls(pl.Series("id", list(values), dtype=pl.String if kind == "string" else pl.Int64))

    def save(self, path: Path) -> None:
        """Writes the vocabulary to one Parquet file."""
        with replacing(path) as temporary:
            pl.DataFrame({"id": self.ids}).write_parquet(temporary, compression="zstd", compression_level=1)

    @property
    def kind(self) -> IdType:
        """`"integer"` or `"string"`."""
        return "integer" if self.ids.dtype.is_integer() else "string"

    @cached_property
    def keys(self) -> np.ndarray:
        """uint64 (n,): stable key of each raw id (see `store.keys`)."""
        return stable_keys(self.ids)

    @cached_property
    def _codes(self) -> dict[Any, int]:
        return {value: code for code, value in enumerate(self.ids.to_list())}

    @cached_property
    def _frame(self) -> pl.DataFrame:
        return pl.DataFrame({"id": self.ids, "code": np.arange(len(self.ids), dtype=np.int32)})

    def encode(self, values: Sequence[Any] | np.ndarray | pl.Series) -> np.ndarray:
        """Dense ids of raw ids.

        Args:
            values: Raw ids. Integers given as text (and text given as integers) are understood.

        Returns:
            int32 (n,); -1 where unknown or null.
        """
        if isinstance(values, np.ndarray):
            values = values.tolist() if len(values) <= _DICTIONARY_LIMIT else pl.Series(values)
        if isinstance(values, pl.Series) or len(values) > _DICTIONARY_LIMIT:
            return self._encode_column(
                values if isinstance(values, pl.Series) else pl.Series(values, strict=False)
            )
        codes = self._codes
        return np.array([codes.get(self._typed(value), -1) for value in values], dtype=np.int32)

    def _encode_column(self, values: pl.Series) -> np.ndarray:
        if values.dtype != self.ids.dtype:
            values = values.cast(self.ids.dtype, strict=False)
        asked = pl.DataFrame({"id": values})
        found = asked.join(self._frame, on="id", how="left", maintain_order="left")["code"]
        return found.fill_null(-1).to_numpy()

    def _typed(self, value: Any) -> Any:
        if self.kind == "string":
            return value if isinstance(value, str) or value is None else str(value)
        if isinstance(value, str):
            text = value.strip()
            return int(text) if text.removeprefix("-").isdecimal() else None
        return value

    def decode(self, codes: Sequence[int] | np.ndarray) -> list[Any]:
        """Raw ids of dense ids; a negative dense id becomes None.

        Args:
            codes: int (n,).
        """
        wanted = np.asarray(codes, dtype=np.int64)
        if len(wanted) and wanted.max() >= len(self.ids):
            raise IndexError(f"dense id {int(wanted.max())} is outside this vocabulary of {len(self.ids)}")
        if not len(self.ids):
            return [None] * len(wanted)
        raw = self.ids.gather(np.where(wanted < 0, 0, wanted)).to_list()
        return [value if code >= 0 else None for value, code in zip(raw, wanted.tolist(), strict=True)]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.ids.to_list())

    def __contains__(self, value: object) -> bool:
        return self._typed(value) in self._codes
