"""The signals OmniSage hands to other systems: item, collection and user vectors, in our space and in old ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.signals import Signal, origin
from bowerbird.represent.inference.opened import OpenOmniSage

_USERS = 4096


def emitted(opened: OpenOmniSage, artifact: Artifact) -> Iterator[Signal]:
    """Signals of everything the view knows: ``omnisage_items``, ``omnisage_collections``, ``omnisage_users``.

    For every old space also ``omnisage_items_as_<space>`` and ``omnisage_users_as_<space>``: our vectors as queries of
    an index that still holds the old ones.
    """
    world, view = opened.world, opened.world.view
    facts = {**origin(artifact, view), "metric": "cosine"}
    known = np.flatnonzero(view.known_items())
    items = opened.items[known]
    found = [Signal("omnisage_items", "item", view.item_ids.decode(known), items, facts=facts)]
    if "collection" in world.contents:
        raw = world.raw_ids["collection"].to_list()
        vectors = opened.collections
        found.append(Signal("omnisage_collections", "collection", raw, vectors, facts=facts))
    users = active_users(opened)
    vectors = user_vectors(opened, users)
    raw_users = view.user_ids.decode(users)
    found.append(Signal("omnisage_users", "user", raw_users, vectors, facts=facts))
    for place, name in enumerate(opened.model.space_names):
        for kind, ids, ours in (("item", found[0].ids, items), ("user", raw_users, vectors)):
            old = opened.in_old_space(place, ours)
            found.append(Signal(f"omnisage_{kind}s_as_{name}", kind, ids, old, facts=facts))  # type: ignore[arg-type]
    yield from (signal for signal in found if len(signal))


def active_users(opened: OpenOmniSage) -> np.ndarray:
    """int32: users with a positive event in the view, ascending."""
    return np.unique(opened.world.view.positives.user).astype(np.int32)


def user_vectors(opened: OpenOmniSage, users: np.ndarray) -> np.ndarray:
    """Vectors of users after all they did in the view, float32 (B, D)."""
    view, length = opened.world.view, opened.config.history_length
    parts = [np.zeros((0, opened.config.dim), np.float32)]
    for low in range(0, len(users), _USERS):
        parts.append(opened.users(view.histories(users[low : low + _USERS], length)))
    return np.concatenate(parts)
