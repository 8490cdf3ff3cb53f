"""Which files a source means, and opening them."""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

from bowerbird.tables.errors import ConfigError, TableError, did_you_mean
from bowerbird.tables.ingest.layout import SourceConfig
from bowerbird.tables.ingest.readers.batch import Reader
from bowerbird.tables.ingest.readers.delimited import DelimitedReader
from bowerbird.tables.ingest.readers.jsonl import JsonReader
from bowerbird.tables.ingest.readers.parquet import ParquetReader

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_BYTES_PER_ROW = 40
_GZIP_RATIO = 5


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        table: Name of the table.
        path: The file.
        label: Its name relative to the configuration, for messages and the manifest.
        source: How it is read.
        format: `csv`, `tsv`, `jsonl` or `parquet`.
    """

    table: str
    path: Path
    label: str
    source: SourceConfig
    format: str

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size

    def fingerprint(self) -> str:
        """Hash of the bytes of the file."""
        digest = sha256()
        with self.path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def expected_rows(self) -> int:
        """Rows of a Parquet file; a rough estimate from the size of a text file."""
        if self.format == "parquet":
            return ParquetReader(self.path, self.label, self.table).rows() if self.size else 0
        return self.size * (_GZIP_RATIO if self.path.suffix == ".gz" else 1) // _BYTES_PER_ROW

    def reader(self, max_line: int) -> Reader:
        """The reader for this file.

        Args:
            max_line: Longest line of a text file in bytes.
        """
        if self.format == "parquet":
            return ParquetReader(self.path, self.label, self.table)
        if self.format == "jsonl":
            return JsonReader(self._open, max_line)
        source = self.source
        tabs = self.format == "tsv"
        quote = source.quote if source.quote is not None else ("" if tabs else '"')
        return DelimitedReader(
            self._open,
            self.label,
            self.table,
            delimiter=source.delimiter or ("\t" if tabs else ","),
            quote=quote or None,
            header=source.header,
            names=tuple(source.names or ()),
            max_line=max_line,
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, Callable[[], float]]]:
        with self.path.open("rb") as raw:
            start = raw.read(2)
            raw.seek(0)
            if start in (b"\xff\xfe", b"\xfe\xff"):
                raise TableError(
                    f"file {self.label} is UTF-16 text", table=self.table, fix="save it as UTF-8"
                )
            total = max(1, os.fstat(raw.fileno()).st_size)

            def position() -> float:
                return min(1.0, raw.tell() / total)

            if start != b"\x1f\x8b":
                yield raw, position
                return
            try:
                with gzip.open(raw, "rb") as file:
                    yield cast(BinaryIO, file), position
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise TableError(
                    f"file {self.label} is a damaged gzip file ({error})",
                    table=self.table,
                    fix="copy it again",
                ) from error


def find_files(table: str, source: SourceConfig, folder: Path) -> list[SourceFile]:
    """The files a source means, in order of its entries and then of their names.

    Args:
        table: Name of the table.
        source: The source.
        folder: What relative names start from.

    Raises:
        ConfigError: An entry matches nothing, or the format of a file cannot be told from its name.
    """
    found: dict[Path, SourceFile] = {}
    for entry in source.files:
        for path in _expand(table, entry, source, folder):
            label = Path(os.path.relpath(path, folder)).as_posix()
            found.setdefault(path, SourceFile(table, path, label, source, _format(table, path, source)))
    return list(found.values())


def format_of(path: Path) -> str | None:
    """The format a file name stands for, `.gz` ignored; None where it says nothing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def _expand(table: str, entry: str, source: SourceConfig, folder: Path) -> list[Path]:
    path = folder / Path(entry).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(("_", ".")))
        files = [p for p in inside if source.format != "auto" or format_of(p)]
        what = f"the folder holds no {', '.join(sorted(FORMATS))} file"
    else:
        root, pattern = (folder, entry) if not Path(entry).is_absolute() else (Path("/"), entry.lstrip("/"))
        files = sorted(p for p in root.glob(pattern) if p.is_file()) if any(c in entry for c in "*?[") else []
        near = (
            did_you_mean(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        )
        what = f"no such file or folder; {near}" if near else "no such file or folder"
    if not files:
        raise ConfigError(f"[{table}] files = {entry!r}: {what}")
    return files


def _format(table: str, path: Path, source: SourceConfig) -> str:
    if source.format != "auto":
        return source.format
    found = format_of(path)
    if found is None:
        raise ConfigError(
            f"[{table}] the name of {path.name!r} does not tell its format; "
            "set format = 'csv', 'tsv', 'jsonl' or 'parquet'"
        )
    return found
