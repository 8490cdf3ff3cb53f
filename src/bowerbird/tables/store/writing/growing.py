"""A vocabulary that learns: new raw ids get the next dense ids, known ones never change."""

from __future__ import annotations

import numpy as np
import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.schema import IdType
from bowerbird.tables.store.vocabulary import Vocabulary


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
        self._frame = pl.DataFrame(
            {"id": known.ids if known is not None and len(known) else pl.Series([], dtype=self.dtype)},
            schema={"id": self.dtype},
        ).with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias("code"))
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
        asked = values.cast(self.dtype).rename("id").to_frame()
        codes = asked.join(self._frame, on="id", how="left", maintain_order="left")["code"]
        if codes.null_count() > values.null_count():
            fresh = asked.filter(codes.is_null()).drop_nulls().unique(maintain_order=True)
            start = self._frame.height
            fresh = fresh.with_columns((pl.int_range(pl.len(), dtype=pl.Int32) + start).alias("code"))
            self._frame = pl.concat([self._frame, fresh.cast({"code": pl.Int32})], rechunk=True)
            codes = asked.join(self._frame, on="id", how="left", maintain_order="left")["code"]
        return codes.fill_null(-1).to_numpy()

    def freeze(self) -> Vocabulary:
        """The vocabulary as it stands."""
        return Vocabulary(self._frame["id"])
