"""A simulated store on disk, with its truth beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bowerbird.tables.atomic import TEMPORARY, replace_directory
from bowerbird.tables.errors import StoreError
from bowerbird.tables.schema import IdType
from bowerbird.tables.simulate.behaviour.records import Log
from bowerbird.tables.simulate.chunks import (
    CHUNK_ROWS,
    Tables,
    block_tables,
    catalogue_tables,
    request_ids,
    user_ids,
)
from bowerbird.tables.simulate.config import (
    ACTIONS,
    NEGATIVE_ACTIONS,
    SLATE_RULE,
    SURFACES,
    TIE_RULE,
    SimulationConfig,
)
from bowerbird.tables.simulate.platform import Platform, build_platform
from bowerbird.tables.simulate.truth import write_world
from bowerbird.tables.simulate.world.describe import ITEM_ROLES, item_ids
from bowerbird.tables.store import Store
from bowerbird.tables.store.manifest import MANIFEST
from bowerbird.tables.store.writing.normalise import normalise
from bowerbird.tables.store.writing.settings import StoreSettings
from bowerbird.tables.store.writing.writer import StoreWriter

# Users and items come first, so that a simulated store's dense ids are the numbers inside its public ids.
_ORDER = ("users", "items", "events", "collections", "links", "labels")
_ID_TYPES: dict[str, IdType] = {"user": "string", "item": "string"}


def simulate(
    path: str | Path,
    n_events: int,
    seed: int = 0,
    *,
    chunk_rows: int = CHUNK_ROWS,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
    **knobs: Any,
) -> Store:
    """Write a simulated platform as a store, with a folder `truth` inside it (see `Truth`).

    Memory holds one block of people and one number per person, whatever n_events. The manifest's config
    holds every knob under "simulation". Dense users and items of the store are the numbers of the truth.

    Args:
        path: folder of the store.
        n_events: rows of events, 10^3 to 10^7.
        seed: equal seeds and knobs give equal stores.
        chunk_rows: about how many events are made at a time; changes nothing in the store.
        overwrite: replace a store that is already there.
        progress: called with the number of events written so far.
        knobs: see SimulationConfig.

    Returns: the store, opened.

    Raises ConfigError for an unknown knob or a bad value, StoreError where a store is there already.
    """
    config = SimulationConfig.of(n_events=n_events, seed=seed, **knobs)
    folder = Path(path)
    if (folder / MANIFEST).exists() and not overwrite:
        raise StoreError(f"{folder} is a store already; pass overwrite=True to replace it")
    settings = StoreSettings(
        dataset=f"simulated-{n_events}-seed{seed}",
        actions=ACTIONS,
        negative_actions=NEGATIVE_ACTIONS,
        item_roles={k: v for k, v in ITEM_ROLES.items() if k != "content" or config.vector_size},
        slate_rule=SLATE_RULE,
        tie_rule=TIE_RULE,
        expected_events=n_events,
        config={"simulation": json.loads(config.to_json())},
    )
    platform = build_platform(config)
    with StoreWriter(folder, settings, _ID_TYPES, fresh=True) as writer:
        truth = folder / f"{TEMPORARY}truth"
        shutil.rmtree(truth, ignore_errors=True)
        truth.mkdir()
        all_people = write_world(truth, platform)
        _add(writer, catalogue_tables(platform))
        done = 0
        for block, numbers in enumerate(platform.blocks(chunk_rows)):
            people = platform.people(numbers)
            log = platform.run(people)
            _add(writer, block_tables(platform, people, log))
            all_people[numbers] = people
            _write_behaviour(truth, block, platform, people, log)
            done += len(log.rows)
            if progress:
                progress(done)
        all_people.flush()
        writer.commit()
        replace_directory(truth, folder / "truth")
    return Store.open(folder)


def _add(writer: StoreWriter, tables: Tables) -> None:
    for name in _ORDER:
        if name in tables:
            rows = normalise(name, tables[name], _ID_TYPES)
            if name == "events":
                writer.add_events(rows)
            else:
                writer.add_rows(name, rows)


def _write_behaviour(truth: Path, block: int, platform: Platform, people: np.ndarray, log: Log) -> None:
    """One block's requests and propensities (see Truth.requests and Truth.propensities)."""
    config, rows = platform.config, log.rows
    request, person = request_ids(people, log), pl.Series(user_ids(people["number"], config.n_users))
    items = pl.Series([*item_ids(np.arange(config.n_items), config.n_items), None], dtype=pl.String)
    first = np.flatnonzero(rows["position"] == 0)
    head = rows[first]
    pl.DataFrame(
        {
            "request_id": request[first],
            "user_id": person.gather(head["person"]),
            "timestamp": head["time"],
            "surface": pl.Series(SURFACES).gather(head["surface"]),
            "moment": pl.Series(head["moment"]),
            "context_item_id": items.gather(np.where(head["context"] < 0, config.n_items, head["context"])),
        }
    ).with_columns(pl.when(pl.col("moment") >= 0).then("moment")).write_parquet(
        truth / "requests" / f"part-{block:05d}.parquet"
    )
    pl.DataFrame(
        {
            "request_id": request,
            "user_id": person.gather(rows["person"]),
            "item_id": items.gather(rows["item"]),
            "position": rows["position"].astype(np.int16),
            "propensity": pl.Series(rows["propensity"]).fill_nan(None),
        }
    ).write_parquet(truth / "propensities" / f"part-{block:05d}.parquet")
