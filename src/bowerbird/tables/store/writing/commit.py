"""The commit: merge every touched bucket, write immutable files, then replace the manifest."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bowerbird.tables.atomic import TEMPORARY, replacing, sync_folder
from bowerbird.tables.schema import TABLES
from bowerbird.tables.store.columns import COLUMN_DTYPES, ColumnsWriter, EventColumns
from bowerbird.tables.store.items import resolve_roles
from bowerbird.tables.store.keys import stable_keys
from bowerbird.tables.store.manifest import Manifest, Part
from bowerbird.tables.store.writing.merge import RawKeys, content_of, merge_bucket, number_slates
from bowerbird.tables.store.writing.settings import bucket_count
from bowerbird.tables.store.writing.side import merge_rows
from bowerbird.tables.store.writing.spill import EVENT_DTYPE

if TYPE_CHECKING:
    from bowerbird.tables.store.writing.writer import StoreWriter

_ROLE_SAMPLE = 2000


@dataclass
class CommitResult:
    """What a commit did.

    Attributes:
        manifest: The manifest that is live now.
        changed: Whether anything was written.
        accepted: Rows of each table that are new in the store.
        duplicates: Rows of each table that were there already, came twice, or were replaced by a later row.
    """

    manifest: Manifest
    changed: bool
    accepted: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)


def commit(writer: StoreWriter) -> CommitResult:
    """Writes everything `writer` collected; see `StoreWriter.commit`."""
    before = writer.previous or Manifest()
    result = CommitResult(before, changed=False)
    parts = dict(before.parts)
    counts = dict(before.counts)
    roles, title = dict(before.item_roles), before.title_column
    samples: list[pl.DataFrame] = []
    for table in writer.rows:
        parts[table] = _merge_side_table(writer, table, before, result, samples)
        counts[f"{table}_rows" if table in ("items", "users") else table] = sum(p.rows for p in parts[table])
    if samples:
        declared = {**roles, **({title: "title"} if title else {})}
        sample = pl.concat(samples, how="diagonal_relaxed")
        declared = {name: role for name, role in declared.items() if name in sample.columns}
        guessed, title = resolve_roles(sample, {**declared, **writer.settings.item_roles})
        roles |= guessed
    columns, span = before.columns, before.time_range
    if writer.events.touched() or writer.previous is None:
        parts["events"], columns, span = _merge_events(writer, before, result)
        counts["events"] = sum(part.rows for part in parts["events"])
        counts["slates"] = sum(part.requests for part in parts["events"])
    counts["users"], counts["items"] = len(writer.vocabularies["users"]), len(writer.vocabularies["items"])
    hashes = {table: _content(found) for table, found in sorted(parts.items())}
    settings = writer.settings
    after = replace(
        before,
        dataset=settings.dataset if settings.dataset is not None else before.dataset,
        counts=dict(sorted(counts.items())),
        content_hash=sha256(json.dumps(hashes).encode()).hexdigest()[:32],
        content_hashes=hashes,
        # An entity nobody has seen yet has no type.
        id_types={
            entity: kind
            for entity, kind in sorted(writer.id_types.items())
            if len(writer.vocabularies[f"{entity}s"])
        },
        buckets=writer.buckets,
        actions=writer.actions,
        closed_actions=writer.closed_actions,
        negative_actions=(
            list(settings.negative_actions)
            if settings.negative_actions is not None
            else before.negative_actions
        ),
        slate_rule=settings.slate_rule if settings.slate_rule is not None else before.slate_rule,
        tie_rule=writer.tie_rule,
        item_roles=roles,
        title_column=title,
        time_range=span,
        parts=parts,
        vocabularies=_write_vocabularies(writer, before),
        columns=columns,
        sources=writer.sources,
        rejected=writer.rejected,
        config=settings.config or before.config,
    )
    if writer.previous is not None and after == before:
        return result
    after = replace(after, generation=writer.generation)
    after.write(writer.path)
    result.manifest, result.changed = after, True
    return result


def _content(parts: list[Part]) -> str:
    """Sum of the parts' hashes: independent of the number of buckets."""
    return f"{sum(int(part.content, 16) for part in parts) % 2**64:016x}"


