"""Tables kept as rows (items, users, collections, links, labels, clips): merging one bucket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.schema import TableSpec
from bowerbird.tables.store.keys import stable_keys

_REPEATS = 4
"""How often a text must occur on average for ranking it to pay."""


@dataclass(frozen=True)
class MergedRows:
    """One bucket after a merge.

    Attributes:
        rows: The rows, sorted by the key of the table.
        accepted: How many of the new rows are now in the table and were not there before.
        content: Hash of the rows, independent of their order.
    """

    rows: pl.DataFrame
    accepted: int
    content: str


def merge_rows(spec: TableSpec, old: pl.DataFrame | None, new: pl.DataFrame) -> MergedRows:
    """Adds rows to a bucket: the last row of a key wins in upsert tables, exact duplicates are dropped elsewhere.

    Args:
        spec: The table.
        old: Rows already stored, or None.
        new: Rows in order of arrival.
    """
    before = old.height if old is not None else 0
    rows = _concat(spec, old, new)
    rows = rows.with_columns(_as_text(rows), (pl.int_range(pl.len()) >= before).alias("__new"))
    if spec.upsert:
        known = rows["__text"].head(before)
        rows = rows.unique(subset=list(spec.key), keep="last", maintain_order=True)
        fresh = rows.filter("__new")["__text"]
        accepted = len(fresh) - int(fresh.is_in(known.implode()).sum() or 0)
    else:
        rows = rows.unique(subset="__text", keep="first", maintain_order=True)
        accepted = int(rows["__new"].sum())
    rows = _sorted(rows, spec.key)
    content = f"{int(np.add.reduce(stable_keys(rows['__text']))):016x}"
    return MergedRows(rows.drop("__text", "__new"), accepted, content)


def _sorted(rows: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """The rows by key, equal keys in their order.

    Text that repeats (node types, relations, tags) is sorted once as a vocabulary and then compared as numbers: four
    times as fast on a table of links.
    """
    places: list[str] = []
    for name in key:
        distinct = rows[name].unique() if rows.schema[name] == pl.String else None
        if distinct is None or len(distinct) * _REPEATS > rows.height:
            places.append(name)
        elif len(distinct) > 1:
            ranks = pl.DataFrame(
                {name: distinct.sort(), f"__{name}": np.arange(len(distinct), dtype=np.uint32)}
            )
            rows = rows.join(ranks, on=name, how="left", maintain_order="left", nulls_equal=True)
            places.append(f"__{name}")
    rows = rows.sort(places, maintain_order=True) if places else rows
    return rows.drop(name for name in places if name not in key)


def _concat(spec: TableSpec, old: pl.DataFrame | None, new: pl.DataFrame) -> pl.DataFrame:
    if old is None:
        return new
    for name in set(old.columns) & set(new.columns):
        was, now = old.schema[name], new.schema[name]
        if was != now and pl.Null not in (was, now) and not (was.is_numeric() and now.is_numeric()):
            raise TableError(
                f"the store holds {was} and the new rows bring {now}",
                table=spec.name,
                column=name,
                fix="give the column the same type as before, or make a new store",
            )
    return pl.concat([old, new], how="diagonal_relaxed")


def _as_text(rows: pl.DataFrame) -> pl.Expr:
    """One text a row that is equal for equal rows: columns in order of name, empty cells leave no trace."""
    encoded = [
        pl.when(pl.col(name).is_not_null()).then(
            pl.format("{}={}", pl.lit(name), pl.struct(name).struct.json_encode())
        )
        for name in sorted(rows.columns)
    ]
    return pl.concat_str(encoded, separator="\x1f", ignore_nulls=True).alias("__text")
