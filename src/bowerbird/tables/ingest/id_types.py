"""Are the ids of users and items whole numbers or text? Decided once, before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.ingest.checks.values import INTEGER_TEXT, blank_to_null
from bowerbird.tables.ingest.config import IngestConfig
from bowerbird.tables.ingest.readers import SourceFile
from bowerbird.tables.schema import TABLES, IdType

_SAMPLE = 10_000
_FILES = 20
"""Files looked at per table."""


def resolve_id_types(
    config: IngestConfig, files: Iterable[SourceFile], known: dict[str, IdType]
) -> dict[str, IdType]:
    """Types of the `user` and `item` ids.

    What the store has stays; then what `[ids]` says; then integers where every sampled id of every table is a plain
    whole number, else text.

    Args:
        config: The configuration.
        files: All files, looked at only as far as needed.
        known: Types the store has already.

    Raises:
        TableError: `[ids]` contradicts the store.
    """
    types: dict[str, IdType] = dict(known)
    asked: dict[str, str] = {"user": config.ids.user, "item": config.ids.item}
    for entity, wanted in asked.items():
        if wanted == "auto":
            continue
        if types.get(entity, wanted) != wanted:
            raise TableError(
                f"the store has {types[entity]} {entity} ids and [ids] {entity} = {wanted!r}",
                fix="remove that line, or make a new store",
            )
        types[entity] = wanted  # type: ignore[assignment]
    open_entities = [entity for entity in asked if entity not in types]
    text: set[str] = set()
    seen: set[str] = set()
    looked: Counter[str] = Counter()
    for file in files:
        looked[file.table] += 1
        if looked[file.table] > _FILES:
            continue
        for name, column in file.source.columns.items():
            spec = TABLES[file.table].column(name)
            if spec is None or spec.kind not in open_entities or spec.kind in text or not file.size:
                continue
            values = _sample(file, column.column, config) if column.column else pl.Series([column.constant])
            if values.null_count() < len(values):
                seen.add(spec.kind)
            if not _all_integers(values):
                text.add(spec.kind)
    for entity in open_entities:
        types[entity] = "string" if entity in text or entity not in seen else "integer"
    return types


def _sample(file: SourceFile, column: str, config: IngestConfig) -> pl.Series:
    reader = file.reader(config.max_line_bytes)
    if column not in reader.columns():
        return pl.Series([], dtype=pl.Int64)  # the missing column is reported when the file is read
    for batch in reader.batches([column]):
        if batch.frame.height:
            return batch.frame[column].head(_SAMPLE)
    return pl.Series([], dtype=pl.Int64)


def _all_integers(values: pl.Series) -> bool:
    if values.dtype.is_integer() or values.dtype == pl.Null:
        return True
    if values.dtype.is_float():
        known = values.fill_nan(None).drop_nulls()
        return bool((known == known.floor()).all())
    if values.dtype != pl.String:
        return False
    known = blank_to_null(values).drop_nulls()
    # A few broken values do not turn a column of numbers into text; they are rejected later, with a reason.
    return not len(known) or bool(known.str.contains(INTEGER_TEXT).mean() >= 0.99)  # type: ignore[operator]