def _merge_events(
    writer: StoreWriter, before: Manifest, result: CommitResult
) -> tuple[list[Part], str | None, tuple[int, int] | None]:
    """Merges touched buckets and rewrites the flat columns.

    Returns:
        The parts, the folder of the columns, and the first and last time.
    """
    old_parts = {part.bucket: part for part in before.parts.get("events", [])}
    arrived, keys = writer.events.rows, _raw_keys(writer)
    touched = set(writer.events.touched())
    old = EventColumns.open(
        writer.path / before.columns if before.columns else None, len(writer.vocabularies["users"])
    )
    folder = f"columns/{writer.generation:06d}"
    temporary = writer.path / "columns" / f"{TEMPORARY}{writer.generation:06d}"
    parts: list[Part] = []
    old_row = old_slate = slates = 0
    first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    with ColumnsWriter(temporary) as columns:
        for bucket in range(writer.buckets["events"]):
            part = old_parts.get(bucket)
            if bucket in touched:
                stored = _read_part(writer, part)
                rows = merge_bucket(stored, writer.events.take(bucket), writer.tie_rule)
                numbers, found = number_slates(rows, slates)
                chunk = {name: numbers if name == "request" else rows[name] for name in COLUMN_DTYPES}
                content = content_of(rows, keys)
                if part is None or part.content != content:
                    merged = _write_part(writer, bucket, rows, found, content)
                else:
                    merged = part
            elif part is not None:
                span = slice(old_row, old_row + part.rows)
                chunk = {name: getattr(old, name)[span] for name in COLUMN_DTYPES}
                shift = np.int32(slates - old_slate)
                chunk["request"] = np.where(chunk["request"] < 0, chunk["request"], chunk["request"] + shift)
                merged = part
            else:
                continue
            columns.append(chunk)
            parts.append(merged)
            slates += merged.requests
            if len(chunk["time"]):
                first, last = min(first, int(chunk["time"].min())), max(last, int(chunk["time"].max()))
            if part is not None:
                old_row, old_slate = old_row + part.rows, old_slate + part.requests
        accepted = columns.rows - len(old)
        result.accepted["events"], result.duplicates["events"] = accepted, arrived - accepted
        if not columns.rows:
            shutil.rmtree(temporary)
            return [], None, None
        if before.columns and parts == before.parts.get("events"):
            shutil.rmtree(temporary)
            return parts, before.columns, before.time_range
        columns.finish(len(writer.vocabularies["users"]))
    temporary.rename(writer.path / folder)
    sync_folder(writer.path / "columns")
    return parts, folder, (first, last)


def _raw_keys(writer: StoreWriter) -> RawKeys:
    frozen = {name: vocabulary.freeze() for name, vocabulary in writer.vocabularies.items()}
    none = np.zeros(1, dtype=np.uint64)
    return RawKeys(
        user=np.append(frozen["users"].keys, none),
        item=np.append(frozen["items"].keys, none),
        surface=np.append(frozen["surfaces"].keys, none),
        query=np.append(frozen["queries"].keys, none),
        action=stable_keys(pl.Series(writer.actions, dtype=pl.String)),
    )


def _read_part(writer: StoreWriter, part: Part | None) -> np.ndarray:
    if part is None:
        return np.empty(0, dtype=EVENT_DTYPE)
    frame = pl.read_parquet(writer.path / part.file)
    rows = np.empty(frame.height, dtype=EVENT_DTYPE)
    for name in EVENT_DTYPE.names or ():
        rows[name] = frame[name].to_numpy()
    return rows


def _write_part(writer: StoreWriter, bucket: int, rows: np.ndarray, slates: int, content: str) -> Part:
    frame = pl.DataFrame({name: np.ascontiguousarray(rows[name]) for name in EVENT_DTYPE.names or ()})
    return Part(bucket, _write_frame(writer, "events", bucket, frame), len(rows), slates, content)


def _write_frame(writer: StoreWriter, table: str, bucket: int, frame: pl.DataFrame) -> str:
    file = f"tables/{table}/bucket={bucket:02d}/part-{writer.generation:06d}.parquet"
    path = writer.path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", compression_level=1)
    return file


def _merge_side_table(
    writer: StoreWriter, table: str, before: Manifest, result: CommitResult, samples: list[pl.DataFrame]
) -> list[Part]:
    """Merges the touched buckets of `items` or a side table; adds samples of item rows to `samples`."""
    spill, spec = writer.rows[table], TABLES[table]
    buckets = writer.buckets.setdefault(table, bucket_count(spill.rows))
    old_parts = {part.bucket: part for part in before.parts.get(table, [])}
    parts: list[Part] = []
    accepted = 0
    for bucket in range(buckets):
        new, part = spill.take(buckets, bucket), old_parts.get(bucket)
        if new is not None:
            stored = pl.read_parquet(writer.path / part.file) if part else None
            merged = merge_rows(spec, stored, new)
            accepted += merged.accepted
            if table == "items":
                samples.append(merged.rows.head(_ROLE_SAMPLE))
            if part is None or part.content != merged.content:
                file = _write_frame(writer, table, bucket, merged.rows)
                part = Part(bucket, file, merged.rows.height, content=merged.content)
        if part is not None:
            parts.append(part)
    result.accepted[table], result.duplicates[table] = accepted, spill.rows - accepted
    return parts


def _write_vocabularies(writer: StoreWriter, before: Manifest) -> dict[str, dict[str, object]]:
    """Writes the vocabularies that grew; the others keep their file."""
    entries: dict[str, dict[str, object]] = dict(before.vocabularies)
    for name, vocabulary in writer.vocabularies.items():
        if name not in entries or vocabulary.grown:
            file = f"vocabulary/{name}-{writer.generation:06d}.parquet"
            (writer.path / "vocabulary").mkdir(exist_ok=True)
            vocabulary.freeze().save(writer.path / file)
            entries[name] = {"file": file, "size": len(vocabulary)}
    return entries
