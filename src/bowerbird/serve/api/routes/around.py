"""Where items lie: the map of the catalogue, and what is around one item in the graph."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Response
from pydantic import Field

from bowerbird.serve import response as answered
from bowerbird.serve.api import messages
from bowerbird.serve.api.errors import fault
from bowerbird.serve.api.ports import Answers
from bowerbird.serve.api.routes.work import Work
from bowerbird.serve.map import CatalogueMap, MapFailedError, NoMapError
from bowerbird.serve.map.layout import SIDE, Method
from bowerbird.serve.neighbourhood import MOST, NoGraphError

Side = Annotated[int, Field(ge=0, le=SIDE)]

_ETAG = {"ETag": {"description": "Send it back as `If-None-Match`.", "schema": {"type": "string"}}}
_AGAIN = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_MISSING: dict[str, Any] = {"model": messages.Faults}


class Map(messages.Outgoing):
    """Every item a point. The lists have one entry an item, less popular ones first: drawn in this order, the popular
    ones lie on top. Cards are at `/v1/items/{item}`."""

    release: str
    source: str = Field(
        description="What the vectors are: a signal and its release, or a release of the model.",
        examples=["omnisage_items/2024-05-01"],
    )
    method: Method = Field(description="How they were laid out; `pca` for small catalogues.")
    side: int = Field(description="`x` and `y` are from 0 to this.")
    total: int = Field(description="Items with a vector; more than are listed where only some are shown.")
    items: int = Field(description="Items of the catalogue.")
    column: str | None = Field(description="The category column that `category` is about.")
    categories: list[str] = Field(description="Its values, the most frequent first.")
    ids: list[int | str]
    x: list[Side]
    y: list[Side] = Field(description="Grows downwards.")
    category: list[Annotated[int, Field(ge=-1)]] = Field(
        description="Place of the item's first value among `categories`; -1: none."
    )
    size: list[Annotated[int, Field(ge=0, le=3)]] = Field(
        description="How popular: 0 usual, 3 one in a hundred."
    )


class MapPending(messages.Outgoing):
    """The map is being made."""

    making: bool = True
    seconds: float = Field(description="For how long already.")
    retry_after: int = Field(description="Seconds to wait.")


class Near(messages.Outgoing):
    """A node near an item."""

    id: int | str
    score: float = Field(
        description="Share of its time that a random walk with restart from the item spends there."
    )
    through: list[str] = Field(
        description="Relations that join the two directly; empty: they are joined over other nodes only.",
        examples=[["item-item"]],
    )
    item: messages.Item | None = Field(description="Its card, where it is an item of the catalogue.")


class NearOfType(messages.Outgoing):
    """Nodes of one type, the nearest first."""

    type: str = Field(examples=["collection"])
    nodes: list[Near]


class Neighbourhood(messages.Outgoing):
    """What is around an item in the graph. Users are never named."""

    item: messages.Item
    types: list[NearOfType]
    notes: list[messages.Note]
    timings_ms: dict[str, float]


class _Written:
    """A map as bytes, written once."""

    def __init__(self) -> None:
        self._known: tuple[CatalogueMap, bytes, str] | None = None

    def of(self, found: CatalogueMap) -> tuple[bytes, str]:
        """The body and its ETag."""
        known = self._known
        if known is None or known[0] is not found:
            body = orjson.dumps(
                {
                    "release": found.release, "source": found.source, "method": found.method, "side": SIDE,
                    "total": found.total, "items": found.items, "column": found.column, "categories": found.categories,
                    "ids": found.ids, "x": found.x.tolist(), "y": found.y.tolist(), "category": found.category.tolist(),
                    "size": found.size.tolist(),
                }
            )  # fmt: skip
            self._known = known = found, body, f'"{hashlib.sha256(body).hexdigest()[:24]}"'
        return known[1], known[2]


def around(engine: Answers, work: Work) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["browse"])
    written = _Written()

    def drawn() -> tuple[bytes, str] | MapPending:
        found = engine.map()
        if isinstance(found, CatalogueMap):
            return written.of(found)
        return MapPending(seconds=round(found.seconds, 1), retry_after=found.retry_after)

    @router.get(
        "/v1/map",
        response_model=Map,
        responses={
            200: {"headers": _ETAG},
            202: {"model": MapPending, "description": "It is being made; ask again.", "headers": _AGAIN},
            304: {"description": "It is the one that `If-None-Match` names.", "headers": _ETAG},
            404: {**_MISSING, "description": "There are no vectors of items."},
            503: {**_MISSING, "description": "It could not be made, or not now.", "headers": _AGAIN},
        },
    )
    async def map(if_none_match: Annotated[str | None, Header(max_length=1000)] = None) -> Response:
        """A map of the catalogue: what is alike lies together.

        Made when somebody asks for the first time, once a release; until then 202.
        """
        try:
            found = await work(drawn)
        except NoMapError as error:
            return fault(404, "no_map", str(error))
        except MapFailedError as error:
            return fault(503, "map", str(error), retry_after=error.retry_after)
        if isinstance(found, MapPending):
            waiting = {"retry-after": str(found.retry_after), "cache-control": "no-store"}
            return Response(found.model_dump_json(), 202, waiting, "application/json")
        body, etag = found
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if _holds(if_none_match, etag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    @router.get(
        "/v1/items/{item:path}/neighbourhood",
        response_model=Neighbourhood,
        responses={404: {**_MISSING, "description": "There is no such item, or no graph (`no_graph`)."}},
    )
    async def neighbourhood(
        item: str, k: Annotated[int, Query(ge=1, le=MOST, description="Nodes of each type.")] = 10
    ) -> answered.Neighbourhood | Response:
        """What is around an item in the graph, by node type, as a random walk with restart finds it."""
        try:
            answer = await work(lambda: engine.neighbourhood(item, k))
        except NoGraphError as error:
            return fault(404, "no_graph", str(error))
        work.metrics.stages("/v1/items/{item}/neighbourhood", answer.timings_ms)
        return answer

    return router


def _holds(if_none_match: str | None, etag: str) -> bool:
    named = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return etag in named or named == ["*"]
