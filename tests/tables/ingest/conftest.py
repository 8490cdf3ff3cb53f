"""A folder with files and a configuration, ready to ingest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bowerbird.tables.ingest import IngestSummary, ingest, parse_config
from bowerbird.tables.store import Store

EVENTS = {"user_id": "user", "item_id": "item", "timestamp": "time"}


@dataclass
class Workspace:
    """A person's folder.

    Attributes:
        folder: The folder.
        config: What the TOML would hold; `events` reads `events.csv`, `items` reads `items.csv`.
    """

    folder: Path
    config: dict[str, Any]

    def write(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def events(self, rows: str | bytes, header: str = "user,item,time") -> None:
        self.write("events.csv", header.encode() + b"\n" + (rows.encode() if isinstance(rows, str) else rows))

    def ingest(self, **changes: Any) -> IngestSummary:
        config = parse_config({**self.config, **changes}, folder=self.folder, where="bowerbird.toml")
        summary = ingest(config, self.folder / "store")
        for counts in summary.tables.values():
            assert counts.read == counts.accepted + counts.duplicates + counts.rejected
            assert sum(counts.reasons.values()) == counts.rejected
        return summary

    @property
    def store(self) -> Store:
        return Store.open(self.folder / "store")

    def rejected(self) -> list[dict[str, Any]]:
        (path,) = (self.folder / "store" / "rejected").glob("*.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def rows(self) -> list[tuple[Any, Any, int]]:
        """User, item and time of every event, sorted."""
        store = self.store
        users, items = store.users.decode(store.events.user), store.items.decode(store.events.item)
        return sorted(zip(users, items, store.events.time.tolist(), strict=True))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(
        tmp_path,
        {
            "max_rejected_share": 1.0,
            "events": {"files": "events.csv", "columns": EVENTS},
            "items": {"files": "items.csv", "columns": {"item_id": "id"}},
        },
    )
    found.write("items.csv", "id,title\na,One bird\nb,Two birds\n")
    return found
