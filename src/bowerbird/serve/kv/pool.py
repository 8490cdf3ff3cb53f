"""Memory for the keys and values of encoded histories: a fixed number of slots, one a user.

Layout: one tensor a layer for keys and one for values, (S, H, C, Dh), made once. A slot of all layers is then a view
without a copy, in the very layout that the decoder's cache has, so a single request works inside its slot; several
requests are gathered by one indexing operation a layer.

A slot takes

    2 * layers * width * tokens * bytes of a number  +  width * bytes of a number

where tokens = (history length + room for generated tokens) * tokens of an event. In float32 that is 130 KiB for the
size `s` (2 layers, width 128, 64 events), 2.0 MiB for `m` (4 layers, width 256, 256 events) and 72 MiB for `l`.

Nothing here is safe against two threads at once: the model is called from one thread. The pool checks it.

Shapes: S slots, H heads, C tokens of a slot, Dh head width, D width, B rows of a batch, N new tokens of a row.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from bowerbird.nn.backbone.kv_cache import KVCache
from bowerbird.recommend.model import Encoded, PinRec
from bowerbird.serve.past.window import Window

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class SlotShape:
    """What one slot holds.

    Attributes:
        layers, heads, head_width: Of the decoder.
        tokens: C, most tokens of a history, generated ones included.
        dtype, device: Of the keys and values.
    """

    layers: int
    heads: int
    head_width: int
    tokens: int
    dtype: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def of(cls, model: PinRec, room: int) -> SlotShape:
        """Slots for a model's histories of full length, with room for so many generated tokens."""
        config, weight = model.config, model.project.weight
        tokens = model.tokens_per_event * (config.history_length + room)
        return cls(
            config.layers, config.heads, config.width // config.heads, tokens, weight.dtype, weight.device
        )

    @property
    def width(self) -> int:
        """D."""
        return self.heads * self.head_width

    @property
    def nbytes(self) -> int:
        """Bytes of one slot."""
        numbers = 2 * self.layers * self.width * self.tokens + self.width
        return numbers * self.dtype.itemsize


@dataclass
class PoolCounts:
    """What became of the histories that were asked for.

    Attributes:
        hits: Nothing had to be encoded.
        appends: Only the new events were encoded. events_appended: How many those were.
        misses: Nothing of the user was kept. changed: Something was, but another history (a late event, or the
            window moved).
        unkept: Encoded without a slot: nobody's history, or no slot was free.
        evictions: Slots taken from whoever was away longest.
        overwritten: A reader came back and found its slot changed; its history was encoded again.
    """

    hits: int = 0
    appends: int = 0
    events_appended: int = 0
    misses: int = 0
    changed: int = 0
    unkept: int = 0
    evictions: int = 0
    overwritten: int = 0


@dataclass(frozen=True)
class Lease:
    """A slot as it was when it was read; any later change of the slot has another generation."""

    slot: int
    generation: int


@dataclass
class Entry:
    """A kept history: its slot and the window that was encoded."""

    slot: int
    window: Window


