"""The ingest: files in, one commit out."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from bowerbird.tables.errors import BowerbirdError, TableError
from bowerbird.tables.ingest.checks import SourceChecker
from bowerbird.tables.ingest.config import IngestConfig
from bowerbird.tables.ingest.id_types import resolve_id_types
from bowerbird.tables.ingest.readers import SourceFile, find_files
from bowerbird.tables.ingest.rejects import STOPPED, RejectLog
from bowerbird.tables.ingest.summary import IngestSummary, TableCounts, peak_memory
from bowerbird.tables.schema import IdType
from bowerbird.tables.store.manifest import Manifest, Source
from bowerbird.tables.store.writing import StoreSettings, StoreWriter

if TYPE_CHECKING:
    from rich.console import Console

_ORDER = ("users", "items", "events", "collections", "links", "labels", "clips")
_HOPELESS_ROWS = 200_000
_HOPELESS_SHARE = 0.5


class IngestStoppedError(BowerbirdError):
    """Too many rows were rejected; the store is what it was before.

    Attributes:
        summary: What was read so far.
    """

    def __init__(self, message: str, summary: IngestSummary) -> None:
        super().__init__(message)
        self.summary = summary


_Meter = Callable[[SourceFile, float], None]
"""Told how far the reading of a file is, in [0, 1]."""


def ingest(
    config: IngestConfig, store: str | Path, *, progress: Console | None = None, fresh: bool = False
) -> IngestSummary:
    """Reads every file of a configuration into a store.

    Files that were ingested before with the same settings are skipped, rows that are in the store already count as
    duplicates: running it again changes nothing, running it with more files or longer files adds what is new. The
    store changes in one step at the end, or not at all.

    Args:
        config: From `load_config`.
        store: Folder of the store; made where missing.
        progress: Console for a progress bar; None = silent.
        fresh: Replace the store instead of adding to it.

    Returns:
        Counts per table, reasons of rejection, speed and memory.

    Raises:
        IngestStoppedError: More than `max_rejected_share` of a table's rows were rejected.
        TableError: A file cannot be read, or a mapped column is missing.
        ConfigError: Files do not exist, or settings contradict the store.
        StoreError: Another writer is busy with the store.
    """
    started = time.perf_counter()
    path = Path(store)
    files = {table: _files(config, table) for table in _ORDER}
    known = None if fresh else Manifest.read_or_none(path)
    types = resolve_id_types(
        config, [file for found in files.values() for file in found], known.id_types if known else {}
    )
    summary = IngestSummary(path)
    with StoreWriter(path, _settings(config, files["events"]), types, fresh=fresh) as writer:
        log = RejectLog(path)
        try:
            with _progress(progress, files) as meter:
                for table, found in files.items():
                    if found:
                        summary.tables[table] = TableCounts()
                        _TableReading(table, config, types, writer, log, meter, summary).read(found)
            _finish(summary, config, writer, log)
        finally:
            log.drop()
    summary.seconds = time.perf_counter() - started
    summary.peak_memory = peak_memory()
    return summary


def _files(config: IngestConfig, table: str) -> list[SourceFile]:
    return [file for source in config.sources(table) for file in find_files(table, source, config.folder)]


def _settings(config: IngestConfig, events: list[SourceFile]) -> StoreSettings:
    actions = config.actions
    declared = {
        name: feature.role
        for source in config.items
        for name, feature in (source.features or {}).items()
        if feature.role is not None
    }
    return StoreSettings(
        dataset=config.dataset,
        actions=actions.names or None,
        closed_actions=bool(actions.names) and actions.policy != "add",
        negative_actions=actions.negative,
        item_roles=declared,
        slate_rule=config.slate_rule,
        tie_rule=config.tie_rule,
        expected_events=sum(file.expected_rows() for file in events),
        config=config.model_dump(mode="json", exclude_defaults=True),
    )


@dataclass
class _TableReading:
    """Reading all files of one table."""

    table: str
    config: IngestConfig
    types: dict[str, IdType]
    writer: StoreWriter
    log: RejectLog
    meter: _Meter
    summary: IngestSummary

    def read(self, files: list[SourceFile]) -> None:
        counts = self.summary.tables[self.table]
        known = {(source.table, source.content, source.settings) for source in self.writer.sources}
        roles = self.writer.previous.item_roles if self.writer.previous and self.table == "items" else {}
        checkers: dict[int, SourceChecker] = {}
        for file in files:
            content, settings = file.fingerprint(), self._settings_hash(file)
            if (self.table, content, settings) in known:
                counts.unchanged_files += 1
            elif not file.size:
                counts.empty_files.append(file.label)
            else:
                checker = checkers.get(id(file.source))
                if checker is None:
                    checker = SourceChecker(self.table, file.source, self.config, self.types, roles)
                    checkers[id(file.source)] = checker
                rows = self._read_file(file, checker)
                known.add((self.table, content, settings))
                self._remember(Source(self.table, file.label, file.size, content, settings, rows))
                counts.files += 1
            self.meter(file, 1.0)
        if len(counts.empty_files) == len(files):
            raise TableError(
                f"every file is empty: {', '.join(counts.empty_files)}",
                table=self.table,
                fix="check the export that wrote them, or remove this table from the configuration",
            )

    def _read_file(self, file: SourceFile, checker: SourceChecker) -> int:
        counts = self.summary.tables[self.table]
        reader = file.reader(self.config.max_line_bytes)
        read = 0
        try:
            columns = checker.plan(file, reader.columns())
            for batch in reader.batches(columns):
                good, rejected = checker.check(batch)
                counts.read += batch.rows
                counts.rejected += self.log.add(self.table, file.label, rejected)
                read += batch.rows
                self.meter(file, batch.position)
                if counts.read >= _HOPELESS_ROWS and counts.rejected > _HOPELESS_SHARE * counts.read:
                    _stop(self.table, self.config, self.log, self.summary)
                if good.height:
                    if self.table == "events":
                        self.writer.add_events(good)
                    else:
                        self.writer.add_rows(self.table, good)
        except TableError as error:
            raise error if file.label in str(error) else error.inside(self.table, file.label) from error
        return read

    def _settings_hash(self, file: SourceFile) -> str:
        """Hash of everything that decides what a file's rows become."""
        config = self.config
        source = file.source.model_dump(mode="json", exclude={"files"})
        parts = [source, config.ids.model_dump(), config.times.model_dump(mode="json"), config.max_line_bytes]
        if self.table == "events":
            parts.append(config.actions.model_dump(exclude={"negative"}))
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def _remember(self, source: Source) -> None:
        """Notes that a file is in the store; a file that grew takes the place of its older self."""
        sources = self.writer.sources
        same = [
            place for place, old in enumerate(sources) if (old.table, old.name) == (source.table, source.name)
        ]
        if same:
            sources[same[0]] = source
        else:
            sources.append(source)


