"""The platform's public tables, chunk by chunk: memory holds one block of people, whatever the size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from bowerbird.tables.simulate.behaviour.people import COUNTRIES, PLATFORMS
from bowerbird.tables.simulate.behaviour.randomness import REVIEW, open_stream, uniform
from bowerbird.tables.simulate.behaviour.records import Log
from bowerbird.tables.simulate.config import ACTIONS, DAY_MS, SURFACES, SimulationConfig
from bowerbird.tables.simulate.platform import Platform, build_platform
from bowerbird.tables.simulate.world.describe import (
    catalogue_links,
    creator_ids,
    describe_items,
    identity_labels,
    item_ids,
    label_frame,
    link_frame,
)
from bowerbird.tables.simulate.world.language import board_title

Tables = dict[str, pl.DataFrame]
CHUNK_ROWS = 131_072
SLATES_PER_PERSON = 1 << 20
"""request_id = person number * SLATES_PER_PERSON + number of the request."""

_ACTION_LISTS = pl.Series(
    [[a for bit, a in enumerate(ACTIONS) if mask >> bit & 1] for mask in range(1 << len(ACTIONS))],
    dtype=pl.List(pl.String),
)


def stream(n_events: int, seed: int = 0, *, chunk_rows: int = CHUNK_ROWS, **knobs: Any) -> Iterator[Tables]:
    """Chunks of the public tables of a simulated platform.

    The first chunk holds items, links and labels that do not come from behaviour; every other one holds
    users, events (people in order of number, each by time), collections, links and labels of one block of
    people. The rows do not depend on chunk_rows.

    Args: n_events: rows of events over all chunks; seed; chunk_rows: at most this many events a chunk (a
    person with more gets a chunk of their own); knobs: see SimulationConfig. Raises ConfigError for an
    unknown knob or a bad value.
    """
    platform = build_platform(SimulationConfig.of(n_events=n_events, seed=seed, **knobs))
    yield catalogue_tables(platform)
    for numbers in platform.blocks(chunk_rows):
        people = platform.people(numbers)
        yield block_tables(platform, people, platform.run(people))


def catalogue_tables(platform: Platform) -> Tables:
    """Tables that do not come from behaviour: items, links (related, collaborates), labels (identity)."""
    config, creators, catalogue = platform.config, platform.creators, platform.catalogue
    return {
        "items": describe_items(config, platform.language, creators, catalogue),
        "links": catalogue_links(config, creators, catalogue),
        "labels": identity_labels(config, creators),
    }


def block_tables(platform: Platform, people: np.ndarray, log: Log) -> Tables:
    """Tables of one block of people."""
    ids = pl.Series(user_ids(people["number"], platform.config.n_users))
    return {
        "users": _users(people, ids),
        "events": _events(platform, people, log, ids),
        "collections": _collections(platform, people, log, ids),
        "links": _follows(platform, log, ids),
        "labels": _spam_labels(platform, people, ids),
    }


def user_ids(numbers: np.ndarray, n_users: int) -> list[str]:
    """Public ids of person numbers: 'u' and the number, padded so that text order is number order."""
    width = len(str(n_users - 1))
    return [f"u{k:0{width}d}" for k in np.asarray(numbers).tolist()]


def request_ids(people: np.ndarray, log: Log) -> np.ndarray:
    """Public request id of every row, int64[N]."""
    return people["number"][log.rows["person"]] * SLATES_PER_PERSON + log.rows["slate"]


def _users(people: np.ndarray, ids: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": ids,
            "country": [COUNTRIES[k] for k in people["country"].tolist()],
            "platform": [PLATFORMS[k] for k in people["platform"].tolist()],
            "joined_at": people["joined"],
        }
    )


def _events(platform: Platform, people: np.ndarray, log: Log, ids: pl.Series) -> pl.DataFrame:
    items = pl.Series(item_ids(np.arange(platform.config.n_items), platform.config.n_items))
    # Code -1 (no query) takes the null at the end.
    queries = pl.Series([*platform.language.queries, None], dtype=pl.String)
    query = np.where(log.rows["query"] < 0, len(queries) - 1, log.rows["query"])
    return pl.DataFrame(
        {
            "user_id": ids.gather(log.rows["person"]),
            "item_id": items.gather(log.rows["item"]),
            "timestamp": log.rows["time"],
            "surface": pl.Series(SURFACES).gather(log.rows["surface"]),
            "request_id": request_ids(people, log),
            "position": log.rows["position"].astype(np.int16),
            "query": queries.gather(query),
            "actions": _ACTION_LISTS.gather(log.rows["actions"]),
        }
    )


def _collections(platform: Platform, people: np.ndarray, log: Log, ids: pl.Series) -> pl.DataFrame:
    """A save that was kept goes to the person's board about the item's topic."""
    rows = log.keep[: log.written[1]]
    person, item = log.rows["person"][rows], log.rows["item"][rows]
    topic = platform.catalogue.items["topic"][item]
    names = ids.to_list()
    board = [f"b{names[b][1:]}-{k}" for b, k in zip(person.tolist(), topic.tolist(), strict=True)]
    salt = people["number"][person] * 31 + topic
    title = [board_title(platform.language, k, s) for k, s in zip(topic.tolist(), salt.tolist(), strict=True)]
    frame = pl.DataFrame(
        {
            "collection_id": pl.Series(board, dtype=pl.String),
            "item_id": pl.Series(item_ids(item, platform.config.n_items), dtype=pl.String),
            "title": pl.Series(title, dtype=pl.String),
            "user_id": ids.gather(person),
            "timestamp": log.rows["time"][rows],
        }
    )
    # The same item can be saved twice; a board holds it once.
    return frame.unique(["collection_id", "item_id"], keep="first", maintain_order=True)


def _follows(platform: Platform, log: Log, ids: pl.Series) -> pl.DataFrame:
    rows = log.follow[: log.written[2]]
    creators = creator_ids(
        platform.catalogue.items["creator"][log.rows["item"][rows]], platform.config.n_creators
    )
    frame = link_frame(
        "user",
        ids.gather(log.rows["person"][rows]).to_list(),
        "creator",
        creators,
        "follows",
        log.rows["time"][rows],
    )
    return frame.unique(["source_id", "target_id"], keep="first", maintain_order=True)


def _spam_labels(platform: Platform, people: np.ndarray, ids: pl.Series) -> pl.DataFrame:
    """Verdicts on a share of the accounts.

    'spam' a day after the ring's last burst, 'legit' at a random review.
    """
    config, rings = platform.config, platform.rings
    if not len(rings.opened):
        return label_frame("spam", "user", [], [], np.empty(0, np.int64))
    seen = _review_draws(config.seed, people["number"])
    ring = rings.member[people["number"]]
    since = np.maximum(people["joined"], config.start_ms)
    time = np.where(ring >= 0, rings.bursts[ring, -1] + DAY_MS, since + seen[:, 1] * (config.end_ms - since))
    rows = np.flatnonzero(seen[:, 0] < config.label_share)
    labels = ["spam" if ring[r] >= 0 else "legit" for r in rows.tolist()]
    return label_frame("spam", "user", ids.gather(rows).to_list(), labels, time[rows].astype(np.int64))


def _review_draws(seed: int, numbers: np.ndarray) -> np.ndarray:
    state, draws = np.zeros(1, np.uint64), np.empty((len(numbers), 2))
    for row, number in enumerate(numbers.tolist()):
        open_stream(state, seed, number, REVIEW)
        draws[row] = uniform(state), uniform(state)
    return draws
