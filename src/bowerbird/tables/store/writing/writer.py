"""The only way into a store: rows are collected, merged bucket by bucket, and committed by one rename."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType

import numpy as np
import polars as pl

from bowerbird.tables.atomic import TEMPORARY, WriterLock
from bowerbird.tables.errors import TableError, did_you_mean
from bowerbird.tables.schema import DEFAULT_SURFACE, JOINT, MAX_ACTIONS, TABLES, Columns, IdType
from bowerbird.tables.store.keys import stable_keys
from bowerbird.tables.store.manifest import Manifest, Source
from bowerbird.tables.store.vocabulary import Vocabulary
from bowerbird.tables.store.writing.commit import CommitResult, commit
from bowerbird.tables.store.writing.growing import GrowingVocabulary
from bowerbird.tables.store.writing.settings import (
    StoreSettings,
    bucket_count,
    resolve_actions,
    resolve_tie_rule,
)
from bowerbird.tables.store.writing.spill import EVENT_DTYPE, EventSpill, RowSpill

_SLOTS = 65536
_MOST_SURFACES = 32767
LOCK = "writer.lock"


class StoreWriter:
    """Collects rows and commits them. Use as a context manager: leaving it without `commit` changes nothing.

    Args:
        path: Folder of the store; made where missing.
        settings: What the store says about itself.
        id_types: Types of the `user` and `item` ids; must be what the store has already.
        fresh: Start empty; the commit then replaces what is there.

    Raises:
        StoreError: Another writer is busy with this store.
        ConfigError: Settings that are wrong or contradict the store.
    """

    def __init__(
        self, path: Path, settings: StoreSettings, id_types: dict[str, IdType], *, fresh: bool = False
    ) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path, self.settings = path, settings
        self._lock = WriterLock(path / LOCK)
        try:
            self.live = Manifest.read_or_none(path)
            sweep(path, self.live)
            self.generation = self.live.generation + 1 if self.live else 1
            self.previous = self.live if not fresh else None
            self.tie_rule = resolve_tie_rule(settings, self.previous)
            self.actions, self.closed_actions = resolve_actions(settings, self.previous)
            self.id_types: dict[str, IdType] = dict(id_types)
            self.vocabularies = self._open_vocabularies()
        except BaseException:
            self._lock.release()
            raise
        self.buckets = dict(self.previous.buckets) if self.previous else {}
        self.buckets.setdefault("events", bucket_count(settings.expected_events))
        self._spill_folder = path / f"{TEMPORARY}spill"
        self.events = EventSpill(self._spill_folder, self.buckets["events"])
        self.rows: dict[str, RowSpill] = {}
        self.sources: list[Source] = list(self.previous.sources) if self.previous else []
        self.rejected = self.previous.rejected if self.previous else None

    def _open_vocabularies(self) -> dict[str, GrowingVocabulary]:
        kinds: dict[str, IdType] = {
            "users": self.id_types.get("user", "string"),
            "items": self.id_types.get("item", "string"),
            "surfaces": "string",
            "queries": "string",
            "creators": "string",
        }
        known = self.previous.vocabularies if self.previous else {}
        return {
            name: GrowingVocabulary(
                name, kind, Vocabulary.open(self.path / known[name]["file"]) if name in known else None
            )
            for name, kind in kinds.items()
        }

    def add_events(self, frame: pl.DataFrame) -> None:
        """Takes events in normal form (see `normalise`).

        Raises:
            TableError: More actions than a store holds, or an action outside a declared list.
        """
        columns = frame.columns
        rows = np.empty(frame.height, dtype=EVENT_DTYPE)
        rows["user"] = self.vocabularies["users"].encode(frame[Columns.USER])
        rows["item"] = self.vocabularies["items"].encode(frame[Columns.ITEM])
        rows["time"] = frame[Columns.TIMESTAMP].to_numpy()
        rows["actions"] = self.action_masks(frame[Columns.ACTIONS]) if Columns.ACTIONS in columns else 0
        rows["request_key"] = stable_keys(frame[Columns.REQUEST]) if Columns.REQUEST in columns else 0
        rows["position"] = (
            frame[Columns.POSITION].fill_null(-1).to_numpy() if Columns.POSITION in columns else -1
        )
        rows["weight"] = frame[Columns.WEIGHT].fill_null(1.0).to_numpy() if Columns.WEIGHT in columns else 1.0
        rows["query"] = (
            self.vocabularies["queries"].encode(frame[Columns.QUERY]) if Columns.QUERY in columns else -1
        )
        surfaces = self.vocabularies["surfaces"]
        if Columns.SURFACE in columns:
            rows["surface"] = surfaces.encode(frame[Columns.SURFACE].fill_null(DEFAULT_SURFACE))
        elif frame.height:
            rows["surface"] = surfaces.encode(pl.Series([DEFAULT_SURFACE]))[0]
        if len(surfaces) > _MOST_SURFACES:
            raise TableError(
                f"more than {_MOST_SURFACES} different surfaces",
                table="events",
                column=Columns.SURFACE,
                fix="map a column with few values (where an item was shown), or leave it out",
            )
        self.events.add(rows)

    def action_masks(self, actions: pl.Series) -> np.ndarray:
        """uint32 (n,) bit masks of lists of action names (or names joined by `JOINT`); new names get the next bit.

        An empty list or null is no action.
        """
        joined = (actions if actions.dtype == pl.String else actions.list.join(JOINT)).fill_null("")
        distinct = joined.unique(maintain_order=True)
        masks = [self._mask(text) for text in distinct.to_list()]
        if len(masks) == 1:
            return np.full(len(actions), masks[0], dtype=np.uint32)
        return joined.replace_strict(
            distinct, pl.Series(masks, dtype=pl.UInt32), return_dtype=pl.UInt32
        ).to_numpy()

    def _mask(self, joined: str) -> int:
        mask = 0
        for name in joined.split(JOINT) if joined else ():
            if not name:
                continue
            if name not in self.actions:
                if self.closed_actions:
                    raise TableError(
                        "action is not declared",
                        table="events",
                        column=Columns.ACTIONS,
                        value=name,
                        fix=did_you_mean(name, self.actions),
                    )
                if len(self.actions) == MAX_ACTIONS:
                    raise TableError(
                        f"more than {MAX_ACTIONS} different actions",
                        table="events",
                        column=Columns.ACTIONS,
                        value=name,
                        fix="declare the actions that matter and let the others be ignored",
                    )
                self.actions.append(name)
            mask |= 1 << self.actions.index(name)
        return mask

    def add_rows(self, table: str, frame: pl.DataFrame) -> None:
        """Takes rows of `items` or a side table in normal form (see `normalise`)."""
        if table == "items":
            self.vocabularies["items"].encode(frame[Columns.ITEM])
            if Columns.CREATOR in frame.columns:
                self.vocabularies["creators"].encode(frame[Columns.CREATOR].cast(pl.String))
        elif table == "users":
            self.vocabularies["users"].encode(frame[Columns.USER])
        spill = self.rows.setdefault(table, RowSpill(self._spill_folder, table))
        spill.add(frame, (stable_keys(frame[TABLES[table].key[0]]) % np.uint64(_SLOTS)).astype(np.uint16))

    def commit(self) -> CommitResult:
        """Makes the rows part of the store. Afterwards the writer is closed.

        Where nothing changed nothing is written and the manifest of before is returned.
        """
        result = commit(self)
        self.close()
        return result

    def close(self) -> None:
        """Drops whatever was not committed and lets the next writer in; harmless when called twice."""
        shutil.rmtree(self._spill_folder, ignore_errors=True)
        self._lock.release()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sweep(path: Path, live: Manifest | None) -> None:
    """Deletes what no manifest relies on: leftovers of writers that died, and files of older generations.

    Reports of rejected rows stay.

    Args:
        path: Folder of the store; the caller holds its lock.
        live: The committed manifest, or None.
    """
    keep = live.files() if live else set()
    for found in path.glob(f"{TEMPORARY}*"):
        _delete(found)
    for folder in ("tables/*/*", "vocabulary", "columns", "rejected"):
        for parent in path.glob(folder):
            for found in parent.iterdir():
                name = found.relative_to(path).as_posix()
                finished = folder == "rejected" and not found.name.startswith(TEMPORARY)
                if name not in keep and f"{name}/" not in keep and not finished:
                    _delete(found)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
