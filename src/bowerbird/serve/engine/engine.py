"""`Engine`: recommendations from one store with one generator, and the events posted to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bowerbird.serve.catalogue import Catalogue
from bowerbird.serve.diversity import Sameness
from bowerbird.serve.engine.answering import Answering
from bowerbird.serve.engine.browsing import Browsing
from bowerbird.serve.engine.clock import Clock
from bowerbird.serve.engine.preparing import Preparing
from bowerbird.serve.engine.road import Road
from bowerbird.serve.engine.trip import Trip
from bowerbird.serve.fallback import ContentNeighbours, Popularity
from bowerbird.serve.generators.base import Generator
from bowerbird.serve.map import MapMaker
from bowerbird.serve.neighbourhood import GraphNeighbours
from bowerbird.serve.past.history import History
from bowerbird.serve.past.trails import Trails
from bowerbird.serve.people import People
from bowerbird.serve.request import Request
from bowerbird.serve.response import Response
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View

if TYPE_CHECKING:
    from bowerbird.serve.online.events import OnlineEvent, Receipt
    from bowerbird.serve.traffic.batcher import Batcher, Observer

OVERFETCH = 3.0
"""Candidates a model that ranks is asked for, as a multiple of the items wanted (arXiv 2606.00422 B5: 2 to 3)."""


class NoHistoryError(BowerbirdError):
    """Events were posted to an engine that has nowhere to keep them."""


class Engine(Browsing):
    """Answers requests. Safe to share between threads: they take turns at the model.

    Args:
        store: Users, items and histories.
        generator: The model side; the engine closes it.
        history: Where posted events are; None = the store alone. It stays open when the engine is closed.
        overfetch: Candidates a model that ranks is asked for, as a multiple of the items wanted.
        clock: For deadlines and timings.
        graph: Neighbourhoods of items; None = there are none.
    """

    def __init__(
        self, store: Store, generator: Generator, *, history: History | None = None, overfetch: float = OVERFETCH,
        clock: Clock = time.monotonic, graph: GraphNeighbours | None = None,
    ) -> None:  # fmt: skip
        self.store, self.generator, self._history, self.graph = store, generator, history, graph
        view = View(store)
        counts = view.item_counts()
        self.catalogue = Catalogue(store.item_table, counts)
        self.maps = MapMaker(store, generator, self.catalogue, counts)
        self.people = People(store, self.catalogue)
        first, _ = store.manifest.time_range or (0, 0)
        self.popularity = Popularity(view, first)
        self.content = ContentNeighbours(store.item_table)
        self.trails = Trails(
            store, view, generator.history_length, history=history, readable=generator.readable,
            mentions=generator.mentions, query_id=generator.query_id,
        )  # fmt: skip
        self._clock = clock
        self.road = Road(generator, clock)
        self._preparing = Preparing(
            store, self.catalogue, self.people, self.trails, generator, clock=clock, overfetch=overfetch
        )
        self._answering = Answering(
            self.catalogue, self.people, generator, self.road, self.popularity, self.content,
            Sameness(store.item_table), clock=clock,
        )  # fmt: skip
        self._batcher: Batcher[Trip, None] | None = None

    @classmethod
    def open(
        cls, artifact: str | Path, store: str | Path, *, history: History | None = None,
        pool_bytes: int | None = None, graph: GraphNeighbours | None = None,
    ) -> Engine:  # fmt: skip
        """Opens an artifact and a store from their folders.

        Args:
            artifact: The fitted model.
            store: The store it was trained on, or one grown from it.
            history: Where posted events are.
            pool_bytes: Most memory for encoded histories; None = as usual.
            graph: Neighbourhoods of items.

        Raises:
            BowerbirdError: One is missing or damaged, or they do not belong together.
        """
        from bowerbird.serve.generators.opening import open_generator

        opened = Store.open(store)
        generator = open_generator(Path(artifact), opened, pool_bytes=pool_bytes)
        return cls(opened, generator, history=history, graph=graph)

    # --- recommendations

    def recommend(self, request: Request) -> Response:
        """Answers a request; see `Request` for what can be asked.

        An unknown user, an empty history, a failing model or one there is no time for is answered by what is like the
        recent items, else by what is popular, with a note. Where fewer than k items may be shown, all of them come,
        with a note.

        Raises:
            RequestError: An outcome, action or column that does not exist.
            Busy: Requests are batched, and too many wait already.
        """
        if self._batcher is None:
            found = self.recommend_many([request])[0]
            if isinstance(found, Exception):
                raise found
            return found
        return self._answering.answer(self._batched(self._preparing.trip(request), self._batcher))

    def recommend_many(self, requests: Sequence[Request]) -> list[Response | Exception]:
        """Answers requests with one pass of the model for all of them.

        What each gets does not depend on the others, up to rounding. A deadline counts from the beginning of this
        call.

        Returns:
            For each request its response, or the exception that `recommend` would raise.
        """
        out: list[Response | Exception] = []
        prepared: list[Trip | Exception] = []
        for request in requests:
            try:
                prepared.append(self._preparing.trip(request))
            except Exception as error:
                prepared.append(error)
        self.road.travel([trip for trip in prepared if isinstance(trip, Trip)])
        for trip in prepared:
            try:
                out.append(trip if isinstance(trip, Exception) else self._answering.answer(trip))
            except Exception as error:
                out.append(error)
        return out

    def start_batching(
        self, *, window_ms: float = 2.0, max_batch: int = 32, max_waiting: int = 256,
        observer: Observer | None = None,
    ) -> None:  # fmt: skip
        """From now on, requests of many threads that are there together go through the model together.

        Args:
            window_ms, max_batch, max_waiting, observer: See `traffic.Batcher`.

        Raises:
            ConfigError: A limit below 1, or a negative window.
        """
        from bowerbird.serve.traffic.batcher import Batcher

        if self._batcher is None:
            self._batcher = Batcher(
                self._together, window_ms=window_ms, max_batch=max_batch, max_waiting=max_waiting,
                observer=observer,
            )  # fmt: skip

    def _batched(self, trip: Trip, batcher: Batcher[Trip, None]) -> Trip:
        from bowerbird.serve.traffic.deadlines import left
        from bowerbird.serve.traffic.errors import DeadlineError

        trip.sent = self._clock()
        try:
            batcher.call(trip, left(trip.deadline))
        except DeadlineError:
            trip = trip.without_model()
            trip.note("deadline", "the model had no time for this request")
        return trip

    def _together(self, trips: list[Trip]) -> list[None]:
        self.road.travel(trips)
        return [None] * len(trips)

    # --- events

    def append_events(self, events: Sequence[OnlineEvent]) -> Receipt:
        """Keeps events; when it returns they are durable, and the next answer uses them.

        Args:
            events: Up to 1000.

        Raises:
            NoHistoryError: This engine was opened without an online history.
            EventError: An event cannot be kept as written; nothing was.
            OnlineError: The history is locked, full or gone; nothing was half done.
        """
        if self._history is None:
            raise NoHistoryError(
                "this engine has no online history to keep events in; open it with one, such as "
                "OnlineHistory.for_store"
            )
        receipt = self._history.append(events)
        if receipt.accepted == len(events):  # otherwise some were posted, and counted, before
            self.posted(events)
        return receipt

    def posted(self, events: Sequence[OnlineEvent]) -> None:
        """Tells of new events that went into the online history another way: they count as popular from now on.

        Answers need not be told; they look for themselves.
        """
        negative = set(self.store.manifest.negative_actions)
        liked = [event.item for event in events if not negative.issuperset(event.actions)]
        if liked:
            self.popularity.add(np.asarray(self.store.items.encode(liked)))

    # --- running

    def warm_up(self) -> None:
        """Builds what is built on first use, so that the first visitor does not wait for it."""
        _ = self.about
        self.items("", 1)
        busiest = self.users("", 1)
        self.recommend_many([Request(user=busiest[0].id if busiest else None, k=10, explain=True)] * 2)
        self.recommend_many([Request(k=10)])
        self.content.like(np.zeros(min(1, self.store.n_items), np.int32), 1, exclude=np.empty(0, np.int32))
        if self.graph is not None:
            self.graph.warm_up()

    def describe(self) -> dict[str, Any]:
        """What the model side keeps in memory and how it fares, plain values."""
        return dict(self.generator.describe())

    def close(self) -> None:
        """Finishes what was accepted and lets go of the model's memory; harmless when called twice."""
        if self._batcher is not None:
            self._batcher.close()
        self.maps.close()
        self.generator.close()
