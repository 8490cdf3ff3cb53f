"""Identity without one row per id: several hashed tables whose rows are concatenated (A1.1, A8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_PRIME = 2**31 - 1


class HashEmbedding(nn.Module):
    """An id's vector is the concatenation of ``hashes`` rows, one from each table.

    Two ids share their whole vector only if all hash functions collide, so tables can be far smaller than the
    catalogue.

    Args:
        dim: output width, divisible by ``hashes``.
        rows: rows per table.
        hashes: number of tables (kappa).
        seed: of the hash functions; stored with the weights.
    """

    multipliers: Tensor
    offsets: Tensor

    def __init__(self, dim: int, rows: int, hashes: int = 4, seed: int = 20250410) -> None:
        super().__init__()
        if hashes < 1 or rows < 1:
            raise ValueError(f"need at least one table and one row, got {hashes} tables of {rows} rows")
        if dim % hashes:
            raise ValueError(f"dimension {dim} is not divisible by {hashes} hash functions")
        generator = torch.Generator().manual_seed(seed)
        self.rows = rows
        self.register_buffer("multipliers", torch.randint(1, _PRIME, (hashes,), generator=generator))
        self.register_buffer("offsets", torch.randint(0, _PRIME, (hashes,), generator=generator))
        self.table = nn.Embedding(hashes * rows, dim // hashes)
        nn.init.normal_(self.table.weight, std=0.02)

    def slots(self, ids: Tensor) -> Tensor:
        """Row of each id in each table, int64 (..., hashes), already shifted to the joint table."""
        # ids are folded below the prime first, so the product stays inside 62 bits
        slots = (ids[..., None] % _PRIME * self.multipliers + self.offsets) % _PRIME % self.rows
        return slots + torch.arange(len(self.multipliers), device=ids.device) * self.rows

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (..., dim) of int64 ids."""
        return self.table(self.slots(ids)).flatten(-2)
