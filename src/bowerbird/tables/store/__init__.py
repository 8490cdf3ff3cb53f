"""The store: immutable files behind one manifest, read through memory-mapped columns."""

from bowerbird.tables.store.columns import EventColumns
from bowerbird.tables.store.items import UNKNOWN_TIME, ItemTable
from bowerbird.tables.store.manifest import Manifest
from bowerbird.tables.store.store import Store
from bowerbird.tables.store.vocabulary import Vocabulary
from bowerbird.tables.store.writing import StoreSettings, StoreWriter, build_store

__all__ = [
    "UNKNOWN_TIME",
    "EventColumns",
    "ItemTable",
    "Manifest",
    "Store",
    "StoreSettings",
    "StoreWriter",
    "Vocabulary",
    "build_store",
]