def _finish(summary: IngestSummary, config: IngestConfig, writer: StoreWriter, log: RejectLog) -> None:
    """Checks the shares of rejected rows, commits, and completes the summary."""
    for table, counts in summary.tables.items():
        if counts.rejected > config.max_rejected_share * counts.read:
            _stop(table, config, log, summary)
    if any(counts.files for counts in summary.tables.values()):
        summary.rejected_file = log.keep(f"{writer.generation:06d}.jsonl")
        writer.rejected = (
            summary.rejected_file.relative_to(writer.path).as_posix() if summary.rejected_file else None
        )
    result = writer.commit()
    for table, counts in summary.tables.items():
        counts.accepted, counts.duplicates = result.accepted.get(table, 0), result.duplicates.get(table, 0)
        counts.reasons = dict(log.reasons.get(table, {}))
        if counts.read != counts.accepted + counts.duplicates + counts.rejected:
            raise AssertionError(f"{table}: rows went missing between reading and storing: {counts}")
    manifest = result.manifest
    summary.changed, summary.generation, summary.counts = (
        result.changed,
        manifest.generation,
        dict(manifest.counts),
    )
    summary.items_without_row = manifest.counts["items"] - manifest.counts.get("items_rows", 0)


def _stop(table: str, config: IngestConfig, log: RejectLog, summary: IngestSummary) -> None:
    """Ends an ingest with too many rejected rows.

    Raises:
        IngestStoppedError: Always.
    """
    counts = summary.tables[table]
    counts.reasons = dict(log.reasons[table])
    summary.rejected_file = log.keep(STOPPED)
    common = sorted(counts.reasons.items(), key=lambda pair: -pair[1])[:3]
    what = "; ".join(f"{count:,} x {reason}" for reason, count in common)
    raise IngestStoppedError(
        f"table {table!r}: {counts.rejected:,} of {counts.read:,} rows were rejected "
        f"({counts.rejected / counts.read:.1%}, more than max_rejected_share = {config.max_rejected_share:.1%}).\n"
        f"  Most common: {what}.\n  All of them: {summary.rejected_file}\n"
        "  Fix: correct the mapping or the files, or raise max_rejected_share. The store is what it was before.",
        summary,
    )


@contextlib.contextmanager
def _progress(console: Console | None, files: dict[str, list[SourceFile]]) -> Iterator[_Meter]:
    if console is None:
        yield lambda file, position: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    total = sum(file.size for found in files.values() for file in found)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=total)
        done: dict[tuple[str, str], float] = {}

        def meter(file: SourceFile, position: float) -> None:
            done[file.table, file.label] = position * file.size
            bar.update(task, completed=sum(done.values()), description=f"{file.table}: {file.path.name}")
            if position == 1.0 and len(done) == sum(map(len, files.values())):
                bar.update(task, description="sorting and writing")

        yield meter
