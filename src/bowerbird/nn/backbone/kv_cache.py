"""The keys and values of histories already encoded, so that new tokens and candidates need not re-encode them.

Shapes: L layers, B rows, H heads, C capacity in tokens, Dh head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class KVCache:
    """Keys and values per layer, right-padded, with one length per row.

    Attributes:
        keys, values: one tensor (B, H, C, Dh) per layer; slots at or past a row's length hold no meaning.
        lengths_B: int64 (B,), tokens stored per row.
    """

    keys: list[Tensor]
    values: list[Tensor]
    lengths_B: Tensor

    @property
    def capacity(self) -> int:
        """Most tokens a row can hold."""
        return self.keys[0].shape[2]

    @property
    def nbytes(self) -> int:
        """Memory of keys and values in bytes."""
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))

    def select(self, rows: Tensor) -> KVCache:
        """A copy of the given rows (int64; a row may repeat), independent of this cache."""
        return KVCache([k[rows] for k in self.keys], [v[rows] for v in self.values], self.lengths_B[rows])

    def clone(self) -> KVCache:
        """An independent copy."""
        return KVCache(
            [k.clone() for k in self.keys], [v.clone() for v in self.values], self.lengths_B.clone()
        )

    def truncate(self, lengths_B: Tensor) -> None:
        """Forget every token at or past ``lengths_B`` (int64 (B,)), in place.

        Raises:
            ValueError: if a length is larger than what the row holds.
        """
        if bool((lengths_B > self.lengths_B).any()):
            raise ValueError("a cache can be truncated, not extended")
        self.lengths_B = lengths_B.clone()

    def read(self, layer: int, used: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, used, Dh) of the first ``used`` slots; a view unless the type differs."""
        return self.keys[layer][:, :, :used].to(dtype), self.values[layer][:, :, :used].to(dtype)

    def write(self, layer: int, k_BHSD: Tensor, v_BHSD: Tensor, slots_BS: Tensor) -> None:
        """Store S new tokens of every row at ``slots_BS`` (int64), in place."""
        batch, heads, _, width = k_BHSD.shape
        index = slots_BS[:, None, :, None].expand(batch, heads, -1, width)
        self.keys[layer].scatter_(2, index, k_BHSD.to(self.keys[layer].dtype))
        self.values[layer].scatter_(2, index, v_BHSD.to(self.values[layer].dtype))

    @classmethod
    def empty(
        cls, layers: int, batch: int, heads: int, capacity: int, head_width: int, *, dtype: torch.dtype,
        device: torch.device,
    ) -> KVCache:  # fmt: skip
        """A cache with room for ``capacity`` tokens and none stored."""
        shape = (batch, heads, capacity, head_width)

        def rooms() -> list[Tensor]:
            return [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]

        return cls(rooms(), rooms(), torch.zeros(batch, dtype=torch.long, device=device))
