"""The ids a release was built on: kept with it, and compared with the store that is to serve it.

A model knows items, actions and surfaces by their place. A store that only grew keeps every id at its place and puts
new ones behind; any other store would answer with other people's items, silently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bowerbird.tables.store import Store, Vocabulary

NAMES = ("items", "users", "actions", "surfaces")


def vocabulary_facts(store: Store) -> dict[str, dict[str, Any]]:
    """Of each vocabulary of a store: its size, the kind of its ids, and a hash of them in dense order."""
    return {name: _facts(getattr(store, name), len(getattr(store, name))) for name in NAMES}


def save_vocabularies(store: Store, folder: Path) -> None:
    """Writes `<name>.parquet` for each vocabulary into an existing folder."""
    for name in NAMES:
        vocabulary: Vocabulary = getattr(store, name)
        vocabulary.save(folder / f"{name}.parquet")


def difference(facts: Mapping[str, Mapping[str, Any]], folder: Path, store: Store) -> str | None:
    """Why a store is not the one the facts are about, nor one grown from it; None where it is.

    Args:
        facts: From `vocabulary_facts`, when the release was made.
        folder: Where `save_vocabularies` put the ids; read only to name the first that differs.
        store: The store that is to serve.
    """
    for name in NAMES:
        wanted, found = facts[name], getattr(store, name)
        size = int(wanted["size"])
        if len(found) < size:
            return f"it was built on {size} {name}, the store has {len(found)}"
        if _facts(found, size) != dict(wanted):
            return _first(name, found, folder)
    return None


def _facts(vocabulary: Vocabulary, size: int) -> dict[str, Any]:
    keys = vocabulary.keys[:size].astype("<u8").tobytes()
    return {"size": size, "kind": vocabulary.kind, "keys": hashlib.sha256(keys).hexdigest()}


def _first(name: str, found: Vocabulary, folder: Path) -> str:
    from bowerbird.tables.store import Vocabulary

    known = Vocabulary.open(folder / f"{name}.parquet")
    if known.kind != found.kind:
        return f"it was built on {name} with {known.kind} ids, the store has {found.kind} ids"
    for place, (old, new) in enumerate(zip(known, found, strict=False)):
        if old != new:
            return f"place {place} of its {name} is {old!r}, in the store it is {new!r}"
    return f"its {name} are not those of the store"
