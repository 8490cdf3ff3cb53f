"""Known data sets: published files in, store out, all through one interface.

>>> from bowerbird.tables.datasets import bundled, load_dataset
>>> store = load_dataset("movielens", bundled("movielens"), "stores/movielens")
"""

from __future__ import annotations

from pathlib import Path

from bowerbird.tables.datasets.amazon import AmazonSequences
from bowerbird.tables.datasets.base import DatasetAdapter, DatasetError
from bowerbird.tables.datasets.beibei import Beibei
from bowerbird.tables.datasets.globo import GloboNews
from bowerbird.tables.datasets.goodbooks import Goodbooks
from bowerbird.tables.datasets.kuairand import KuaiRand
from bowerbird.tables.datasets.movielens import BUNDLED, MovieLens
from bowerbird.tables.datasets.openbandit import OpenBandit
from bowerbird.tables.errors import ConfigError, did_you_mean
from bowerbird.tables.store import Store

_ADAPTERS = (MovieLens, AmazonSequences, GloboNews, OpenBandit, Beibei, Goodbooks, KuaiRand)

DATASETS: dict[str, DatasetAdapter] = {adapter.name: adapter() for adapter in _ADAPTERS}
"""Adapters by name."""


def dataset(name: str) -> DatasetAdapter:
    """The adapter of a known data set.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in DATASETS:
        raise ConfigError(f"unknown data set {name!r}; {did_you_mean(name, DATASETS)}")
    return DATASETS[name]


def load_dataset(name: str, folder: str | Path, store_path: str | Path, *, overwrite: bool = False) -> Store:
    """Reads the published files of a known data set and writes a store.

    Args:
        name: Key in `DATASETS`.
        folder: Where the files lie; the adapter's `how_to_get` says which.
        store_path: Folder of the store to write.
        overwrite: Replace a store that is already there.

    Raises:
        ConfigError: Unknown data set.
        DatasetError: A file is missing.
        TableError: A file lacks a column.
    """
    return dataset(name).load(folder, store_path, overwrite=overwrite)


def bundled(name: str) -> Path:
    """Folder of a data set that comes with the project (only `movielens`, non-commercial: see its
    LICENSE.txt).

    Raises:
        ConfigError: The data set is not bundled.
    """
    if name != "movielens":
        raise ConfigError(f"{name!r} is not bundled, only 'movielens' is. {dataset(name).how_to_get}")
    return BUNDLED


__all__ = ["DATASETS", "DatasetAdapter", "DatasetError", "bundled", "dataset", "load_dataset"]
