"""Text as a bag of hashed word and character n-grams: no vocabulary to build, unknown words still have parts."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_WORD = re.compile(r"[^\W_]+", re.UNICODE)


def encode_text(
    texts: Sequence[str | None], buckets: int, *, characters: tuple[int, int] = (3, 4), most: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Hash the words, word pairs and character n-grams of texts into buckets.

    Case and accents are folded. Words carry a boundary mark, so "art" inside "party" differs from "art". The hash is
    CRC-32, the same on every machine and in every process.

    Args:
        texts: one per row; ``None`` and texts without letters or digits become empty bags.
        buckets: number of buckets.
        characters: shortest and longest character n-gram of words longer than that.
        most: n-grams kept per text, words first.

    Returns:
        ``(ids, offsets)``: int32 flat bucket ids and int64 (rows + 1) offsets.

    Raises:
        ValueError: if there is no bucket.
    """
    if buckets < 1:
        raise ValueError(f"need at least one bucket, got {buckets}")
    flat: list[int] = []
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    for row, text in enumerate(texts):
        grams = _grams(text or "", characters)[:most]
        flat.extend(zlib.crc32(gram.encode("utf-8", "surrogatepass")) % buckets for gram in grams)
        offsets[row + 1] = len(flat)
    return np.asarray(flat, dtype=np.int32), offsets


def _grams(text: str, characters: tuple[int, int]) -> list[str]:
    folded = unicodedata.normalize("NFKD", text.casefold())
    words = _WORD.findall("".join(c for c in folded if not unicodedata.combining(c)))
    grams = [f"<{word}>" for word in words]
    grams += [f"<{a} {b}>" for a, b in pairwise(words)]
    shortest, longest = characters
    for word in words:
        marked = f"<{word}>"
        for n in range(shortest, longest + 1):
            if len(marked) > n:
                grams += [marked[i : i + n] for i in range(len(marked) - n + 1)]
    return list(dict.fromkeys(grams))
