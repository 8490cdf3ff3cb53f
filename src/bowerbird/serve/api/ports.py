"""What the HTTP side needs from the rest of the engine, besides answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bowerbird.serve.map import CatalogueMap, Making
from bowerbird.serve.online.events import OnlineEvent, Receipt
from bowerbird.serve.request import RawId, Request
from bowerbird.serve.response import (
    About,
    ItemCard,
    Neighbourhood,
    Response,
    Similar,
    Timeline,
    UserCard,
)


class Answers(Protocol):
    """What answers: `serve.engine.Engine`, or `serve.service.Service` around one."""

    @property
    def about(self) -> About:
        """What is served."""

    def recommend(self, request: Request, /) -> Response:
        """Recommendations."""

    def similar(self, item: RawId, k: int = 20) -> Similar:
        """Items like one item."""

    def item(self, item: RawId, /) -> ItemCard:
        """One item."""

    def items(self, search: str = "", limit: int = 20) -> tuple[ItemCard, ...]:
        """Items by words."""

    def history(self, user: RawId, limit: int = 100) -> Timeline:
        """A user's events."""

    def users(self, search: str = "", limit: int = 20) -> tuple[UserCard, ...]:
        """Users by id."""

    def neighbourhood(self, item: RawId, k: int = 10) -> Neighbourhood:
        """What is around one item in the graph."""

    def map(self) -> CatalogueMap | Making:
        """The map of the catalogue."""


class SinkHealth(Protocol):
    """Whether events can be kept and read."""

    @property
    def ok(self) -> bool:
        """No problem is known."""


class EventSink(Protocol):
    """Where posted events go. `serve.online.OnlineHistory` is one."""

    def append(self, posted: Sequence[OnlineEvent], /) -> Receipt:
        """Keeps events; when it returns they are on the disk.

        Raises:
            RequestError: An event cannot be kept as written; nothing was.
            OnlineError: The history is locked, full or gone; `retry_after` in seconds, or None.
        """

    def health(self) -> SinkHealth:
        """Whether events can be kept and read; does not raise."""


@dataclass(frozen=True)
class ReleaseState:
    """What is served.

    Attributes:
        serving: Id of the release that answers now.
        active: Id of the release that should; differs from `serving` during a swap, or where the server refused it.
        created: When the serving one was made, ms UTC; None = unknown.
        learner: Registry name of its model.
        metrics: What its model reached, as published; plain values.
        previous: Id a rollback would go to; None = there is none.
        refused: Whether the active release was looked at and refused; the log says why.
    """

    serving: str
    active: str | None = None
    created: int | None = None
    learner: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    previous: str | None = None
    refused: bool = False


class ReleaseAdmin(Protocol):
    """Says and changes which release is served."""

    def state(self) -> ReleaseState:
        """What is served now."""

    def rollback(self) -> ReleaseState:
        """Makes the release active that was so before.

        Raises:
            BowerbirdError: There is none, or it is damaged or does not fit; nothing has changed.
        """
