"""Makes the map of one release when somebody asks for it, once, while requests go on."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import dataclass

import numpy as np

from bowerbird.serve.catalogue import Catalogue
from bowerbird.serve.generators.base import Generator
from bowerbird.serve.map.child import Child
from bowerbird.serve.map.drawing import CatalogueMap, chosen, sizes
from bowerbird.serve.map.layout import method_for
from bowerbird.serve.map.vectors import NoMapError, item_vectors
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Store

log = logging.getLogger("bowerbird.serve")

_WAIT_S = 0.25
"""How long a request waits for a map that is being made: small ones are there by then."""
_AGAIN_S = 60.0
"""Seconds after a failure before another try."""
_SEED = 0


@dataclass(frozen=True)
class Making:
    """The map is being made.

    Attributes:
        seconds: For how long already.
        retry_after: Seconds after which to ask again.
    """

    seconds: float
    retry_after: int


class MapFailedError(BowerbirdError):
    """The map could not be made.

    Args:
        retry_after: Seconds after which another try is made.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("the map of the catalogue could not be made; the log says why")
        self.retry_after = retry_after


class MapMaker:
    """Has the map of one store and one generator. Safe to share between threads; close it when done.

    Args:
        store, generator, catalogue: What is drawn.
        counts_I: int64 (I,) positive events of each item.
        child: Lays items out.
    """

    def __init__(
        self,
        store: Store,
        generator: Generator,
        catalogue: Catalogue,
        counts_I: np.ndarray,
        *,
        child: Child | None = None,
    ) -> None:
        self._store, self._generator, self._catalogue, self._counts_I = store, generator, catalogue, counts_I
        self._child = child or Child()
        self._lock = threading.Lock()
        self._future: Future[CatalogueMap] | None = None
        self._began = 0.0
        self._failed_at: float | None = None

    def get(self, *, wait: float = _WAIT_S) -> CatalogueMap | Making:
        """The map; asked for the first time, it is begun.

        Args:
            wait: Seconds to wait for it.

        Raises:
            NoMapError: There is nothing to draw.
            MapFailedError: It could not be made.
        """
        future = self._begun()
        try:
            return future.result(timeout=wait)
        except NotYetError:
            seconds = time.monotonic() - self._began
            return Making(seconds, 2 if seconds < 30 else 5)
        except NoMapError:
            raise
        except Exception:
            failed_at = self._failed_at
            left = _AGAIN_S if failed_at is None else failed_at + _AGAIN_S - time.monotonic()
            raise MapFailedError(max(1.0, left)) from None

    def close(self) -> None:
        """Ends what is being made; harmless when called twice."""
        self._child.stop()

    def _begun(self) -> Future[CatalogueMap]:
        with self._lock:
            failed_at = self._failed_at
            again = failed_at is not None and time.monotonic() >= failed_at + _AGAIN_S
            if self._future is None or again:
                self._future, self._began, self._failed_at = Future(), time.monotonic(), None
                threading.Thread(target=self._run, args=(self._future,), name="map", daemon=True).start()
            return self._future

    def _run(self, future: Future[CatalogueMap]) -> None:
        try:
            made = self._made()
        except NoMapError as error:
            future.set_exception(error)
        except Exception as error:
            log.exception("the map of the catalogue could not be made")
            self._failed_at = time.monotonic()
            future.set_exception(error)
        else:
            future.set_result(made)

    def _made(self) -> CatalogueMap:
        found = item_vectors(self._store, self._generator)
        picked = chosen(found.item, self._counts_I, seed=_SEED)
        item, vectors_ND = found.item[picked], found.vectors_ND[picked]
        at_N2 = self._child.layout(vectors_ND, seed=_SEED)
        order = np.argsort(self._counts_I[item], kind="stable")
        column, categories, category_I = self._catalogue.first_categories()
        item, at_N2 = item[order], at_N2[order]
        return CatalogueMap(
            release=self._generator.release,
            source=found.source,
            method=method_for(len(item)),
            total=len(found.item),
            items=self._store.n_items,
            ids=self._store.items.decode(item),
            x=at_N2[:, 0],
            y=at_N2[:, 1],
            size=sizes(self._counts_I[item]),
            column=column,
            categories=categories,
            category=category_I[item],
        )
