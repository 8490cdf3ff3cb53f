"""Known data sets: published files in, store out, all through one interface.

>>> from bowerbird.tables.datasets import bundled, load_dataset
>>> store = load_dataset("movielens", bundled("movielens"), "stores/movielens")
"""

from __future__ import annotations

from pathlib import Path

from bowerbird.tables.datasets.base import DatasetAdapter, DatasetError
from bowerbird.tables.datasets.graphs.citeulike import CiteULike, CiteULikeCold
from bowerbird.tables.datasets.graphs.dblp import Dblp
from bowerbird.tables.datasets.graphs.grocery import GroceryRelations
from bowerbird.tables.datasets.graphs.hin_amazon import HinAmazon
from bowerbird.tables.datasets.graphs.lastfm import LastFm, LastFmTimed
from bowerbird.tables.datasets.logs.amazon import AmazonSequences
from bowerbird.tables.datasets.logs.beibei import Beibei
from bowerbird.tables.datasets.logs.globo import GloboNews
from bowerbird.tables.datasets.logs.goodbooks import Goodbooks
from bowerbird.tables.datasets.logs.kuairand import KuaiRand
from bowerbird.tables.datasets.logs.movielens import BUNDLED, MovieLens
from bowerbird.tables.datasets.logs.openbandit import OpenBandit
from bowerbird.tables.errors import ConfigError, did_you_mean
from bowerbird.tables.store import Store

_ADAPTERS: tuple[type[DatasetAdapter], ...] = (
    *(MovieLens, AmazonSequences, GloboNews, OpenBandit, Beibei, Goodbooks, KuaiRand),
    *(CiteULike, CiteULikeCold, LastFm, LastFmTimed, Dblp, HinAmazon, GroceryRelations),
)

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


def load_dataset(
    name: str,
    folder: str | Path,
    store_path: str | Path,
    *,
    seed: int | None = None,
    overwrite: bool = False,
) -> Store:
    """Reads the published files of a known data set and writes a store.

    Args:
        name: Key in `DATASETS`.
        folder: Where the files lie; the adapter's `how_to_get` says which.
        store_path: Folder of the store to write.
        seed: Of the split, for data sets that draw their own (`citeulike`, `lastfm`); None = 0.
        overwrite: Replace a store that is already there.

    Raises:
        ConfigError: Unknown data set, or a seed for one that draws nothing.
        DatasetError: A file is missing.
        TableError: A file lacks a column.
    """
    adapter = dataset(name) if seed is None else dataset(name).seeded(seed)
    return adapter.load(folder, store_path, overwrite=overwrite)


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
