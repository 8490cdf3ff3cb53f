"""Users: who there is, what each did, and the history a request is answered from.

Shape letters: n history length (the batches here hold one user).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from bowerbird.serve.catalogue import Catalogue, folded
from bowerbird.serve.request import PastEvent, RawId, RequestError
from bowerbird.serve.response import Note, Timeline, TimelineEvent, UserCard
from bowerbird.tables.errors import did_you_mean
from bowerbird.tables.store import Store, Vocabulary
from bowerbird.tables.view import HistoryBatch, View

_MINUTE = 60_000


def code_of(vocabulary: Vocabulary, raw: RawId) -> int:
    """The dense id of a raw id, -1 where unknown; whatever a request holds, this does not raise."""
    try:
        return int(vocabulary.encode([raw])[0])
    except (ValueError, TypeError, OverflowError):
        return -1


@dataclass(frozen=True)
class Past:
    """The history of one request.

    Attributes:
        batch: One row of at most n positive events, oldest first.
        seen: int32, every item met before, ascending.
        notes: What was left out.
    """

    batch: HistoryBatch
    seen: np.ndarray
    notes: tuple[Note, ...] = ()

    @property
    def length(self) -> int:
        """Number of events in the batch."""
        return int(self.batch.lengths[0])


class People:
    """The users of a store.

    Args:
        store: Where they are.
        view: The same store, as far as the engine may look.
        catalogue: For the cards of items.
    """

    def __init__(self, store: Store, view: View, catalogue: Catalogue) -> None:
        self._store, self._view, self._catalogue = store, view, catalogue
        events = store.events
        self._start = np.asarray(events.user_start)
        self._count = np.asarray(events.user_count)

    @cached_property
    def _names(self) -> pl.Series:
        return folded(self._store.users.ids.cast(pl.String))

    @cached_property
    def usual_action(self) -> str | None:
        """The most frequent action that makes an event positive."""
        counts = action_counts(self._store)
        negative = set(self._store.manifest.negative_actions)
        positive = {name: count for name, count in counts.items() if name not in negative}
        return max(positive, key=lambda name: positive[name], default=None)

    @cached_property
    def usual_surface(self) -> int:
        """Code of the most frequent surface."""
        surface = self._store.events.surface
        known = surface[surface >= 0]
        return int(np.bincount(known).argmax()) if len(known) else 0

    def search(self, query: str, limit: int) -> tuple[UserCard, ...]:
        """Users whose id holds `query` (ids that begin with it first), then by number of events."""
        text = folded(pl.Series([query.strip()]))[0]
        codes = np.flatnonzero(self._names.str.contains(text, literal=True).to_numpy())
        later = ~self._names.gather(codes).str.starts_with(text).to_numpy() if len(codes) else codes
        best = np.lexsort((codes, -self._count[codes], later))[:limit]
        return tuple(self.card(int(code)) for code in codes[best])

    def card(self, user: int) -> UserCard:
        """The card of a dense user."""
        low, n = int(self._start[user]), int(self._count[user])
        time = self._store.events.time
        first, last = (int(time[low]), int(time[low + n - 1])) if n else (None, None)
        return UserCard(self._store.users.decode([user])[0], n, first, last)

    def timeline(self, user: int, limit: int) -> Timeline:
        """The newest `limit` events of a dense user."""
        low, n = int(self._start[user]), int(self._count[user])
        events = self._store.events
        rows = np.arange(low + n - 1, max(low, low + n - limit) - 1, -1) if n else np.empty(0, np.int64)
        cards = self._catalogue.cards(events.item[rows])
        names = self._store.manifest.actions
        positive = self._store.is_positive(events.actions[rows])
        surfaces = self._store.surfaces.decode(events.surface[rows])
        entries = (
            TimelineEvent(
                card,
                int(time),
                tuple(name for bit, name in enumerate(names) if int(mask) >> bit & 1),
                where,
                bool(good),
            )
            for card, time, mask, where, good in zip(
                cards, events.time[rows], events.actions[rows], surfaces, positive, strict=True
            )
        )
        return Timeline(self._store.users.decode([user])[0], n, tuple(entries))

    def stored(self, user: int, length: int) -> Past:
        """The history the store holds of a dense user (-1: nobody)."""
        if user < 0:
            return Past(_batch([], [], [], 0), np.empty(0, np.int32))
        low, n = int(self._start[user]), int(self._count[user])
        seen = np.unique(self._store.events.item[low : low + n]).astype(np.int32)
        return Past(self._view.histories(np.array([user], np.int32), length), seen)

    def given(self, history: Sequence[PastEvent], length: int, now: int) -> Past:
        """A history that came with the request; unknown items are left out with a note.

        Raises:
            RequestError: An action the platform does not have.
        """
        actions = self._store.manifest.actions
        items, times, masks, unknown = [], [], [], []
        moment = now - _MINUTE * len(history)
        for event in history:
            moment = min(moment, now - 1) if event.time is None else min(event.time, now - 1)
            name = self.usual_action if event.action is None else event.action
            if name is not None and name not in actions:
                raise RequestError(
                    f"unknown action {name!r}; {did_you_mean(name, actions)}", field="history.action"
                )
            code = code_of(self._store.items, event.item)
            if code < 0:
                unknown.append(event.item)
            else:
                items.append(code)
                times.append(moment)
                masks.append(1 << actions.index(name) if name is not None else 0)
            moment += _MINUTE
        seen = np.unique(np.asarray(items, dtype=np.int32))
        positive = self._store.is_positive(np.asarray(masks, dtype=np.uint32))
        order = [i for i in np.argsort(times, kind="stable") if positive[i]][-length:]
        kept_items, kept_times, kept_masks = ([column[i] for i in order] for column in (items, times, masks))
        batch = _batch(kept_items, kept_times, kept_masks, self.usual_surface)
        return Past(batch, seen, (_left_out(unknown, len(history)),) if unknown else ())


def action_counts(store: Store) -> dict[str, int]:
    """How many events carry each action."""
    masks = store.events.actions
    step = 1 << 22
    counts = dict.fromkeys(store.manifest.actions, 0)
    for low in range(0, len(masks), step):
        chunk = masks[low : low + step]
        for bit, name in enumerate(store.manifest.actions):
            counts[name] += int(np.count_nonzero(chunk & np.uint32(1 << bit)))
    return counts


def _left_out(unknown: Sequence[RawId], total: int) -> Note:
    shown = ", ".join(str(item)[:40] for item in unknown[:3]) + (", ..." if len(unknown) > 3 else "")
    return Note(
        "unknown_item", f"{len(unknown)} of {total} items of the history are unknown and left out: {shown}"
    )


def _batch(items: Sequence[int], times: Sequence[int], masks: Sequence[int], surface: int) -> HistoryBatch:
    n = len(items)
    return HistoryBatch(
        user=np.array([-1], np.int32),
        item=np.asarray(items, dtype=np.int32).reshape(1, n),
        time=np.asarray(times, dtype=np.int64).reshape(1, n),
        actions=np.asarray(masks, dtype=np.uint32).reshape(1, n),
        surface=np.full((1, n), surface, np.int16),
        query=np.full((1, n), -1, np.int32),
        weight=np.ones((1, n), np.float32),
        request=np.full((1, n), -1, np.int32),
        row=np.full((1, n), -1, np.int64),
        lengths=np.array([n], np.int32),
    )
