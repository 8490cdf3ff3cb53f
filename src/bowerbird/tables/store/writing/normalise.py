"""From data frames with public column names to the form the writer takes; anything invalid raises."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from bowerbird.tables.errors import TableError, did_you_mean
from bowerbird.tables.schema import TABLES, Columns, IdType, Kind, TableSpec

_INT16 = 32767


def id_type(frame: pl.DataFrame, table: str, column: str) -> IdType:
    """Whether an id column holds integers or text.

    Raises:
        TableError: It holds something else.
    """
    dtype = frame.schema[column]
    if dtype.is_integer():
        return "integer"
    if dtype in (pl.String, pl.Categorical, pl.Enum) or dtype == pl.Null:
        return "string"
    raise TableError(
        f"ids must be integers or text, not {dtype}",
        table=table,
        column=column,
        fix=f"cast {column} to String or Int64",
    )


def normalise(table: str, frame: pl.DataFrame, id_types: Mapping[str, IdType]) -> pl.DataFrame:
    """Checks a data frame against the contract and gives its columns their stored types.

    Args:
        table: Name of the table.
        frame: Rows with public column names. Times are integers (ms UTC) or datetimes (naive = UTC).
        id_types: Types of `user` and `item` ids.

    Returns:
        The same rows; ids Int64 or String, times Int64 ms, lists of actions List(String).

    Raises:
        TableError: A missing or unknown column, a null in a required column, a type that does not fit.
    """
    spec = TABLES[table]
    for name in spec.required:
        if name not in frame.columns:
            raise TableError(
                "required column is missing",
                table=table,
                column=name,
                fix=f"{did_you_mean(name, frame.columns)} Rename it to {name!r}",
            )
        if frame[name].null_count():
            row = int(frame[name].is_null().arg_true()[0]) + 1
            raise TableError(
                "required value is empty", table=table, column=name, row=row, fix="drop or fill the row"
            )
    if not spec.features:
        for name in frame.columns:
            if spec.column(name) is None:
                raise TableError(
                    "column is not part of this table",
                    table=table,
                    column=name,
                    fix=did_you_mean(name, spec.names),
                )
    return frame.with_columns(
        _typed(spec, column.name, column.kind, frame[column.name], id_types)
        for column in spec.columns
        if column.name in frame.columns
    ).with_columns(_feature(frame[name]) for name in frame.columns if spec.column(name) is None)


def _typed(
    spec: TableSpec, name: str, kind: Kind, values: pl.Series, id_types: Mapping[str, IdType]
) -> pl.Series:
    if kind in ("user", "item"):
        found = id_type(values.to_frame(), spec.name, name)
        if found != id_types[kind]:
            raise TableError(
                f"{kind} ids are {id_types[kind]}s in this store but {found}s here",
                table=spec.name,
                column=name,
                fix="use one type for the ids of an entity in every table",
            )
        return values.cast(pl.Int64 if found == "integer" else pl.String)
    if kind == "time":
        return to_milliseconds(values, spec.name)
    if kind == "actions":
        return _actions(values, spec.name)
    if kind == "id":
        return values.cast(
            pl.Int64 if id_type(values.to_frame(), spec.name, name) == "integer" else pl.String
        )
    if kind == "text":
        return values.cast(pl.String)
    if kind == "integer":
        cast = values.cast(pl.Int64, strict=False)
        if cast.null_count() > values.null_count() or (cast.len() and (cast.max() or 0) > _INT16):  # type: ignore[operator]
            raise TableError(f"must be whole numbers up to {_INT16}", table=spec.name, column=name)
        return cast
    cast = values.cast(pl.Float32, strict=False)
    if cast.null_count() > values.null_count() or not cast.is_finite().all():
        raise TableError("must be finite numbers", table=spec.name, column=name)
    return cast


def to_milliseconds(values: pl.Series, table: str) -> pl.Series:
    """Int64 milliseconds UTC from integers (already ms), dates or datetimes (naive ones are UTC).

    Raises:
        TableError: Another type.
    """
    if isinstance(values.dtype, pl.Datetime):
        return (
            values.dt.convert_time_zone("UTC").dt.epoch("ms")
            if values.dtype.time_zone
            else values.dt.epoch("ms")
        )
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("ms")).dt.epoch("ms")
    if values.dtype.is_integer() or values.dtype == pl.Null:
        return values.cast(pl.Int64)
    raise TableError(
        f"times must be integers (ms) or datetimes, not {values.dtype}",
        table=table,
        column=values.name,
        fix="convert the column before building the store, or use `bowerbird ingest`, which parses text",
    )


def _actions(values: pl.Series, table: str) -> pl.Series:
    if values.dtype == pl.List(pl.String):
        return values
    if values.dtype == pl.String:
        return values.to_frame().select(pl.concat_list(pl.col(values.name)).alias(values.name)).to_series()
    if values.dtype in (pl.Null, pl.List(pl.Null)):
        return pl.Series(values.name, [[]] * len(values), dtype=pl.List(pl.String))
    raise TableError(
        f"must be lists of action names, not {values.dtype}", table=table, column=Columns.ACTIONS
    )


def _feature(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Datetime):
        return to_milliseconds(values, "features").cast(pl.Datetime("ms"))
    if values.dtype in (pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    return values
