"""Writing a store: collect, merge, commit."""

from bowerbird.tables.store.writing.build import build_store
from bowerbird.tables.store.writing.commit import CommitResult
from bowerbird.tables.store.writing.normalise import normalise
from bowerbird.tables.store.writing.settings import StoreSettings
from bowerbird.tables.store.writing.writer import StoreWriter

__all__ = ["CommitResult", "StoreSettings", "StoreWriter", "build_store", "normalise"]
