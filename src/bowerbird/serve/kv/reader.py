"""Histories to what a model needs of them, with as little encoding as possible.

Of every history asked for, what the pool holds is used, what is new is appended, and the rest is encoded; the result
is the same whatever was kept, up to rounding.

Shapes: B rows of a batch, S new events of a row.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch

from bowerbird.nn.backbone.kv_cache import KVCache
from bowerbird.recommend.examples import Tokens, batch_tokens
from bowerbird.recommend.model import Encoded
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.serve.kv.pool import KVPool, Lease
from bowerbird.serve.past.window import Window, as_batch


class HistoryReader:
    """Reads histories through a pool. One thread at a time.

    Args:
        opened: The model.
        pool: Its slots; they belong to this model.
        room: Tokens that a generation appends to a history for a while.
    """

    def __init__(self, opened: OpenPinRec, pool: KVPool, room: int) -> None:
        self.opened, self.pool, self.room = opened, pool, room
        self._tokens_per_event = opened.model.tokens_per_event

    def read(
        self, keys: Sequence[Hashable | None], windows: Sequence[Window],
        contexts: Sequence[Window | None] | None = None,
    ) -> Reading:  # fmt: skip
        """Encodes a batch.

        Args:
            keys: Whose history each is; None = nobody's, so that nothing is kept.
            windows: Of at least one event each, unless there is a context.
            contexts: One token to read behind each history, for this batch only; None = nothing.

        Raises:
            RuntimeError: Another thread is reading.
        """
        said = [None] * len(windows) if contexts is None else list(contexts)
        keys, windows = list(keys), list(windows)
        for b, context in enumerate(said):
            if context is not None and not len(windows[b]):  # the query is all there is
                keys[b], windows[b], said[b] = None, context, None
        with self.pool.alone():
            reading = self._read(keys, windows)
            return reading.followed_by(said) if any(context is not None for context in said) else reading

    def tokens(self, windows: Sequence[Window]) -> Tokens:
        """Model inputs of windows."""
        return batch_tokens(as_batch(windows), self.opened.conditions)

    def encode(self, windows: Sequence[Window]) -> Encoded:
        """Encodes windows without the pool."""
        return self.opened.encode(self.tokens(windows), room=self.room)

    def _read(self, keys: Sequence[Hashable | None], windows: Sequence[Window]) -> Reading:
        pool, counts = self.pool, self.pool.counts
        slot: dict[int, int] = {}  # row -> slot
        first: dict[Hashable, int] = {}  # key -> row that stands for it
        again: list[int] = []  # rows equal to an earlier row of the same user
        appends: dict[int, list[int]] = {}
        fresh: list[int] = []
        keep: set[int] = set()  # rows of `fresh` that want a slot
        for b, (key, window) in enumerate(zip(keys, windows, strict=True)):
            if key is None:
                fresh.append(b)
                counts.unkept += 1
                continue
            if key in first:
                if window.start == windows[first[key]].start and window.after(windows[first[key]]) == 0:
                    again.append(b)
                    counts.hits += 1
                else:  # an event arrived between two requests of one batch
                    fresh.append(b)
                    counts.unkept += 1
                continue
            first[key] = b
            entry = pool.entry(key)
            new = None if entry is None else window.after(entry.window)
            if entry is None or new is None:
                fresh.append(b)
                keep.add(b)
                counts.misses += entry is None
                counts.changed += entry is not None
                continue
            slot[b] = entry.slot
            if new:
                appends.setdefault(new, []).append(b)
                counts.appends += 1
                counts.events_appended += new
            else:
                counts.hits += 1
        for new, rows in appends.items():
            self._append(new, rows, keys, windows)
        encoded = self.encode([windows[b] for b in fresh]) if fresh else None
        row = {b: place for place, b in enumerate(fresh)}
        if encoded is not None:
            self._keep(fresh, keep, keys, windows, encoded, slot)
        if len(keys) == 1 and encoded is None:
            return Reading(self, windows, pool.lease(slot[0]), None)
        for b in again:
            source = first[keys[b]]
            if source in row:
                row[b] = row[source]
            else:
                slot[b] = slot[source]
        return Reading(self, windows, None, self._assemble(len(keys), slot, row, encoded))

    def _append(
        self, new: int, rows: Sequence[int], keys: Sequence[Hashable | None], windows: Sequence[Window]
    ) -> None:
        """Encodes the last `new` events of some rows, which the pool holds up to there."""
        pool = self.pool
        own: list[Hashable] = [keys[b] for b in rows]
        slots = [entry.slot for key in own if (entry := pool.entry(key)) is not None]
        step = new * self._tokens_per_event
        before = pool.view(slots[0]) if len(rows) == 1 else pool.gather(slots, step)
        tokens_B = before.cache.lengths_B.clone()
        tokens = self.tokens([windows[b].cut(len(windows[b]) - new) for b in rows])
        with torch.no_grad():
            after = self.opened.model.append(before, tokens, self.opened.vectors(tokens.item))
        pool.appended(own, [windows[b] for b in rows], after, tokens_B, inside=len(rows) == 1)

    def _keep(
        self, fresh: Sequence[int], keep: set[int], keys: Sequence[Hashable | None], windows: Sequence[Window],
        encoded: Encoded, slot: dict[int, int],
    ) -> None:  # fmt: skip
        """Puts what was encoded into slots, as far as there are any that this batch does not need."""
        pinned = set(slot.values())
        kept: list[tuple[int, int, int]] = []
        for place, b in enumerate(fresh):
            if b not in keep:
                continue
            found = self.pool.claim(keys[b], pinned)
            if found is None:
                self.pool.counts.unkept += 1
                continue
            pinned.add(found)
            kept.append((b, found, place))
        if kept:
            self.pool.store(
                [keys[b] for b, _, _ in kept], [found for _, found, _ in kept], [windows[b] for b, _, _ in kept],
                encoded, [place for _, _, place in kept],
            )  # fmt: skip

    def _assemble(
        self, batch: int, slot: dict[int, int], row: dict[int, int], encoded: Encoded | None
    ) -> Encoded:
        """One batch of rows that lie in slots and of rows just encoded."""
        if encoded is None:
            return self.pool.gather([slot[b] for b in range(batch)], self.room * self._tokens_per_event)
        if not slot and [row[b] for b in range(batch)] == list(range(len(encoded.last_BD))):
            return encoded
        order = torch.tensor([row[b] for b in range(batch) if b in row])
        new = _rows(encoded, order.tolist())
        pooled = [b for b in range(batch) if b not in row]
        if not pooled:
            return new
        old = self.pool.gather([slot[b] for b in pooled], self.room * self._tokens_per_event)
        place = torch.tensor([b for b in range(batch) if b in row] + pooled).argsort()
        return _joined(new, old, place)


class Reading:
    """A batch of encoded histories.

    A single history that lies in the pool is read in place; should its slot have changed when it is asked for again,
    it is encoded anew, so what comes out is always the history that was asked for.

    Args:
        reader: What read it.
        windows: The histories.
        lease: Of the slot, where the batch is one row of the pool.
        encoded: The batch, where it has memory of its own.
    """

    def __init__(
        self, reader: HistoryReader, windows: Sequence[Window], lease: Lease | None, encoded: Encoded | None
    ) -> None:
        self._reader, self._windows, self._lease, self._own = reader, windows, lease, encoded

    @property
    def encoded(self) -> Encoded:
        """The histories, for `generate` and `rank`."""
        if self._own is not None:
            return self._own
        pool = self._reader.pool
        assert self._lease is not None
        if pool.holds(self._lease):
            return pool.view(self._lease.slot)
        pool.counts.overwritten += 1
        self._own = self._reader.encode(self._windows)
        return self._own

    def followed_by(self, contexts: Sequence[Window | None]) -> Reading:
        """The same histories with one more token behind some of them; what the pool keeps does not change."""
        encoded = self.encoded
        more = [b for b, context in enumerate(contexts) if context is not None]
        tokens = self._reader.tokens([context for context in contexts if context is not None])
        opened = self._reader.opened
        grown = opened.model.append(_rows(encoded, more), tokens, opened.vectors(tokens.item))
        rest = [b for b, context in enumerate(contexts) if context is None]
        if rest:
            place = torch.tensor(more + rest).argsort()
            grown = _joined(grown, _rows(encoded, rest), place)
        windows = [w if c is None else w.followed_by(c) for w, c in zip(self._windows, contexts, strict=True)]
        return Reading(self._reader, windows, None, grown)

    @property
    def history(self) -> Tokens:
        """The same histories as model inputs, for heads that count in them."""
        return self._reader.tokens(self._windows)

    def keep(self, rows: Sequence[int]) -> Reading:
        """Some rows of the batch."""
        if list(rows) == list(range(len(self._windows))):
            return self
        return Reading(self._reader, [self._windows[b] for b in rows], None, _rows(self.encoded, rows))


def _rows(encoded: Encoded, rows: Sequence[int]) -> Encoded:
    """Some rows in memory of their own."""
    row = torch.tensor(rows)
    return Encoded(encoded.cache.select(row), encoded.last_BD[row], encoded.time_B[row])


def _joined(new: Encoded, old: Encoded, place: torch.Tensor) -> Encoded:
    """Two batches as one, its rows in the order of `place`, as wide as the wider."""
    width = max(new.cache.capacity, old.cache.capacity)

    def both(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        out = a.new_zeros(len(place), a.shape[1], width, a.shape[3])
        out[: len(a), :, : a.shape[2]] = a
        out[len(a) :, :, : b.shape[2]] = b
        return out[place]

    cache = KVCache(
        [both(a, b) for a, b in zip(new.cache.keys, old.cache.keys, strict=True)],
        [both(a, b) for a, b in zip(new.cache.values, old.cache.values, strict=True)],
        torch.cat([new.cache.lengths_B, old.cache.lengths_B])[place],
    )
    return Encoded(
        cache, torch.cat([new.last_BD, old.last_BD])[place], torch.cat([new.time_B, old.time_B])[place]
    )
