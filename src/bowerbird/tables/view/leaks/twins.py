"""Counterfactual twins: the same store up to a wall, another world beyond it.

A twin keeps every row before the wall at its place, with the same dense ids, so that even a read that holds
row numbers must answer alike; beyond the wall rows vanish, change or are added. Twins live in memory: about
45 bytes an event.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.view.leaks.noise import noisy_items, noisy_table
from bowerbird.tables.view.rows.source import EVENT_COLUMNS, EventSource, positive_mask, ranges
from bowerbird.tables.view.view import View
from bowerbird.tables.view.walls import LastOut, TimeWall

if TYPE_CHECKING:
    import polars as pl

    from bowerbird.tables.store import EventColumns, ItemTable, Manifest, Vocabulary

Kind = Literal["dropped", "scrambled", "crowded"]
KINDS: tuple[Kind, ...] = ("dropped", "scrambled", "crowded")
"""dropped: nothing happens beyond the wall. scrambled: as much happens, but other things. crowded: the future
is one item's, and users and rows are added."""


@dataclass(eq=False)
class Twin:
    """A store-like object over other events, items and side tables; ids and manifest are those of the "
    "original."""

    manifest: Manifest
    n_users: int
    n_items: int
    events: EventColumns
    users: Vocabulary
    items: Vocabulary
    surfaces: Vocabulary
    actions: Vocabulary
    queries: Vocabulary
    item_table: ItemTable
    source: EventSource = field(repr=False)
    kind: Kind
    end: int
    seed: int

    def table(self, name: str) -> pl.LazyFrame:
        """A side table whose rows dated beyond the wall are another world's."""
        rng = np.random.default_rng([self.seed, len(name)])
        return noisy_table(self.source.table(name).collect(), self.kind, self.end, rng).lazy()


def make_twin(store: EventSource, wall: TimeWall | LastOut, kind: Kind, seed: int) -> Twin:
    """A twin of a store that agrees with it before the wall.

    A `LastOut` wall is found from each user's last positives, so beyond it a twin keeps their number: rows
    that are not positive may vanish or come, positive ones only change.

    Args:
        store: The store.
        wall: Where the worlds part.
        kind: What happens beyond; see `KINDS`.
        seed: Another seed, another world.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    view = View(store, wall)
    end = view.end_time
    return Twin(
        manifest=store.manifest,
        n_users=store.n_users,
        n_items=store.n_items,
        events=_events(store, wall, kind, np.asarray(view.visible), rng),
        users=store.users,
        items=store.items,
        surfaces=store.surfaces,
        actions=store.actions,
        queries=store.queries,
        item_table=noisy_items(store.item_table, kind, end, rng),
        source=store,
        kind=kind,
        end=end,
        seed=seed,
    )


def _events(
    store: EventSource, wall: TimeWall | LastOut, kind: Kind, visible: NDArray[np.int64], rng: np.random.Generator
) -> EventColumns:
    start = np.array(store.events.user_start, np.int64)
    count = np.array(store.events.user_count, np.int64)
    columns: dict[str, NDArray[Any]] = {name: np.array(getattr(store.events, name)) for name in EVENT_COLUMNS}
    tail = count - visible
    if kind == "crowded":
        start, count, tail = _grow(columns, start, count, tail, wall, rng)
    rows = ranges(start + visible, tail)
    user = np.repeat(np.arange(len(tail), dtype=np.int32), tail)
    positive = (columns["actions"][rows] & np.uint32(positive_mask(store))) != 0
    if kind == "dropped" and isinstance(wall, LastOut):
        # Positive rows of each tail move to its front; the rest falls off the end.
        order = np.lexsort((~positive, user))
        for name, column in columns.items():
            columns[name][rows] = column[rows][order]
        count = visible + np.bincount(user[positive], minlength=len(count))
        positive = positive[order]
    elif kind == "dropped":
        count = visible.copy()
    _scramble(store, columns, rows, user, positive, wall, kind, rng)
    first = np.array(
        columns["time"][np.minimum(start + np.maximum(visible - 1, 0), len(columns["time"]) - 1)]
    )
    _redate(columns["time"], rows, user, wall, np.where(visible > 0, first, 0), rng)
    return dataclasses.replace(store.events, user_start=start, user_count=count, **columns)


def _grow(
    columns: dict[str, NDArray[Any]],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    tail: NDArray[np.int64],
    wall: TimeWall | LastOut,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Room at the end of the columns: a longer last block, and rows for users who had none."""
    held = np.flatnonzero(count > 0)
    last = held[np.argmax(start[held])]
    empty = np.flatnonzero(count == 0)
    k = wall.k if isinstance(wall, LastOut) else 3
    extra_last = int(rng.integers(1, 4))
    n_rows = len(columns["time"])
    new = {name: np.zeros(extra_last + k * len(empty), column.dtype) for name, column in columns.items()}
    new["user"][:] = np.concatenate([np.full(extra_last, last), np.repeat(empty, k)])
    new["request"][:] = -1
    new["position"][:] = -1
    new["query"][:] = -1
    new["weight"][:] = 1
    new["actions"][extra_last:] = np.uint32(0xFFFFFFFF)  # positive whatever is negative; scrambled below
    for name in columns:
        columns[name] = np.concatenate([columns[name], new[name]])
    start, count, tail = start.copy(), count.copy(), tail.copy()
    count[last] += extra_last
    tail[last] += extra_last
    start[empty] = n_rows + extra_last + np.arange(len(empty)) * k
    count[empty] = tail[empty] = k
    return start, count, tail


