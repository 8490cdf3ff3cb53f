"""Edge lists as Parquet or CSV files: one row an edge, streamed in and out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bowerbird.graph.building.input.edges import EdgeList, Edges
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store import UNDATED, Graph
from bowerbird.tables.atomic import replacing
from bowerbird.tables.errors import did_you_mean

_CHUNK = 1 << 20


@dataclass(frozen=True)
class EdgeFile:
    """The edges in a file; can be read again and again.

    Attributes:
        path: The file.
        source, target: Columns with the ids.
        weight, time: Columns with weights and times, or None.
    """

    path: Path
    source: str
    target: str
    weight: str | None
    time: str | None

    def __iter__(self) -> Iterator[Edges]:
        chosen = [name for name in (self.source, self.target, self.weight, self.time) if name is not None]
        for part in scan(self.path).select(*dict.fromkeys(chosen)).collect_batches(chunk_size=_CHUNK):
            yield Edges(
                part[self.source],
                part[self.target],
                None if self.weight is None else part[self.weight].cast(pl.Float64).fill_null(1.0).to_numpy(),
                None if self.time is None else _milliseconds(part[self.time]).fill_null(UNDATED).to_numpy(),
            )


def read_edges(
    path: str | Path,
    name: str,
    source: str,
    target: str,
    *,
    columns: tuple[str, str] = ("source", "target"),
    weight: str | None = "weight",
    time: str | None = "time",
    raw: bool = True,
    symmetric: bool = False,
    reverse: str | None = None,
) -> EdgeList:
    """The edges in a Parquet or CSV file (`.parquet`, `.csv`, `.csv.gz`, with a header), for `from_edges`.

    Args:
        path: The file.
        name: Name of the relation.
        source, target: Node types.
        columns: Columns with the ids of sources and targets.
        weight: Column with weights; ignored where the file has none of that name. An empty cell counts 1.
        time: Column with times (whole ms UTC, dates or datetimes); ignored where the file has none of that name. An
            empty cell is undated.
        raw: The ids are raw ids; False: dense ids, 0 to the number of nodes - 1.
        symmetric, reverse: As in `EdgeList`.

    Raises:
        GraphError: There is no such file or column, or the ending is unknown.

    Example:
        >>> from_edges("graph", read_edges("follows.csv", "follows", "user", "user"))   # doctest: +SKIP
    """
    file = Path(path)
    if not file.exists():
        raise GraphError(f"there is no file {file}")
    known = scan(file).collect_schema().names()
    for column in columns:
        if column not in known:
            raise GraphError(
                f"file {file}: no column {column!r}; {did_you_mean(column, known)}.\n"
                "  Fix: name the columns with columns=(...)"
            )
    edges = EdgeFile(file, *columns, weight if weight in known else None, time if time in known else None)
    return EdgeList(name, source, target, edges, reverse=reverse, symmetric=symmetric, raw=raw)


def write_edges(graph: Graph, relation: str, path: str | Path, *, raw: bool = True) -> Path:
    """Writes the stored edges of a relation to a Parquet or CSV file with the columns source, target, weight, time.

    Args:
        graph: The graph.
        relation: Name of the directed relation; a symmetric one is written both ways.
        path: The file; replaced if it is there. The ending says which kind.
        raw: Write raw ids; False: dense ids.

    Returns:
        `path`.

    Raises:
        GraphError: There is no such relation, or the ending is unknown.
    """
    file = Path(path)
    found = graph.relation(relation)
    if file.suffix not in (".parquet", ".csv"):
        raise GraphError(f"file {file}: unknown ending {file.suffix!r}.\n  Fix: use .parquet or .csv")
    ids = [graph.ids(node_type) if raw else None for node_type in (found.source, found.target)]

    def part(low: int, high: int) -> pl.DataFrame:
        row = np.searchsorted(found.indptr, np.arange(low, high), side="right") - 1
        column = found.indices[low:high].astype(np.int64)
        ends = [
            dense if known is None else known.gather(dense)
            for known, dense in zip(ids, (row, column), strict=True)
        ]
        content: dict[str, Any] = {
            "source": ends[0],
            "target": ends[1],
            "weight": np.ones(high - low, np.float32)
            if found.weight is None
            else np.array(found.weight[low:high]),
        }
        frame = pl.DataFrame(content)
        if found.time is None:
            return frame
        time = pl.Series("time", np.array(found.time[low:high]))
        return frame.with_columns(pl.when(time == UNDATED).then(None).otherwise(time).alias("time"))

    def parts(
        with_columns: object, predicate: object, n_rows: object, size: object
    ) -> Iterator[pl.DataFrame]:
        for low in range(0, len(found), _CHUNK):
            yield part(low, min(low + _CHUNK, len(found)))

    rows = pl.io.plugins.register_io_source(parts, schema=part(0, 0).schema)
    with replacing(file) as temporary:
        if file.suffix == ".csv":
            rows.sink_csv(temporary, float_precision=None)
        else:
            rows.sink_parquet(temporary)
    return file


def scan(path: Path) -> pl.LazyFrame:
    """A file as rows that are read when asked for.

    Raises:
        GraphError: The ending is unknown.
    """
    if path.suffix == ".parquet":
        return pl.scan_parquet(path)
    if path.name.endswith((".csv", ".csv.gz")):
        return pl.scan_csv(path)
    raise GraphError(f"file {path}: unknown ending {path.suffix!r}.\n  Fix: use .parquet, .csv or .csv.gz")


def _milliseconds(values: pl.Series) -> pl.Series:
    from bowerbird.tables.store.writing.normalise import to_milliseconds

    return to_milliseconds(values, "edges")
