"""Features that ask for their node: of the node itself, or of a neighbour it sees (A.3, task 2).

Shapes: B requests, R rows, k neighbours of a slot.
"""

from __future__ import annotations

import numpy as np

from bowerbird.represent.nodes.batch import Asked


def feature_sources(
    asked: Asked, request: np.ndarray, kind: str, source: str, which: np.ndarray, itself: np.ndarray
) -> np.ndarray:
    """Whose feature asks for each node.

    Args:
        asked: the requests of type ``kind``. request: int64 (R,).
        source: the type whose features ask.
        which: float64 (R,) in [0, 1), picks among the neighbours of that type that the request sees.
        itself: float64 (R,); below one half a node of the same type asks itself.

    Returns:
        int64 (R,), ids of type ``source``, -1 where there is nobody to ask.
    """
    slots = [place for place, slot in enumerate(asked.near.slots) if slot.node_type == source]
    found = np.full(len(request), -1, np.int64)
    if slots:
        ids = np.concatenate([asked.near.ids[place][request] for place in slots], axis=1)
        mask = np.concatenate([asked.near.mask[place][request] for place in slots], axis=1)
        seen = mask.sum(1)
        place = (np.cumsum(mask, axis=1) <= (which * seen).astype(np.int64)[:, None]).sum(1)
        there = seen > 0
        found[there] = ids[there, place[there]]
    if source == kind:
        found = np.where((itself < 0.5) | (found < 0), asked.ids[request], found)
    return found
