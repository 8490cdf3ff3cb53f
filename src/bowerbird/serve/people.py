"""Users for people: who there is, and what each did."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bowerbird.serve.catalogue import Catalogue, folded
from bowerbird.serve.request import RawId
from bowerbird.serve.response import ItemCard, Timeline, TimelineEvent, UserCard
from bowerbird.tables.store import Store

if TYPE_CHECKING:
    from bowerbird.serve.online.events import StoredEvent


class People:
    """The users of a store.

    Args:
        store: Where they are.
        catalogue: For the cards of items.
    """

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store, self._catalogue = store, catalogue
        events = store.events
        self._start = np.asarray(events.user_start)
        self._count = np.asarray(events.user_count)

    @cached_property
    def _names(self) -> pl.Series:
        return folded(self._store.users.ids.cast(pl.String))

    @cached_property
    def usual_action(self) -> str | None:
        """The most frequent action that makes an event positive."""
        negative = set(self._store.manifest.negative_actions)
        positive = {name: count for name, count in self.action_counts.items() if name not in negative}
        return max(positive, key=lambda name: positive[name], default=None)

    @cached_property
    def usual_surface(self) -> int:
        """Code of the most frequent surface."""
        surface = self._store.events.surface
        known = surface[surface >= 0]
        return int(np.bincount(known).argmax()) if len(known) else 0

    @cached_property
    def action_counts(self) -> dict[str, int]:
        """How many events of the store carry each action."""
        masks = self._store.events.actions
        step = 1 << 22
        counts = dict.fromkeys(self._store.manifest.actions, 0)
        for low in range(0, len(masks), step):
            chunk = masks[low : low + step]
            for bit, name in enumerate(counts):
                counts[name] += int(np.count_nonzero(chunk & np.uint32(1 << bit)))
        return counts

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

    def timeline(
        self, raw: RawId, user: int, posted: Sequence[StoredEvent], total: int, limit: int
    ) -> Timeline:
        """The newest events of a user.

        Args:
            raw: Raw id, shown where the store does not know the user.
            user: Dense id, or -1.
            posted: The newest events that the store does not have, oldest first.
            total: How many of those there are.
            limit: Events wanted.
        """
        stored = int(self._count[user]) if user >= 0 else 0
        shown = [*self._posted(posted), *(self._stored(user, limit) if stored else ())]
        shown.sort(key=lambda event: -event.time)  # stable: what was posted happened after what was stored
        name = self._store.users.decode([user])[0] if user >= 0 else raw
        return Timeline(name, stored + total, tuple(shown[:limit]))

    def _stored(self, user: int, limit: int) -> list[TimelineEvent]:
        low, n = int(self._start[user]), int(self._count[user])
        events = self._store.events
        rows = np.arange(low + n - 1, max(low, low + n - limit) - 1, -1)
        cards = self._catalogue.cards(events.item[rows])
        positive = self._store.is_positive(events.actions[rows])
        surfaces = self._store.surfaces.decode(events.surface[rows])
        return [
            TimelineEvent(card, int(time), self.names(int(mask)), where, bool(good))
            for card, time, mask, where, good in zip(
                cards, events.time[rows], events.actions[rows], surfaces, positive, strict=True
            )
        ]

    def _posted(self, events: Sequence[StoredEvent]) -> list[TimelineEvent]:
        """Newest first."""
        newest = list(reversed(events))
        codes = self._store.items.encode([event.item for event in newest])
        known = iter(self._catalogue.cards(codes[codes >= 0]))
        negative = set(self._store.manifest.negative_actions)
        return [
            TimelineEvent(
                next(known) if code >= 0 else ItemCard(event.item, str(event.item)), event.time, event.actions,
                event.surface, not negative.issuperset(event.actions),
            )
            for event, code in zip(newest, codes, strict=True)
        ]  # fmt: skip

    def names(self, mask: int) -> tuple[str, ...]:
        """Names of the actions of a mask."""
        return tuple(name for bit, name in enumerate(self._store.manifest.actions) if mask >> bit & 1)
