"""Asking: recommendations, similar items, and looking around."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from starlette.routing import NoMatchFound

from bowerbird.serve import response as answered
from bowerbird.serve.api import messages
from bowerbird.serve.api.ports import Answers
from bowerbird.serve.api.routes.work import Work
from bowerbird.serve.request import Request as Asked
from bowerbird.serve.traffic import TrafficError

_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": messages.Faults, "description": "There is none."}
}

Search = Annotated[str, Query(max_length=200, description="Words to search for; empty: all.")]
Limit = Annotated[int, Query(ge=1, le=messages.MAX_K, description="At most so many.")]
K = Annotated[int, Query(ge=1, le=messages.MAX_K, description="Number of items.")]


class UsualValues:
    """What actions are worth to the engine where a request says nothing, looked up once a release.

    The engine says so in every answer that it ranks; the busiest user is asked about, who surely has a history.

    Args:
        engine: What answers.
    """

    def __init__(self, engine: Answers) -> None:
        self._engine = engine
        self._known: tuple[str, dict[str, float]] | None = None

    def of(self, release: str) -> dict[str, float]:
        """Action to worth; empty where the model does not rank, or could not be asked just now."""
        known = self._known
        if known is not None and known[0] == release:
            return known[1]
        busiest = self._engine.users("", 1)
        if not busiest:
            return {}
        try:
            answer = self._engine.recommend(Asked(user=busiest[0].id, k=1))
        except TrafficError:
            return {}
        if answer.stage == "model" and not any(note.code == "not_ranked" for note in answer.notes):
            self._known = answer.release, answer.values
        return answer.values if answer.release == release else {}


def _takes_events(app: FastAPI) -> bool:
    try:
        app.url_path_for("post_events")
    except NoMatchFound:
        return False
    return True


def answers(engine: Answers, work: Work) -> APIRouter:
    """The routes that ask the engine."""
    router = APIRouter()
    seen = work.metrics.stages
    usual = UsualValues(engine)

    def described() -> messages.About:
        about = messages.About.model_validate(engine.about)
        values = usual.of(about.release)
        return about.model_copy(update={"values": values, "ranks": bool(values)})

    @router.post("/v1/recommendations", response_model=messages.Recommendations, tags=["recommend"])
    async def recommendations(body: messages.RecommendationRequest) -> answered.Response:
        """Recommendations for a user, or for a history sent along."""
        answer = await work(lambda: engine.recommend(body.to_engine()))
        seen("/v1/recommendations", answer.timings_ms)
        return answer

    @router.get("/v1/similar/{item:path}", response_model=messages.Similar, tags=["recommend"])
    async def similar(item: str, k: K = 20) -> answered.Similar:
        """Items like one item."""
        answer = await work(lambda: engine.similar(item, k))
        seen("/v1/similar/{item}", answer.timings_ms)
        return answer

    @router.get("/v1/users", response_model=messages.Users, tags=["browse"])
    async def users(search: Search = "", limit: Limit = 20) -> dict[str, Any]:
        """Users whose id holds the search text, most active first."""
        return {"users": await work(lambda: engine.users(search, limit))}

    @router.get(
        "/v1/users/{user:path}/history",
        response_model=messages.Timeline,
        responses=_NOT_FOUND,
        tags=["browse"],
    )
    async def history(user: str, limit: Limit = 100) -> answered.Timeline:
        """A user's events, newest first."""
        return await work(lambda: engine.history(user, limit))

    @router.get("/v1/items", response_model=messages.Items, tags=["browse"])
    async def items(search: Search = "", limit: Limit = 20) -> dict[str, Any]:
        """Items whose title or id holds every word of the search text, most popular first."""
        return {"items": await work(lambda: engine.items(search, limit))}

    @router.get("/v1/items/{item:path}", response_model=messages.Item, responses=_NOT_FOUND, tags=["browse"])
    async def item(item: str) -> answered.ItemCard:
        """One item."""
        return await work(lambda: engine.item(item))

    @router.get("/v1/about", response_model=messages.About, tags=["server"])
    async def about(request: Request) -> messages.About:
        """What is served: the data, the model, what a request can weigh, the category columns, and whether events
        can be posted."""
        found = await work(described)
        return found.model_copy(update={"takes_events": _takes_events(request.app)})

    return router
