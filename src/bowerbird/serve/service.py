"""A running service: the engine of whatever release is active, exchanged without dropping a request.

It puts the parts of serving together and holds what outlives a release: the online history and the watcher. What it
answers is what the engine answers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bowerbird.serve.apart import apart
from bowerbird.serve.api.ports import ReleaseState
from bowerbird.serve.engine import Engine
from bowerbird.serve.map import CatalogueMap, Making
from bowerbird.serve.neighbourhood import GraphNeighbours
from bowerbird.serve.online import OnlineHistory
from bowerbird.serve.releases import OpenedRelease, Release, ReleaseError, Releases, Swap, Watcher
from bowerbird.serve.request import Filters, RawId, Request
from bowerbird.serve.response import (
    About,
    ItemCard,
    Neighbourhood,
    Response,
    Similar,
    Timeline,
    UserCard,
)
from bowerbird.tables.store import Store

if TYPE_CHECKING:
    from bowerbird.serve.online import Health, OnlineEvent, Receipt
    from bowerbird.serve.traffic.batcher import Observer

log = logging.getLogger("bowerbird.serve")


class Service:
    """See the module docstring. Safe to share between threads; close it when done.

    Args:
        engine: What answers at first.
        history: Where posted events are kept; closed with the service.
        releases: Whose active release is followed; None = the engine stays.
        store: Folder of the store that later releases answer from.
        serving: The release that the engine is from.
        graph: Neighbourhoods of items, for engines of later releases too.
        observer: Told how batches run.
        every: Seconds between looks for another active release.
    """

    def __init__(
        self, engine: Engine, history: OnlineHistory | None = None, *, releases: Releases | None = None,
        store: Path | None = None, serving: Release | None = None, observer: Observer | None = None, every: float = 1.0,
        graph: GraphNeighbours | None = None,
    ) -> None:  # fmt: skip
        self._history, self._releases, self._observer, self._graph = history, releases, observer, graph
        self._serving, self._refused = serving, ""
        self._engines: Swap[Engine] = Swap(apart(lambda: self._ready(engine)))
        self._watcher: Watcher | None = None
        if releases is not None and store is not None:
            self._watcher = Watcher(
                releases, lambda: Store.open(store), self._take_over, self._refuse,
                serving=None if serving is None else serving.id, every=every,
            )  # fmt: skip
            self._watcher.start()

    @classmethod
    def open(
        cls, store: Path, *, artifact: Path | None = None, releases: Path | None = None,
        history: str | Path | None = None, observer: Observer | None = None, every: float = 1.0,
        graph: Path | None = None,
    ) -> Self:  # fmt: skip
        """Open a store with the active release of a folder, or with an artifact.

        Args:
            store: Folder of the store.
            artifact: Folder of a fitted model; read where no `releases` are given.
            releases: Folder whose releases/ `bowerbird publish` writes to.
            history: File or URL of the online history; None = events cannot be posted.
            observer, every: See the class.
            graph: Folder of a graph of the store; None = the folder `graph` inside the store, where there is one.

        Raises:
            BowerbirdError: Something is missing or damaged, or does not belong together.
        """
        opened = Store.open(store)
        near = GraphNeighbours.for_store(opened.path, graph)
        online = None if history is None else OnlineHistory.for_store(history, opened)
        try:
            if releases is None:
                if artifact is None:
                    raise ReleaseError("nothing to serve: name an artifact, or a folder with releases")
                engine = apart(lambda: Engine.open(artifact, store, history=online, graph=near))
                return cls(engine, online, observer=observer, graph=near)
            root = Releases(releases)
            active = root.active()
            if active is None:
                raise ReleaseError(
                    f"{releases} has no active release; make one: bowerbird publish --artifact model --store {store} "
                    f"--root {releases}"
                )
            release = root.open(active.id, opened, verify=True)
            engine = apart(lambda: Engine(release.store, release.generator(), history=online, graph=near))
            return cls(
                engine, online, releases=root, store=store, serving=release.release, observer=observer, every=every,
                graph=near,
            )  # fmt: skip
        except BaseException:
            if online is not None:
                online.close()
            raise

    # --- answers

    def recommend(self, request: Request) -> Response:
        """See `Engine.recommend`."""
        with self._engines.use() as engine:
            return engine.recommend(request)

    def recommend_many(self, requests: Sequence[Request]) -> list[Response | Exception]:
        """See `Engine.recommend_many`."""
        with self._engines.use() as engine:
            return engine.recommend_many(requests)

    def similar(self, item: RawId, k: int = 20) -> Similar:
        """See `Engine.similar`."""
        with self._engines.use() as engine:
            return engine.similar(item, k)

    def item(self, item: RawId) -> ItemCard:
        """See `Engine.item`."""
        with self._engines.use() as engine:
            return engine.item(item)

    def items(
        self, search: str = "", limit: int = 20, filters: Filters | None = None
    ) -> tuple[ItemCard, ...]:
        """See `Engine.items`."""
        with self._engines.use() as engine:
            return engine.items(search, limit, filters)

    def neighbourhood(self, item: RawId, k: int = 10) -> Neighbourhood:
        """See `Engine.neighbourhood`."""
        with self._engines.use() as engine:
            return engine.neighbourhood(item, k)

    def map(self) -> CatalogueMap | Making:
        """See `Engine.map`; the map is that of the release that answers."""
        with self._engines.use() as engine:
            return engine.map()

    def history(self, user: RawId, limit: int = 100) -> Timeline:
        """See `Engine.history`."""
        with self._engines.use() as engine:
            return engine.history(user, limit)

    def users(self, search: str = "", limit: int = 20) -> tuple[UserCard, ...]:
        """See `Engine.users`."""
        with self._engines.use() as engine:
            return engine.users(search, limit)

    @property
    def about(self) -> About:
        """See `Engine.about`."""
        with self._engines.use() as engine:
            return engine.about

    def describe(self) -> dict[str, object]:
        """See `Engine.describe`."""
        with self._engines.use() as engine:
            return engine.describe()

    # --- events

    @property
    def keeps_events(self) -> bool:
        """Whether events can be posted."""
        return self._history is not None

    def append(self, events: Sequence[OnlineEvent]) -> Receipt:
        """See `Engine.append_events`."""
        with self._engines.use() as engine:
            return engine.append_events(events)

    def health(self) -> Health:
        """Whether events can be kept and read; only for a service that keeps events."""
        if self._history is None:
            raise ReleaseError("this service keeps no events")
        return self._history.health()

    # --- releases

    @property
    def follows_releases(self) -> bool:
        """Whether releases are followed; else the artifact it was opened with stays."""
        return self._releases is not None

    def state(self) -> ReleaseState:
        """Which release answers, and which one should."""
        serving, active = self._serving, None
        previous: str | None = None
        if self._releases is not None:
            found = self._releases.pointer.read()
            if found is not None:
                active, previous = found.id, next(iter(reversed(found.before)), None)
        return ReleaseState(
            serving=serving.id if serving is not None else self.about.release,
            active=active,
            created=None if serving is None else serving.created,
            learner=None if serving is None else serving.learner,
            metrics={} if serving is None else dict(serving.metrics),
            previous=previous,
            refused=bool(self._refused),
        )

    def rollback(self) -> ReleaseState:
        """Make the release active that was so before, and serve it.

        Raises:
            ReleaseError: There is none, or it is damaged; nothing has changed.
        """
        if self._releases is None or self._watcher is None:
            raise ReleaseError("this service was opened on an artifact: there are no releases to go back to")
        self._releases.rollback()
        self._watcher.look()
        return self.state()

    def close(self) -> None:
        """Stop following releases, finish what was accepted, and close the history."""
        if self._watcher is not None:
            self._watcher.stop()
        self._engines.close()
        if self._history is not None:
            self._history.close()

    def _ready(self, engine: Engine) -> Engine:
        engine.warm_up()
        engine.start_batching(observer=self._observer)
        return engine

    def _take_over(self, opened: OpenedRelease) -> None:
        def made() -> Engine:
            return self._ready(Engine(opened.store, opened.generator(), history=self._history, graph=self._graph))

        self._engines.set(apart(made))
        self._serving, self._refused = opened.release, ""
        log.info("release %s answers from now on", opened.id)

    def _refuse(self, reason: str) -> None:
        self._refused = reason
        log.warning("a release was refused, the old one goes on: %s", reason)
