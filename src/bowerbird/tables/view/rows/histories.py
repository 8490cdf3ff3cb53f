"""Histories: the last n events of each user before a row, padded into rectangles.

Shape letters: B users of a batch, n history length.
Source: PinRec A1 (history H(u, t_max): time-ordered item, action, surface, timestamp; positives only) and
A8 (right padding, oldest first, so that appending an event keeps a cache valid).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.view.rows.source import EventSource, RowIndex


@dataclass(frozen=True)
class HistoryBatch:
    """Histories of B users, oldest event first, padded on the right.

    Entries at or past `lengths` are padding: row -1, query -1, request -1, everything else 0.
    user int32[B]; item int32[B, n]; time int64[B, n] ms UTC; actions uint32[B, n] bit masks; surface int16[B,
    n]; query int32[B, n]; weight float32[B, n]; request int32[B, n]; row int64[B, n] absolute rows;
    lengths int32[B].
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    actions: NDArray[np.uint32]
    surface: NDArray[np.int16]
    query: NDArray[np.int32]
    weight: NDArray[np.float32]
    request: NDArray[np.int32]
    row: NDArray[np.int64]
    lengths: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool[B, n]: True where there is an event."""
        n = self.item.shape[1]
        filled: NDArray[np.bool_] = np.arange(n)[None, :] < self.lengths[:, None]
        return filled


def last_rows(
    store: EventSource,
    index: RowIndex,
    users_B: NDArray[np.int32],
    end_B: NDArray[np.int64],
    length: int,
) -> HistoryBatch:
    """The last `length` rows of the index before absolute row `end_B` of each user. The wall is already
    checked.
    """
    events = store.events
    first_B = index.find(np.asarray(events.user_start, np.int64)[users_B])
    past_B = np.maximum(index.find(end_B), first_B)
    lengths_B = np.minimum(past_B - first_B, length)
    column_n = np.arange(length, dtype=np.int64)[None, :]
    filled_Bn = column_n < lengths_B[:, None]
    # One flat gather of exactly the rows that exist: padding never touches the memory map.
    rows = index.take(((past_B - lengths_B)[:, None] + column_n)[filled_Bn])

    def spread(values: NDArray[Any], padding: int = 0) -> NDArray[Any]:
        out = np.full(filled_Bn.shape, padding, dtype=values.dtype)
        out[filled_Bn] = values
        return out

    return HistoryBatch(
        user=users_B,
        item=spread(events.item[rows]),
        time=spread(events.time[rows]),
        actions=spread(events.actions[rows]),
        surface=spread(events.surface[rows]),
        query=spread(events.query[rows], -1),
        weight=spread(events.weight[rows]),
        request=spread(events.request[rows], -1),
        row=spread(rows, -1),
        lengths=lengths_B.astype(np.int32),
    )
