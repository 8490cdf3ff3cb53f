"""The beginning of each file: columns, first values, layout."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bowerbird.tables.errors import BowerbirdError, ConfigError
from bowerbird.tables.ingest.layout import ColumnConfig, SourceConfig
from bowerbird.tables.ingest.readers import SourceFile, find_files, format_of

_ROWS = 2000
_MAX_LINE = 1 << 20


@dataclass(frozen=True)
class Sample:
    """The beginning of a file.

    Attributes:
        path: The file.
        label: Its name relative to where the configuration will be.
        format: `csv`, `tsv`, `jsonl` or `parquet`.
        delimiter: What separates fields of a text file where it is not the usual one, else None.
        frame: The first rows.
    """

    path: Path
    label: str
    format: str
    delimiter: str | None
    frame: pl.DataFrame

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self.frame.columns

    @property
    def layout(self) -> tuple[object, ...]:
        """Files with the same layout can share a source."""
        return self.path.parent, self.format, self.delimiter, tuple(self.columns)


def take_samples(paths: Sequence[Path], folder: Path) -> tuple[list[Sample], list[str]]:
    """Looks at files.

    Args:
        paths: Files and folders.
        folder: Where the configuration will be.

    Returns:
        Samples of the readable files, and one line about each of the others.

    Raises:
        ConfigError: There is no file in a known format.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found |= dict.fromkeys(
            p for p in inside if p.is_file() and format_of(p) and not p.name.startswith(".")
        )
    if not found:
        raise ConfigError(
            f"no CSV, TSV, JSONL or Parquet file in {', '.join(map(str, paths)) or 'nothing'}; "
            "name your files or folders"
        )
    samples: list[Sample] = []
    trouble: list[str] = []
    for path in found:
        try:
            sample = _take(path, folder)
        except BowerbirdError as error:
            trouble.append(f"{path.name}: {str(error).splitlines()[0]}")
            continue
        if sample.frame.height:
            samples.append(sample)
        else:
            trouble.append(f"{path.name}: no rows")
    return samples, trouble


def _take(path: Path, folder: Path) -> Sample:
    source = SourceConfig(files=[str(path.resolve())], columns={"x": ColumnConfig(column="x")})
    (file,) = find_files("items", source, folder.resolve())
    delimiter = _delimiter(file) if file.format == "csv" else None
    if delimiter:
        file = SourceFile(
            file.table, file.path, file.label, source.model_copy(update={"delimiter": delimiter}), file.format
        )
    reader = file.reader(_MAX_LINE)
    columns = reader.columns() if file.size else []
    frame = pl.DataFrame()
    if columns:
        frame = next(
            (batch.frame.head(_ROWS) for batch in reader.batches(columns) if batch.frame.height), frame
        )
    return Sample(path, file.label, file.format, delimiter, frame)


def _delimiter(file: SourceFile) -> str | None:
    """Another delimiter than the comma, where the header has more of it and no comma."""
    names = file.reader(_MAX_LINE).columns() if file.size else []
    if len(names) != 1:
        return None
    counts = {mark: len(next(csv.reader([names[0]], delimiter=mark))) for mark in (";", "\t", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] > 1 else None
