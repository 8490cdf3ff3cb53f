"""The manifest: the one small file that says which files make up the store. Replacing it is the commit."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bowerbird.tables.atomic import write_atomic
from bowerbird.tables.errors import StoreError
from bowerbird.tables.schema import SCHEMA_VERSION, TIE_RULES, IdType

MANIFEST = "manifest.json"
FORMAT = "bowerbird-store"


@dataclass(frozen=True)
class Part:
    """One immutable Parquet file of one bucket of one table.

    Attributes:
        bucket: Number of the bucket.
        file: Path inside the store.
        rows: Number of rows.
        requests: Number of distinct slates in it (events only).
        content: Hash of the rows in raw ids, independent of dense ids and of how the rows arrived.
    """

    bucket: int
    file: str
    rows: int
    requests: int = 0
    content: str = ""


@dataclass(frozen=True)
class Source:
    """A file that was read: its table, and a hash of its bytes and of the settings it was read with."""

    table: str
    name: str
    bytes: int
    content: str
    settings: str
    rows: int


@dataclass(frozen=True)
class Manifest:
    """What a store holds.

    Attributes:
        schema_version: Version of this layout.
        generation: Counts commits; files carry the generation that wrote them.
        dataset: Name shown in reports.
        counts: Rows of each table, plus `users`, `items`, `slates`.
        content_hash: Fingerprint of all rows in raw ids: equal data gives an equal hash, however it arrived.
        content_hashes: The same for each table.
        id_types: `"integer"` or `"string"` for `user` and `item`.
        buckets: Number of buckets of each table (events: by dense user); fixed when the table is made.
        actions: Action names; bit `b` of an event's mask is `actions[b]`.
        closed_actions: Whether the list was declared, so that no further action is added.
        negative_actions: Actions that do not make an event positive (hide, hate, ...).
        slate_rule: How slates were cut, printed in every report.
        tie_rule: Key of `TIE_RULES`: the order of a user's events with equal timestamps.
        item_roles: Role of each feature column of the item table.
        title_column: The item column shown to people, or None.
        time_range: First and last event time in ms UTC, or None in a store without events.
        parts: Live files of each table.
        vocabularies: File and size of each vocabulary.
        columns: Folder of the flat event columns, or None in a store without events.
        sources: Files already ingested.
        rejected: File with the rows refused by the ingest that wrote this generation, or None.
        config: Settings of that ingest.
    """

    schema_version: int = SCHEMA_VERSION
    generation: int = 0
    dataset: str = "unnamed"
    counts: dict[str, int] = field(default_factory=dict)
    content_hash: str = ""
    content_hashes: dict[str, str] = field(default_factory=dict)
    id_types: dict[str, IdType] = field(default_factory=dict)
    buckets: dict[str, int] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    closed_actions: bool = False
    negative_actions: list[str] = field(default_factory=list)
    slate_rule: str = ""
    tie_rule: str = "input"
    item_roles: dict[str, str] = field(default_factory=dict)
    title_column: str | None = None
    time_range: tuple[int, int] | None = None
    parts: dict[str, list[Part]] = field(default_factory=dict)
    vocabularies: dict[str, dict[str, Any]] = field(default_factory=dict)
    columns: str | None = None
    sources: list[Source] = field(default_factory=list)
    rejected: str | None = None
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def tie_rule_text(self) -> str:
        """The tie rule as a sentence for reports."""
        return TIE_RULES[self.tie_rule]

    def to_bytes(self) -> bytes:
        """The JSON text of the manifest; equal manifests give equal bytes."""
        return (
            json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1, ensure_ascii=False).encode()
            + b"\n"
        )

    def write(self, store: Path) -> None:
        """Commits: replaces the manifest of `store` in one step."""
        write_atomic(store / MANIFEST, self.to_bytes())

    @classmethod
    def read(cls, store: Path) -> Manifest:
        """Reads the manifest of a store.

        Raises:
            StoreError: There is no complete store at this path, or it needs a newer version of this program.
        """
        path = store / MANIFEST
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            where = (
                "holds no finished store (an ingest may have been cut off)"
                if store.is_dir()
                else "does not exist"
            )
            raise StoreError(f"{store} {where}; make one with `bowerbird ingest`") from error
        except ValueError as error:
            raise StoreError(
                f"{path} is not readable ({error}); restore it from a copy or ingest again"
            ) from error
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise StoreError(f"{path} is not the manifest of a Bowerbird store")
        if found["schema_version"] != SCHEMA_VERSION:
            raise StoreError(
                f"{store} has store version {found['schema_version']}, this program reads {SCHEMA_VERSION}; "
                "ingest again"
            )
        found["parts"] = {table: [Part(**part) for part in parts] for table, parts in found["parts"].items()}
        found["sources"] = [Source(**source) for source in found["sources"]]
        found["time_range"] = tuple(found["time_range"]) if found["time_range"] else None
        return cls(**found)

    @classmethod
    def read_or_none(cls, store: Path) -> Manifest | None:
        """The manifest of `store`, or None where none was committed yet."""
        return cls.read(store) if (store / MANIFEST).exists() else None

    def files(self) -> set[str]:
        """Every file this manifest relies on, as paths inside the store; folders end with `/`."""
        live = {part.file for parts in self.parts.values() for part in parts}
        live |= {str(entry["file"]) for entry in self.vocabularies.values()}
        if self.columns:
            live.add(f"{self.columns}/")
        if self.rejected:
            live.add(self.rejected)
        return live
