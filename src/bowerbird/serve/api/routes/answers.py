"""Asking: recommendations, similar items, and looking around."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from bowerbird.serve import response as answered
from bowerbird.serve.api import messages
from bowerbird.serve.api.ports import Answers
from bowerbird.serve.api.routes.work import Work

_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": messages.Faults, "description": "There is none."}
}

Search = Annotated[str, Query(max_length=200, description="Words to search for; empty: all.")]
Limit = Annotated[int, Query(ge=1, le=messages.MAX_K, description="At most so many.")]
K = Annotated[int, Query(ge=1, le=messages.MAX_K, description="Number of items.")]


def answers(engine: Answers, work: Work) -> APIRouter:
    """The routes that ask the engine."""
    router = APIRouter()
    seen = work.metrics.stages

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
    async def about() -> answered.About:
        """What is served: the data, the model, the outcomes a request can weigh, the category columns."""
        return await work(lambda: engine.about)

    return router
