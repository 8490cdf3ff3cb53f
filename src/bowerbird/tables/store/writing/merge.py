"""Merging the events of one bucket: order, duplicates, slate numbers, content hash.

Shape legend: N rows of the bucket.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from bowerbird.tables.store.keys import mix
from bowerbird.tables.store.writing.spill import EVENT_DTYPE, gather


@dataclass(frozen=True)
class RawKeys:
    """Stable keys of raw values by dense code; -1 indexes the last entry, which stands for "none".

    Attributes:
        user, item, surface, query: uint64 (size + 1,).
        action: uint64 (actions,) keys of the action names in bit order.
    """

    user: np.ndarray
    item: np.ndarray
    surface: np.ndarray
    query: np.ndarray
    action: np.ndarray


def merge_bucket(old: np.ndarray, new: np.ndarray, tie_rule: str) -> np.ndarray:
    """The rows of a bucket after new rows arrive: sorted, exact duplicates dropped (the first one stays).

    Two events are duplicates when every column is equal (`TABLES["events"].key`).

    Args:
        old: `EVENT_DTYPE` (n,) rows already stored, in stored order.
        new: `EVENT_DTYPE` (m,) rows in order of arrival.
        tie_rule: Key of `TIE_RULES`.

    Returns:
        `EVENT_DTYPE` (N,) sorted by user, time, tie rule.
    """
    rows = np.concatenate([old, new]) if len(old) else new
    ties: tuple[np.ndarray, ...] = ()
    if tie_rule == "item":
        ties = (rows["item"],)
    elif tie_rule == "slate":
        ties = (rows["position"], _first_seen(rows))
    rows = gather(rows, _order(rows, ties))
    repeated = _repeated(rows)
    return rows[~repeated] if repeated.any() else rows


def _order(rows: np.ndarray, ties: tuple[np.ndarray, ...]) -> np.ndarray:
    """Order by user, time, `ties` (least important first), arrival."""
    user, time = rows["user"], rows["time"]
    if not ties and len(rows):
        span = int(time.max()) - int(time.min())
        bits = span.bit_length()
        if bits + int(user.max()).bit_length() <= 64:
            # One key for both: about twice as fast as sorting by two columns.
            key = (user.astype(np.uint64) << np.uint64(bits)) | (time - time.min()).astype(np.uint64)
            return np.argsort(key, kind="stable")
    return np.lexsort((*ties, time, user))


def _first_seen(rows: np.ndarray) -> np.ndarray:
    """int64 (N,): the first row with this row's user, time and request, so that a slate's rows sort together.

    Independent of the values of request ids; rows without a slate stand for themselves.
    """
    keys = mix(_slate_keys(rows) ^ rows["time"].astype(np.uint64))
    alone = rows["request_key"] == 0
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    seen = first[inverse]
    seen[alone] = np.flatnonzero(alone)
    return seen


def _slate_keys(rows: np.ndarray) -> np.ndarray:
    """uint64 (N,): a key for (user, request); a request id used by two users names two slates."""
    # Mixed twice: request keys of small integers are `mix` values themselves, and one round would make
    # (user 3, request 5) equal to (user 5, request 3).
    return mix(mix(rows["user"].astype(np.uint64))) ^ rows["request_key"]


def _repeated(rows: np.ndarray) -> np.ndarray:
    """bool (N,): whether an equal row stands earlier. Rows must be sorted by user and time."""
    repeated = np.zeros(len(rows), dtype=bool)
    if len(rows) < 2:
        return repeated
    same = (rows["user"][1:] == rows["user"][:-1]) & (rows["time"][1:] == rows["time"][:-1])
    if not same.any():
        return repeated
    tied = np.concatenate([[False], same]) | np.concatenate([same, [False]])
    candidates = np.flatnonzero(tied)
    candidates = candidates[_shared(_row_keys(gather(rows, candidates)))]
    if len(candidates):
        subset = rows[candidates]
        frame = pl.DataFrame({name: subset[name] for name in EVENT_DTYPE.names or ()})
        first = frame.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
        repeated[candidates[~first]] = True
    return repeated


def _row_keys(rows: np.ndarray) -> np.ndarray:
    """uint64 (N,): a key of all bytes of a row; only rows that share one are compared in full."""
    words = rows.view(np.uint64).reshape(len(rows), -1)
    keys = mix(words[:, 0])
    for column in range(1, words.shape[1]):
        keys = mix(keys ^ words[:, column])
    return keys


def _shared(keys: np.ndarray) -> np.ndarray:
    """bool (N,): whether another place has the same key."""
    order = np.argsort(keys)
    same = keys[order[1:]] == keys[order[:-1]]
    shared = np.zeros(len(keys), dtype=bool)
    shared[order] = np.concatenate([[False], same]) | np.concatenate([same, [False]])
    return shared


def number_slates(rows: np.ndarray, start: int) -> tuple[np.ndarray, int]:
    """Dense slate numbers in order of first appearance.

    Args:
        rows: `EVENT_DTYPE` (N,).
        start: First number to give.

    Returns:
        int32 (N,), -1 where a row has no request; and how many slates there are.
    """
    numbers = np.full(len(rows), -1, dtype=np.int32)
    inside = np.flatnonzero(rows["request_key"])
    if not len(inside):
        return numbers, 0
    _, first, inverse = np.unique(_slate_keys(rows[inside]), return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbers[inside] = rank[inverse] + start
    return numbers, len(first)


def content_of(rows: np.ndarray, keys: RawKeys) -> str:
    """Hash of the rows in raw ids and of their order within each user.

    Args:
        rows: `EVENT_DTYPE` (N,) of one bucket, merged.
        keys: Raw keys of the vocabularies.

    Returns:
        16 hexadecimal digits. A sum over rows modulo 2^64, so it does not depend on dense ids.
    """
    total = 0
    for start in range(0, len(rows), 1 << 16):  # chunks that fit the cache
        total = (total + _content_chunk(rows, keys, start, start + (1 << 16))) % 2**64
    return f"{total:016x}"


def _content_chunk(rows: np.ndarray, keys: RawKeys, start: int, end: int) -> int:
    chunk = rows[start:end]
    user = chunk["user"]
    # Rank within the user: the row number minus the first row of the user.
    first = np.searchsorted(rows["user"], user[0], side="left")
    change = np.concatenate([[0], np.flatnonzero(user[1:] != user[:-1]) + 1])
    begin = change + start
    begin[0] = first
    rank = np.arange(start, start + len(chunk)) - np.repeat(begin, np.diff(np.append(change, len(chunk))))
    hashed = mix(keys.user[user])
    for value in (
        rank.astype(np.uint64),
        keys.item[chunk["item"]],
        chunk["time"].astype(np.uint64),
        chunk["request_key"],
        _action_keys(chunk["actions"], keys.action),
        keys.query[chunk["query"]],
        keys.surface[chunk["surface"]],
        chunk["position"].astype(np.uint64),
        np.ascontiguousarray(chunk["weight"]).view(np.uint32).astype(np.uint64),
    ):
        hashed = mix(hashed ^ value)
    return int(hashed.sum(dtype=np.uint64))


def _action_keys(masks: np.ndarray, bit_keys: np.ndarray) -> np.ndarray:
    """uint64 (N,): XOR of the keys of the set actions, independent of the order of the bits."""
    found, inverse = np.unique(masks, return_inverse=True)
    keys = np.zeros(len(found), dtype=np.uint64)
    for bit, key in enumerate(bit_keys):
        keys[(found >> np.uint32(bit)) & np.uint32(1) == 1] ^= key
    return keys[inverse]
