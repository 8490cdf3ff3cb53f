"""Which future events each position is trained to predict: next item, time offsets, relaxed feeds (A2.3, A3.3).

Everything here is numpy on one padded batch of windows and runs on the batch-building thread.

Shapes: B windows, N positions, A anchors, P predictions (an anchor with one set of conditions), T targets of a
prediction (only relaxation has more than one; padded with -1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_FIRST_EDGES_S = (0.0, 30.0, 60.0, 180.0)
_LAST_EDGE_S = 7 * 86_400.0


def offset_edges(buckets: int) -> np.ndarray:
    """Lower edges, in seconds, of the time-offset buckets: now, 30 s, 1 min, 3 min, then log-spaced to 7 days.

    Args:
        buckets: how many; 1 means a single bucket that holds everything.

    Returns:
        float64 (buckets,), strictly increasing, starting at 0. Source: A2.3.
    """
    if buckets <= len(_FIRST_EDGES_S):
        return np.array(_FIRST_EDGES_S[:buckets])
    tail = np.geomspace(_FIRST_EDGES_S[-1], _LAST_EDGE_S, buckets - len(_FIRST_EDGES_S) + 1)[1:]
    return np.concatenate([_FIRST_EDGES_S, tail])


def offset_bucket(gap_ms: np.ndarray, edges_s: np.ndarray) -> np.ndarray:
    """Bucket of each time gap (int64 ms, negative gaps count as 0); int64 in [0, len(edges_s))."""
    gap_s = np.maximum(gap_ms, 0) / 1000.0
    return np.searchsorted(edges_s, gap_s, side="right") - 1


@dataclass(frozen=True)
class Windows:
    """A padded batch of history windows, oldest first; position t predicts positions after t.

    Attributes:
        item, action, surface, request: int64 (B, N); action and surface are head codes with 0 = unspecified.
        deeds: int64 (B, N), everything done as a mask over the store's actions.
        time: int64 ms (B, N).
        lengths: int64 (B,).
        event: bool (B, N), where an event stands; elsewhere are mentions, which are read and never predicted.
    """

    item: np.ndarray
    time: np.ndarray
    action: np.ndarray
    deeds: np.ndarray
    surface: np.ndarray
    request: np.ndarray
    lengths: np.ndarray
    event: np.ndarray

    @cached_property
    def following(self) -> np.ndarray:
        """int64 (B, N): the first event behind each position, N where there is none."""
        n = self.event.shape[1]
        place_BN = np.where(self.event, np.arange(n), n)
        nearest_BN = np.minimum.accumulate(place_BN[:, ::-1], axis=1)[:, ::-1]
        return np.concatenate([nearest_BN[:, 1:], np.full((len(place_BN), 1), n)], axis=1)

    @property
    def last_event(self) -> np.ndarray:
        """int64 (B,): position of the last event, -1 where there is none."""
        n = self.event.shape[1]
        last: np.ndarray = np.where(self.event, np.arange(n), -1).max(axis=1)
        return last


@dataclass(frozen=True)
class Predictions:
    """Loss rows: predict ``target[p]`` from position ``(window[p], position[p])`` under the given conditions.

    Attributes:
        window, position: int64 (P,), the anchor.
        action, surface: int64 (P,), condition codes of the target, 0 = unspecified.
        offset: int64 (P,), time-offset bucket + 1, 0 = unspecified.
        time: int64 ms (P,), when the first target happened.
        target: int64 (P, T) item ids, padded with -1; column 0 is always real.
        weight: float32 (P,); the weights of one anchor add up to 1.
    """

    window: np.ndarray
    position: np.ndarray
    action: np.ndarray
    surface: np.ndarray
    offset: np.ndarray
    time: np.ndarray
    target: np.ndarray
    weight: np.ndarray


def anchors(batch: Windows, cap: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Every position with an event behind it, at most ``cap`` random ones per window (0 = no cap)."""
    counts = np.maximum(batch.last_event, 0)
    window = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    if cap and counts.max(initial=0) > cap:
        shuffled = np.lexsort((rng.random(len(window)), window))
        rank = np.arange(len(window)) - np.repeat(np.cumsum(counts) - counts, counts)
        keep = np.sort(shuffled[rank < cap])
        window, position = window[keep], position[keep]
    return window, position


