"""Rows of the `links` table from published edge lists."""

from __future__ import annotations

import polars as pl

from bowerbird.tables.schema import Columns

WEIGHT = Columns.WEIGHT
"""Column of a link's weight, where the data give one."""


def link_rows(
    edges: pl.DataFrame,
    source: tuple[str, str],
    target: tuple[str, str],
    relation: str,
    *,
    time: str | None = None,
    weight: str | None = None,
    user: str | None = None,
) -> pl.DataFrame:
    """Edges of one relation.

    All ids become text, because one column holds ids of items, tags and people alike; vocabularies of integers
    understand integers given as text.

    Args:
        edges: One edge a row.
        source, target: Node type, and the column with its ids.
        relation: What the source is to the target.
        time: Column with ms UTC since when the edge is known; None = from the start.
        weight: Column with how much it counts; None = no weights.
        user: Column with the user who made the edge; None = nobody in particular.
    """
    columns = [
        pl.lit(source[0]).alias(Columns.SOURCE_TYPE),
        pl.col(source[1]).cast(pl.String).alias(Columns.SOURCE),
        pl.lit(target[0]).alias(Columns.TARGET_TYPE),
        pl.col(target[1]).cast(pl.String).alias(Columns.TARGET),
        pl.lit(relation).alias(Columns.RELATION),
    ]
    if time is not None:
        columns.append(pl.col(time).cast(pl.Int64).alias(Columns.TIMESTAMP))
    if weight is not None:
        columns.append(pl.col(weight).cast(pl.Float32).alias(WEIGHT))
    if user is not None:
        columns.append(pl.col(user).cast(pl.Int64).alias(Columns.USER))
    return edges.select(columns)


def all_links(*relations: pl.DataFrame) -> pl.DataFrame:
    """Several relations as one table; a column that only some have is empty in the others."""
    return pl.concat(relations, how="diagonal")