class KVPool:
    """See the module docstring.

    Args:
        shape: Of a slot.
        budget_bytes: Most memory; what is left over after whole slots is not used. Less than one slot: nothing is
            kept, everything is encoded when asked for.
    """

    def __init__(self, shape: SlotShape, budget_bytes: int) -> None:
        self.shape = shape
        self.slots = max(0, budget_bytes) // shape.nbytes
        self.counts = PoolCounts()
        size = (self.slots, shape.heads, shape.tokens, shape.head_width)

        # zeros, not empty: attention multiplies what it masks by 0, which leaves a NaN a NaN. Untouched pages cost
        # no memory.
        def rooms() -> list[Tensor]:
            return [torch.zeros(size, dtype=shape.dtype, device=shape.device) for _ in range(shape.layers)]

        self.keys, self.values = rooms(), rooms()
        self._last_SD = torch.zeros(self.slots, shape.width, dtype=shape.dtype, device=shape.device)
        self._time_S = torch.zeros(self.slots, dtype=torch.long)
        self._tokens_S = torch.zeros(self.slots, dtype=torch.long)
        self._generation = [0] * self.slots
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._free = list(range(self.slots - 1, -1, -1))
        self._inside = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which no other thread may be.

        Raises:
            RuntimeError: Another one is: the model is to be called from one thread at a time.
        """
        if not self._inside.acquire(blocking=False):
            raise RuntimeError(
                "two threads are in the KV pool at once; call the model from one thread at a time"
            )
        try:
            yield
        finally:
            self._inside.release()

    # --- who is here

    def entry(self, key: Hashable) -> Entry | None:
        """What is kept under a key, which so becomes the most recently used."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def lease(self, slot: int) -> Lease:
        """The slot as it is now."""
        return Lease(slot, self._generation[slot])

    def holds(self, lease: Lease) -> bool:
        """Whether a slot is still as it was."""
        return self._generation[lease.slot] == lease.generation

    def claim(self, key: Hashable, pinned: Collection[int]) -> int | None:
        """A slot for a key: its own, a free one, or that of whoever was away longest; None where all are pinned."""
        own = self._entries.get(key)
        if own is not None:
            return own.slot
        if self._free:
            return self._free.pop()
        for other, entry in self._entries.items():
            if entry.slot not in pinned:
                del self._entries[other]
                self._generation[entry.slot] += 1
                self.counts.evictions += 1
                return entry.slot
        return None

    def clear(self) -> None:
        """Forgets everything, as after a change of the model; readers that come back notice."""
        for entry in self._entries.values():
            self._generation[entry.slot] += 1
        self._entries.clear()
        self._free = list(range(self.slots - 1, -1, -1))

    def __len__(self) -> int:
        return len(self._entries)

    # --- what is here

    def store(
        self, keys: Sequence[Hashable], slots: Sequence[int], windows: Sequence[Window], encoded: Encoded,
        rows: Sequence[int],
    ) -> None:  # fmt: skip
        """Puts rows of an encoded batch into slots."""
        slot, row = torch.tensor(slots), torch.tensor(rows)
        tokens = encoded.cache.lengths_B[row]
        used = int(tokens.max())
        for layer in range(self.shape.layers):
            self.keys[layer][slot, :, :used] = encoded.cache.keys[layer][row, :, :used]
            self.values[layer][slot, :, :used] = encoded.cache.values[layer][row, :, :used]
        self._note(slot, tokens, encoded, row)
        for key, number, window in zip(keys, slots, windows, strict=True):
            self._generation[number] += 1
            self._entries[key] = Entry(number, window)
            self._entries.move_to_end(key)

    def appended(
        self, keys: Sequence[Hashable], windows: Sequence[Window], encoded: Encoded, before_B: Tensor, *,
        inside: bool,
    ) -> None:  # fmt: skip
        """Takes over what was appended to the histories of some keys.

        Args:
            keys: Of the rows of `encoded`, in order.
            windows: As they are now.
            encoded: With the new tokens.
            before_B: int64, tokens of each row before.
            inside: The new keys and values were written into the slot itself.
        """
        slots = [self._entries[key].slot for key in keys]
        slot, row = torch.tensor(slots), torch.arange(len(slots))
        if not inside:
            new = int((encoded.cache.lengths_B - before_B).max())
            place_BN = before_B[:, None] + torch.arange(new)
            for layer in range(self.shape.layers):
                from_keys, from_values = encoded.cache.keys[layer], encoded.cache.values[layer]
                self.keys[layer][slot[:, None], :, place_BN] = from_keys[row[:, None], :, place_BN]
                self.values[layer][slot[:, None], :, place_BN] = from_values[row[:, None], :, place_BN]
        self._note(slot, encoded.cache.lengths_B, encoded, row)
        for key, number, window in zip(keys, slots, windows, strict=True):
            self._generation[number] += 1
            self._entries[key].window = window

    def _note(self, slot: Tensor, tokens: Tensor, encoded: Encoded, row: Tensor) -> None:
        self._last_SD[slot] = encoded.last_BD[row]
        self._time_S[slot] = encoded.time_B[row]
        self._tokens_S[slot] = tokens

    def view(self, slot: int) -> Encoded:
        """One slot as a batch of one, without a copy: tokens appended to it are written into the slot."""
        part = slice(slot, slot + 1)
        cache = KVCache(
            [keys[part] for keys in self.keys], [values[part] for values in self.values],
            self._tokens_S[part].clone(),
        )  # fmt: skip
        return Encoded(cache, self._last_SD[part].clone(), self._time_S[part].clone())

    def gather(self, slots: Sequence[int], room: int) -> Encoded:
        """Slots as a batch of their own.

        Args:
            slots: One a row; a slot may repeat.
            room: Tokens that will be appended to each.
        """
        slot = torch.tensor(slots)
        tokens = self._tokens_S[slot]
        used = min(int(tokens.max()) + room, self.shape.tokens)
        cache = KVCache(
            [keys[slot, :, :used] for keys in self.keys], [values[slot, :, :used] for values in self.values],
            tokens,
        )  # fmt: skip
        return Encoded(cache, self._last_SD[slot], self._time_S[slot])

    def tokens(self, slot: int) -> int:
        """Tokens stored in a slot."""
        return int(self._tokens_S[slot])

    def describe(self) -> dict[str, Any]:
        """Sizes and counts, plain values."""
        shape = self.shape
        return {
            "slots": self.slots,
            "used": len(self),
            "tokens_per_slot": shape.tokens,
            "bytes_per_slot": shape.nbytes,
            "formula": f"(2 x {shape.layers} layers x {shape.width} wide x {shape.tokens} tokens + {shape.width}) "
            f"x {shape.dtype.itemsize} bytes",
            "bytes": self.slots * shape.nbytes,
            **asdict(self.counts),
        }
