"""The tokens of all users in one order: positive events, and between them what users named.

Positions in the stream are what windows are cut from. Without mentions it is the log of positive events itself.

Shapes: L tokens, X places asked for, M mentions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bowerbird.tables.view import MentionKind, Mentions, View


@dataclass(frozen=True, eq=False)
class TokenStream:
    """See the module docstring.

    Attributes:
        user: int32 (L,), users in the store's order. time: int64 ms (L,).
        row: int64 (L,), absolute row of an event, -1 for a mention.
        mention: int64 (L,), place in ``mentions``, -1 for an event.
        mentions: of all users; ``None`` where only events are read.
        event_rows, event_times, event_users: of the events alone.
    """

    user: np.ndarray
    time: np.ndarray
    row: np.ndarray
    mention: np.ndarray
    mentions: Mentions | None
    event_rows: np.ndarray
    event_times: np.ndarray
    event_users: np.ndarray

    @classmethod
    def of(cls, view: View, kinds: Sequence[MentionKind] = ()) -> TokenStream:
        """The tokens that a view shows.

        Args:
            view: whose.
            kinds: of mentions; none = events alone.
        """
        rows, users, times = view.positives.row, view.positives.user, view.positives.time
        found = view.mentions(kinds) if kinds else None
        if found is None or not len(found):
            none = np.full(len(rows), -1)
            return cls(users, times, rows, none, None, rows, times, users)
        # an event stands behind the mentions of its own moment
        place_E = np.arange(len(rows)) + found.until(users, times)
        total = len(rows) + len(found)
        event = np.zeros(total, dtype=bool)
        event[place_E] = True
        row, mention = np.full(total, -1), np.full(total, -1)
        user, time = np.empty(total, users.dtype), np.empty(total, times.dtype)
        row[event], user[event], time[event] = rows, users, times
        mention[~event] = np.arange(len(found))
        user[~event], time[~event] = found.user, found.time
        return cls(user, time, row, mention, found, rows, times, users)

    def before(self, users_X: np.ndarray, end_X: np.ndarray, time_X: np.ndarray) -> np.ndarray:
        """How many tokens of the stream precede requests: int64 (X,).

        Args:
            users_X: int32, who asks.
            end_X: int64 absolute rows, where the history of each ends.
            time_X: int64 ms of each; a mention of that moment belongs to the request.
        """
        events = np.searchsorted(self.event_rows, end_X).astype(np.int64)
        if self.mentions is None:
            return events
        # a history that ends before its request leaves out events, and what was named after the first of them
        following = np.minimum(events, len(self.event_rows) - 1)
        same = (events < len(self.event_rows)) & (self.event_users[following] == users_X)
        until = np.where(same, np.minimum(time_X, self.event_times[following]), time_X)
        return events + self.mentions.until(users_X, until)
