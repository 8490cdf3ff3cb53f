"""Parts of the targets that are looked at on their own: warm and cold items, popularity, actions.

Shapes: T targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bowerbird.evaluate.cases import Cases

POPULARITY_EDGES: tuple[int, ...] = (0, 1, 10, 100, 1000, 10_000, 100_000)
"""Lower edges of the popularity buckets, in training events of the item."""

Segments = dict[str, NDArray[np.bool_]]
"""Name of a part -> bool (T,)."""


def warmth(cases: Cases) -> Segments:
    """Targets with (`warm`) and without (`cold`) a positive event in training; empty parts are left out."""
    return _not_empty({"warm": cases.target_warm, "cold": ~cases.target_warm})


def popularity_buckets(cases: Cases, edges: Sequence[int] = POPULARITY_EDGES) -> Segments:
    """Targets by how many training events their item has: `"0"`, `"1-9"`, `"10-99"`, ...; empty ones left
    out.

    Args:
        cases: the cases.
        edges: ascending lower edges, the first 0; the last bucket is open.
    """
    bucket = np.searchsorted(np.asarray(edges), cases.target_count, side="right") - 1
    return _not_empty({label(edges, place): bucket == place for place in range(len(edges))})


def label(edges: Sequence[int], place: int) -> str:
    """Name of a bucket.

    >>> [label((0, 1, 10), place) for place in range(3)]
    ['0', '1-9', '10+']
    """
    low = edges[place]
    if place + 1 == len(edges):
        return f"{low}+"
    high = edges[place + 1] - 1
    return str(low) if low == high else f"{low}-{high}"


def actions(cases: Cases) -> Segments:
    """Targets that carry each positive action of the store; a target with two actions counts in both."""
    names = cases.view.actions.decode(np.arange(len(cases.view.actions)))
    found: Segments = {}
    for bit, name in enumerate(names):
        mask = np.uint32(1 << bit)
        if cases.view.positive_mask & (1 << bit):
            found[str(name)] = (cases.target_actions & mask) != 0
    return _not_empty(found)


def _not_empty(segments: Segments) -> Segments:
    return {name: chosen for name, chosen in segments.items() if chosen.any()}
