"""What an ingest did, for people and for programs."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MOST_REASONS = 8


@dataclass
class TableCounts:
    """Rows of one table. Always `read == accepted + duplicates + rejected`.

    Attributes:
        read: Rows read; blank lines are no rows.
        accepted: Rows that are new in the store.
        duplicates: Rows that were there already, came twice, or were replaced by a later row of the same key.
        rejected: Rows refused, see the report.
        files: Files read.
        unchanged_files: Files skipped because they were ingested before.
        empty_files: Names of files without any bytes.
        reasons: How many rows were refused for each reason.
    """

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    files: int = 0
    unchanged_files: int = 0
    empty_files: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass
class IngestSummary:
    """The outcome of an ingest.

    Attributes:
        store: Folder of the store.
        tables: Counts of each table.
        changed: Whether the store changed.
        generation: Generation of the store now.
        counts: What the store holds now (the manifest's counts).
        items_without_row: Items known from events only; they have no features.
        rejected_file: The report of rejected rows, or None.
        seconds: Time the ingest took.
        peak_memory: Largest resident memory of this process so far, bytes.
    """

    store: Path
    tables: dict[str, TableCounts] = field(default_factory=dict)
    changed: bool = False
    generation: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    items_without_row: int = 0
    rejected_file: Path | None = None
    seconds: float = 0.0
    peak_memory: int = 0

    @property
    def events_per_second(self) -> float:
        """Events read per second of the whole ingest."""
        return self.tables["events"].read / self.seconds if "events" in self.tables and self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values."""
        found = dataclasses.asdict(self)
        found["store"], found["rejected_file"] = str(self.store), str(self.rejected_file or "") or None
        return {**found, "events_per_second": self.events_per_second}

    def __str__(self) -> str:
        head = f"{'table':<12}{'read':>12}{'accepted':>12}{'duplicates':>12}{'rejected':>12}  files"
        lines = [head]
        for name, table in self.tables.items():
            files = f"{table.files}" + (
                f" (+{table.unchanged_files} unchanged)" if table.unchanged_files else ""
            )
            lines.append(
                f"{name:<12}{table.read:>12,}{table.accepted:>12,}{table.duplicates:>12,}{table.rejected:>12,}  {files}"
            )
        for name, table in self.tables.items():
            lines += [f"empty file in {name}: {label}" for label in table.empty_files]
            common = sorted(table.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
            lines += [f"rejected in {name}: {count:,} x {reason}" for reason, count in common[:_MOST_REASONS]]
            if len(common) > _MOST_REASONS:
                lines.append(f"rejected in {name}: {len(common) - _MOST_REASONS} more reasons")
        if self.rejected_file:
            lines.append(f"rejected rows: {self.rejected_file}")
        if self.items_without_row:
            lines.append(
                f"{self.items_without_row:,} items appear in events only; they are kept without features"
            )
        holds = ", ".join(f"{self.counts.get(name, 0):,} {name}" for name in ("events", "users", "items"))
        state = "now" if self.changed else "unchanged:"
        lines.append(f"store {self.store} {state} holds {holds} (generation {self.generation})")
        lines.append(
            f"{self.seconds:.1f} s, {self.events_per_second:,.0f} events/s, "
            f"peak memory {self.peak_memory / 2**20:,.0f} MiB"
        )
        return "\n".join(lines)


def peak_memory() -> int:
    """Largest resident memory of this process so far, bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
