"""A user's whole past: the rows of the store and the events posted since, in one order, kept and continued.

Reading a user's past costs a few look-ups in memory-mapped columns and a query to the online history. A returning user
costs one look-up of the version instead: equal means nothing happened, more events at the end are appended, and
anything else is read anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bowerbird.serve.past.history import History
from bowerbird.serve.past.window import Window
from bowerbird.serve.request import RawId
from bowerbird.tables.store import Store, Vocabulary
from bowerbird.tables.view import MentionKind, View

if TYPE_CHECKING:
    from bowerbird.serve.online.events import StoredEvent, Tail, Version

MOST_POSTED = 20_000
"""Posted events of one user that are read, the newest: an export into the store empties the rest."""
NO_SEARCH: tuple[str | None, str | None] = (None, None)
RECENT = 5
"""Recent items that what is like them is looked for."""
_MOST_NUMBERS = 1 << 23
"""Numbers kept over all trails (about 64 MiB)."""


def code_of(vocabulary: Vocabulary, raw: RawId) -> int:
    """The dense id of a raw id, -1 where unknown; whatever a request holds, this does not raise."""
    try:
        return int(vocabulary.encode([raw])[0])
    except (ValueError, TypeError, OverflowError):
        return -1


@dataclass(frozen=True, eq=False)
class Trail:
    """The past of one user.

    Attributes:
        user: Dense user, -1 where the store does not know them.
        key: Under which something computed from this past may be kept.
        window: What the model reads: the newest positive events.
        events: All positive events the model could read.
        seen: int32, every item met before, ascending.
        recent: int32, the last few items of positive events, also those the model cannot read, oldest first.
        unreadable: Positive events left out because the model has no vector of their item.
        posted: Events that were posted and are not in the store.
        searched: Query and request of the last of them.
        version: Of the posted events; None where nothing can be posted.
    """

    user: int
    key: Hashable
    window: Window
    events: int
    seen: np.ndarray
    recent: np.ndarray
    unreadable: int = 0
    posted: int = 0
    searched: tuple[str | None, str | None] = NO_SEARCH
    version: Version | None = None


class Trails:
    """Reads trails and keeps those that were asked for last. Safe to share between threads.

    Args:
        store: Rows known when it was built.
        view: The same, as far as the engine may look.
        length: Most events of a window.
        history: Where posted events are; None = nothing is posted.
        readable: bool (I,), items the model has a vector of; None = all.
        mentions: What else the model reads of the store, see `View.histories`.
        query_id: Names a query that was posted as the model reads it, -1 where it does not; None = it never does.

    Attributes:
        mentions: What users of the store named, of the kinds the model reads; None where it reads none.
    """

    def __init__(
        self, store: Store, view: View, length: int, *, history: History | None = None,
        readable: np.ndarray | None = None, mentions: Sequence[MentionKind] = (),
        query_id: Callable[[str], int] | None = None,
    ) -> None:  # fmt: skip
        self._store, self._view, self.length, self.history = store, view, length, history
        self._kinds, self._query_id = tuple(mentions), query_id
        self.mentions = view.mentions(self._kinds) if self._kinds else None
        self._readable = None if readable is None or bool(readable.all()) else readable
        self._mark = history.exported(store) if history is not None else 0
        self._bits = {name: 1 << bit for bit, name in enumerate(store.manifest.actions)}
        self._kept: OrderedDict[Hashable, Trail] = OrderedDict()
        self._numbers = 0
        self._lock = threading.Lock()

    def of(self, user: RawId) -> Trail:
        """The past of a user, as of now.

        Raises:
            Exception: Whatever the online history raises where it cannot be read.
        """
        code = code_of(self._store.users, user)
        key: Hashable = code if code >= 0 else str(user)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if self.history is None:
            return kept or self._keep(self._built(code, key, None))
        version = self.history.version(user)
        if kept is not None and kept.version == version:
            return kept
        trail = None
        if kept is not None and kept.version is not None and version.late == kept.version.late:
            new = version.events - kept.version.events
            if 0 < new <= MOST_POSTED - kept.posted:
                trail = self._continued(kept, self.history.read(user, new, after=self._mark))
        if trail is None:
            trail = self._built(code, key, self.history.read(user, MOST_POSTED, after=self._mark))
        return self._keep(trail)

    def stored(self, user: RawId) -> Trail:
        """The past of a user as far as the store has it; nothing is kept."""
        code = code_of(self._store.users, user)
        return self._built(code, code if code >= 0 else str(user), None)

    def posted(self, user: RawId, limit: int) -> Sequence[StoredEvent]:
        """The newest posted events of a user that the store does not have, oldest first."""
        return () if self.history is None else self.history.read(user, limit, after=self._mark).events

    # --- reading

    def _built(self, code: int, key: Hashable, tail: Tail | None) -> Trail:
        events = tail.events if tail is not None else ()
        newest, total = self._rows(code)
        posted, items = self._posted(events, NO_SEARCH)
        if len(posted):
            newest, total = newest.followed_by(posted).in_time_order(), total + len(posted)
        kept = self._only(newest)
        left_out = len(newest) - len(kept)
        total -= left_out  # where anything can be left out, all events were read
        seen = np.unique(np.concatenate([self._met(code), items]))
        return Trail(
            code, key, kept.newest(total, self.length), total, seen, self._items(newest)[-RECENT:], left_out,
            len(events), _search_of(events, NO_SEARCH), None if tail is None else tail.version,
        )  # fmt: skip

    def _continued(self, trail: Trail, tail: Tail) -> Trail | None:
        """The trail with new events at its end; None where they are not exactly the ones that are missing."""
        assert trail.version is not None
        new = len(tail.events)
        if tail.version.late != trail.version.late or tail.version.events - trail.version.events != new:
            return None  # more arrived between the two questions
        posted, items = self._posted(tail.events, trail.searched)
        if len(posted) and len(trail.window) and posted.time[0] < trail.window.time[-1]:
            return None  # older than something the store has
        kept = self._only(posted)
        total = trail.events + len(kept)
        window = trail.window
        if len(kept):
            window = window.followed_by(kept).newest(total, self.length)
        recent = np.concatenate([trail.recent, self._items(posted)])[-RECENT:]
        seen = trail.seen if np.isin(items, trail.seen).all() else np.union1d(trail.seen, items)
        return Trail(
            trail.user, trail.key, window, total, seen.astype(np.int32), recent,
            trail.unreadable + len(posted) - len(kept), trail.posted + new, _search_of(tail.events, trail.searched),
            tail.version,
        )  # fmt: skip

    def _rows(self, code: int) -> tuple[Window, int]:
        """Of a dense user: the newest positive rows of the store (all, if some may be left out), and how many there
        are."""
        if code < 0:
            return Window.of(), 0
        users = np.array([code], np.int32)
        total = int(self._view.history_sizes(users, self._view.user_rows(users)[1])[0])
        if self.mentions is not None:
            rank = int(self.mentions.rank[code])
            total += int(self.mentions.start[rank + 1] - self.mentions.start[rank])
        length = self.length if self._readable is None else total
        batch = self._view.histories(users, length, mentions=self._kinds)
        n = int(batch.lengths[0])
        return Window(batch.item[0, :n], batch.time[0, :n], batch.actions[0, :n], batch.surface[0, :n]), total

    def _posted(
        self, events: Sequence[StoredEvent], last: tuple[str | None, str | None]
    ) -> tuple[Window, np.ndarray]:
        """Of posted events: searches and the positive ones with known items, and all known items."""
        if not events:
            return Window.of(), np.empty(0, np.int32)
        items = self._store.items.encode([event.item for event in events])
        masks = np.array([sum(self._bits.get(a, 0) for a in event.actions) for event in events], np.uint32)
        codes = self._store.surfaces.encode([event.surface for event in events])
        good = (items >= 0) & self._store.is_positive(masks)
        time = np.array([event.time for event in events], np.int64)
        acted = Window(items[good], time[good], masks[good], codes[good].astype(np.int16))
        searched = self._searches(events, codes, last)
        # a search stands before what was done in the same moment
        window = searched.followed_by(acted).in_time_order() if len(searched) else acted
        return window, items[items >= 0]

    def _searches(
        self, events: Sequence[StoredEvent], surfaces: np.ndarray, last: tuple[str | None, str | None]
    ) -> Window:
        """The searches that posted events came from, each once; the event before these came from `last`."""
        if self._query_id is None:
            return Window.of()
        found: list[tuple[int, int, int]] = []
        for event, surface in zip(events, surfaces.tolist(), strict=True):
            if event.query is not None and (event.query, event.request) != last:
                query = self._query_id(event.query)
                if query >= 0:
                    found.append((query, event.time, surface))
            last = event.query, event.request
        return Window.of(
            [q for q, _, _ in found], [t for _, t, _ in found], [0] * len(found), [s for _, _, s in found]
        )

    def _items(self, window: Window) -> np.ndarray:
        """The items of its events, without what was only named."""
        return window.item[window.item < self._store.n_items]

    def _only(self, window: Window) -> Window:
        """The events whose items the model has a vector of."""
        if self._readable is None:
            return window
        named = window.item >= self._store.n_items
        return window.where(named | self._readable[np.where(named, 0, window.item)])

    def _met(self, code: int) -> np.ndarray:
        """Items of every row of a dense user, whatever they did there."""
        if code < 0:
            return np.empty(0, np.int32)
        events = self._store.events
        low = int(events.user_start[code])
        return np.asarray(events.item[low : low + int(events.user_count[code])], dtype=np.int32)

    # --- keeping

    def _keep(self, trail: Trail) -> Trail:
        with self._lock:
            old = self._kept.pop(trail.key, None)
            self._numbers += _numbers(trail) - (_numbers(old) if old is not None else 0)
            self._kept[trail.key] = trail
            while self._numbers > _MOST_NUMBERS and len(self._kept) > 1:
                self._numbers -= _numbers(self._kept.popitem(last=False)[1])
        return trail


def _search_of(
    events: Sequence[StoredEvent], before: tuple[str | None, str | None]
) -> tuple[str | None, str | None]:
    return (events[-1].query, events[-1].request) if events else before


def _numbers(trail: Trail) -> int:
    return 4 * len(trail.window) + len(trail.seen) + 64
