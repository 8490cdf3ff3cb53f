"""A vocabulary that learns: new raw ids get the next dense ids, known ones never change."""

from __future__ import annotations

import numpy as np
import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.schema import IdType
from bowerbird.tables.store.vocabulary import Vocabulary

_DIRECT = 1 << 24
"""Integer ids from 0 up to here are looked up in an array (64 MiB at most) instead of a hash table."""


class GrowingVocabulary:
    """Dense ids in order of first appearance.

    Args:
        name: Name of the vocabulary (`users`, `items`, ...), for messages.
        kind: Type of the raw ids.
        known: The vocabulary of the previous generation, if any.
    """

    def __init__(self, name: str, kind: IdType, known: Vocabulary | None = None) -> None:
        if known is not None and len(known) and known.kind != kind:
            raise TableError(
                f"{name} of this store have {known.kind} ids; new rows bring {kind} ids",
                fix=f"give the ids as {known.kind}s, or make a new store",
            )
        self.name, self.kind = name, kind
        self.dtype = pl.Int64 if kind == "integer" else pl.String
        self._frame = pl.DataFrame(schema={"id": self.dtype, "code": pl.Int32})
        # Array lookup of small integer ids: code of id `i` at place `i`. Grown as needed, dropped when an id is
        # too large for it.
        self._direct: np.ndarray | None = np.empty(0, dtype=np.int32) if kind == "integer" else None
        if known is not None and len(known):
            self._append(known.ids)
        self.known_before = self._frame.height

    def __len__(self) -> int:
        return self._frame.height

    @property
    def grown(self) -> bool:
        """Whether there are ids the previous generation did not have."""
        return len(self) > self.known_before

    def encode(self, values: pl.Series) -> np.ndarray:
        """Dense ids of raw ids, new ones added.

        Args:
            values: Raw ids of this vocabulary's type; nulls stay unknown.

        Returns:
            int32 (n,), -1 where null.
        """
        values = values.cast(self.dtype).rename("id")
        codes = self._look_up(values)
        unknown = codes < 0
        if values.null_count():
            unknown &= values.is_not_null().to_numpy()
        if unknown.any():
            missing = values.filter(unknown)
            fresh = missing.unique(maintain_order=True)
            start = len(self)
            self._append(fresh)
            codes = codes.copy()
            codes[unknown] = _join(missing, self._frame.slice(start))
        return codes

    def _look_up(self, values: pl.Series) -> np.ndarray:
        if self._direct is None:
            return _join(values, self._frame)
        if not len(values) or not len(self._direct):
            return np.full(len(values), -1, dtype=np.int32)
        places = values.fill_null(-1).to_numpy()
        inside = (places >= 0) & (places < len(self._direct))
        return np.where(inside, self._direct[np.where(inside, places, 0)], np.int32(-1))

    def _append(self, fresh: pl.Series) -> None:
        """Gives ids that are not known yet the next dense ids."""
        start = len(self)
        codes = pl.Series("code", np.arange(start, start + len(fresh), dtype=np.int32))
        added = pl.DataFrame({"id": fresh, "code": codes})
        self._frame = pl.concat([self._frame, added], rechunk=True)
        if self._direct is None or not len(fresh):
            return
        places = fresh.to_numpy()
        if places.min() < 0 or places.max() >= _DIRECT:
            self._direct = None
            return
        if places.max() >= len(self._direct):
            size = min(_DIRECT, max(1024, 2 * (int(places.max()) + 1)))
            grown = np.full(size, -1, dtype=np.int32)
            grown[: len(self._direct)] = self._direct
            self._direct = grown
        self._direct[places] = codes.to_numpy()

    def freeze(self) -> Vocabulary:
        """The vocabulary as it stands."""
        return Vocabulary(self._frame["id"])


def _join(values: pl.Series, known: pl.DataFrame) -> np.ndarray:
    """int32 (n,): codes of values, -1 where unknown or null."""
    found = values.to_frame().join(known, on="id", how="left", maintain_order="left")["code"]
    return found.fill_null(-1).to_numpy()
