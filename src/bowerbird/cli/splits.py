"""How a store is cut for fitting, and how the cut is found again from a fitted model."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bowerbird.learn.artifact import Artifact
    from bowerbird.tables.store import Store
    from bowerbird.tables.view import Split, View


class Protocol(StrEnum):
    """How a store is cut into what is learnt from, tuned on and tested on."""

    TIME = "time"
    LAST_OUT = "last-out"
    USERS = "users"
    GIVEN = "given"
    ALL = "all"


def split(store: Store, protocol: Protocol) -> Split:
    """The split of a protocol other than `all`."""
    from bowerbird.tables.view import given_split, leave_last_out, time_split, user_split

    cuts = {
        Protocol.TIME: time_split, Protocol.LAST_OUT: leave_last_out, Protocol.USERS: user_split,
        Protocol.GIVEN: given_split,
    }  # fmt: skip
    return cuts[protocol](store)


def training_views(store: Store, protocol: Protocol) -> tuple[View, View | None]:
    """What to fit on, and what to stop early by (None where everything is learnt from)."""
    from bowerbird.tables.view import View

    if protocol is Protocol.ALL:
        return View(store), None
    found = split(store, protocol)
    return found.train, found.valid


def split_of(store: Store, artifact: Artifact) -> Split:
    """The split that an artifact was fitted on.

    Raises:
        ConfigError: It was fitted on all of the store, on another store, or the store has grown since.
    """
    from bowerbird.tables.errors import ConfigError

    wall, data = artifact.facts.get("wall"), artifact.facts.get("data", {})
    for protocol in Protocol:
        if protocol is Protocol.ALL:
            continue
        try:
            found = split(store, protocol)
        except ConfigError:
            continue  # this store cannot be cut that way, so the model was not
        if found.train.wall == wall:
            return found
    if data.get("content_hash") not in (None, store.manifest.content_hash):
        raise ConfigError(
            f"this model was fitted on other data ({data.get('dataset')!r}, before {wall}) than this store holds now; "
            "evaluate it on the store it was fitted on, or fit it again"
        )
    raise ConfigError(
        f"this model was fitted on everything up to {wall}: nothing is left to evaluate it on; "
        "fit it with --protocol time, last-out, users or given"
    )