def next_item(batch: Windows, window: np.ndarray, position: np.ndarray) -> Predictions:
    """One prediction per anchor: the next event after it, under its own action and surface."""
    target = batch.following[window, position]
    return _gather(batch, window, position, target, offset=None, weight=np.ones(len(window), np.float32))


def future_items(
    batch: Windows, window: np.ndarray, position: np.ndarray, *, edges_s: np.ndarray, draws: int, reach: int,
    rng: np.random.Generator,
) -> Predictions:  # fmt: skip
    """Multi-token targets: the next event and ``draws - 1`` random later ones within ``reach`` positions (A2.3).

    The condition of each is its true relative time as a bucket, and its own action and surface. A drawn position
    that repeats, or lies beyond the window, is left out; the remaining ones share the anchor's weight.
    """
    last = batch.last_event[window]
    ahead = np.minimum(last, position + reach)
    columns = [batch.following[window, position]]
    for _ in range(draws - 1):
        drawn = position + (rng.random(len(position)) * (ahead - position)).astype(np.int64)
        columns.append(batch.following[window, drawn])
    target_AT = np.stack(columns, axis=1)
    valid_AT = target_AT <= last[:, None]
    for t in range(1, draws):
        valid_AT[:, t] &= (target_AT[:, :t] != target_AT[:, t : t + 1]).all(axis=1)
    anchor, column = np.nonzero(valid_AT)
    target = target_AT[anchor, column]
    w, p = window[anchor], position[anchor]
    offset = offset_bucket(batch.time[w, target] - batch.time[w, p], edges_s) + 1
    weight = (1.0 / valid_AT.sum(axis=1))[anchor].astype(np.float32)
    return _gather(batch, w, p, target, offset=offset, weight=weight)


def feed_targets(batch: Windows, rows: Predictions, most: int) -> np.ndarray:
    """Relaxed targets of next-item predictions: later items of the same feed session (A3.3).

    A later item joins the set when it belongs to the anchor's own session (its request) and carries the same action
    and surface as the next event, so that one output vector serves the whole set.

    Returns:
        int64 (P, T <= most) item ids padded with -1; column 0 is the next item.
    """
    n = batch.item.shape[1]
    w, p = rows.window, rows.position
    session, following = batch.request[w, p], batch.following[w, p]
    columns = [rows.target[:, 0]]
    for step in range(1, most):
        t = np.minimum(following + step, n - 1)
        joins = (
            (following + step < batch.lengths[w])
            & batch.event[w, t]
            & (session >= 0)
            & (batch.request[w, following] == session)
            & (batch.request[w, t] == session)
            & (batch.action[w, t] == batch.action[w, following])
            & (batch.surface[w, t] == batch.surface[w, following])
        )
        columns.append(np.where(joins, batch.item[w, t], -1))
    target_PT = np.stack(columns, axis=1)
    used = int(np.flatnonzero((target_PT >= 0).any(axis=0)).max(initial=0)) + 1
    return target_PT[:, :used]


def _gather(
    batch: Windows, window: np.ndarray, position: np.ndarray, target: np.ndarray, *, offset: np.ndarray | None,
    weight: np.ndarray,
) -> Predictions:  # fmt: skip
    return Predictions(
        window=window,
        position=position,
        action=batch.action[window, target],
        surface=batch.surface[window, target],
        offset=np.zeros(len(window), np.int64) if offset is None else offset,
        time=batch.time[window, target],
        target=batch.item[window, target][:, None],
        weight=weight,
    )