def _scramble(
    store: EventSource,
    columns: dict[str, NDArray[Any]],
    rows: NDArray[np.int64],
    user: NDArray[np.int32],
    positive: NDArray[np.bool_],
    wall: TimeWall | LastOut,
    kind: Kind,
    rng: np.random.Generator,
) -> None:
    """Other items, actions, slates, surfaces, queries and weights in the rows beyond the wall."""
    n = len(rows)
    hit = int(rng.integers(store.n_items))
    columns["item"][rows] = hit if kind == "crowded" else rng.integers(0, store.n_items, n)
    columns["actions"][rows] = _masks(store, n, positive if isinstance(wall, LastOut) else None, rng)
    if not isinstance(wall, LastOut):  # a hidden surface would change which positives LastOut counts
        columns["surface"][rows] = rng.integers(0, max(len(store.surfaces), 1), n)
    if len(store.queries):
        columns["query"][rows] = rng.integers(-1, len(store.queries), n)
    columns["position"][rows] = rng.integers(-1, 20, n)
    columns["weight"][rows] = rng.random(n) * 3
    # Some rows fall into the user's last slate before the wall, others begin new slates.
    before = np.maximum(rows - np.arange(n) + np.searchsorted(user, user) - 1, 0)
    same_user = columns["user"][before] == user
    joins = same_user & (rng.random(n) < 0.3)
    fresh = int(columns["request"].max(initial=0)) + 1 + rng.integers(0, max(n, 1), n)
    columns["request"][rows] = np.where(joins, columns["request"][before], fresh)


def _masks(
    store: EventSource, n: int, positive: NDArray[np.bool_] | None, rng: np.random.Generator
) -> NDArray[np.uint32]:
    """Random action masks; where `positive` is given, positive stays positive."""
    n_actions = len(store.actions)
    if not n_actions:
        return np.zeros(n, np.uint32)
    mask = rng.integers(0, 1 << n_actions, n).astype(np.uint32)
    if positive is None:
        return mask
    wanted = positive_mask(store)
    bits = np.array([1 << b for b in range(n_actions) if wanted >> b & 1], np.uint32)
    sure = bits[rng.integers(0, len(bits), n)] if len(bits) else np.zeros(n, np.uint32)
    return np.where(positive, mask | sure, mask & np.uint32(0xFFFFFFFF ^ wanted)).astype(np.uint32)


def _redate(
    time: NDArray[np.int64],
    rows: NDArray[np.int64],
    user: NDArray[np.int32],
    wall: TimeWall | LastOut,
    last_U: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """New times beyond the wall, ascending inside each user. `last_U`: each user's last time before the "
    "wall."""
    if not len(rows):
        return
    floor = last_U[user] + 1 if isinstance(wall, LastOut) else np.full(len(rows), wall.before, np.int64)
    known = time[rows]
    span = max(int(known.max() - floor.min()), 1)
    moved = floor + rng.integers(0, span, len(rows))
    time[rows] = moved[np.lexsort((moved, user))]
