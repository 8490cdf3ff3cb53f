"""Stable 64-bit keys of ids.

Polars' own hash may change between versions; these keys end up in files (content hashes, request keys, buckets), so
they are defined here: integers and 8-byte pieces of text are mixed with the finaliser of splitmix64 (Steele et al.,
"Fast splittable pseudorandom number generators", 2014).
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import polars as pl

_LONG = 64
_SEED = np.uint64(0x9E3779B97F4A7C15)


def mix(value: np.ndarray) -> np.ndarray:
    """The splitmix64 finaliser, element by element: uint64 in, well-spread uint64 out (a bijection)."""
    mixed = (value + _SEED).astype(np.uint64, copy=False)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def stable_keys(values: pl.Series) -> np.ndarray:
    """Keys of a column of ids.

    Args:
        values: Integers or text; nulls allowed.

    Returns:
        uint64 (n,): 0 where null, never 0 elsewhere; the integer 7 and the text "7" have different keys.
    """
    if values.dtype.is_integer():
        filled = values.cast(pl.Int64).fill_null(0).to_numpy().astype(np.uint64)
        keys = mix(filled)
    else:
        keys = _text_keys(values.cast(pl.String).fill_null(""))
    keys[keys == 0] = np.uint64(1)
    if values.null_count():
        keys[values.is_null().to_numpy()] = np.uint64(0)
    return keys


def _text_keys(text: pl.Series) -> np.ndarray:
    lengths = text.str.len_bytes().to_numpy().astype(np.uint64)
    keys = mix(lengths ^ np.uint64(0x5851F42D4C957F2D))
    longest = min(int(lengths.max()), _LONG) if len(text) else 0
    pieces = -(-longest // 8)
    padded = (text + "\0" * (pieces * 8)).cast(pl.Binary) if pieces else None
    for piece in range(pieces):
        assert padded is not None
        cut = padded.bin.slice(piece * 8, 8).bin.reinterpret(dtype=pl.UInt64, endianness="little").to_numpy()
        # Rows that ended before this piece keep their key: a key depends on the text alone, not on its neighbours.
        keys = np.where(lengths > np.uint64(piece * 8), mix(keys ^ cut), keys)
    long = np.flatnonzero(lengths > _LONG)
    if len(long):
        digests = b"".join(
            blake2b(one.encode(), digest_size=8).digest() for one in text.gather(long).to_list()
        )
        keys[long] = np.frombuffer(digests, dtype="<u8")
    return keys
