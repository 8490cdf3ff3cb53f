"""Posting events."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field, StrictInt, StringConstraints

from bowerbird.serve.api import messages
from bowerbird.serve.api.ports import EventSink
from bowerbird.serve.api.routes.work import Work
from bowerbird.serve.online.events import OnlineEvent

MAX_EVENTS = 1000

EventId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class PostedEvent(messages.Incoming):
    """One item shown to one user, with what they did."""

    event_id: EventId = Field(
        description="Chosen by whoever posts; the same id again is the same event, so posting again is safe.",
        examples=["7f3c-0001"],
    )
    user: messages.RawId = Field(description="User id; may be new.", examples=["1"])
    item: messages.RawId = Field(description="Item id; may be new.", examples=["318"])
    time: messages.Time = Field(
        description="When it happened, milliseconds UTC.", examples=[1_700_000_000_000]
    )
    actions: Annotated[list[messages.Name], Field(max_length=64)] = Field(
        default_factory=list, description="What the user did; empty: shown only. `GET /v1/about` lists them."
    )
    surface: messages.Name | None = Field(None, description="Where it was shown.")
    request: Text | None = Field(None, description="The slate it was part of.")
    position: Annotated[StrictInt, Field(ge=0, le=32767)] | None = Field(
        None, description="Its place in the slate, from 0."
    )
    query: messages.Query | None = Field(None, description="What was searched.")

    def to_engine(self) -> OnlineEvent:
        """The event as the history takes it."""
        return OnlineEvent(
            self.event_id, self.user, self.item, self.time, tuple(self.actions), self.surface, self.request,
            self.position, self.query,
        )  # fmt: skip


class PostedEvents(messages.Incoming):
    """Events, kept all together or, where one cannot be kept as written, not at all."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"events": [{"event_id": "7f3c-0001", "user": "1", "item": "318", "time": 1_700_000_000_000}]}
            ]
        },
    )

    events: Annotated[list[PostedEvent], Field(min_length=1, max_length=MAX_EVENTS)]


class EventOutcome(messages.Outgoing):
    """What became of one event."""

    event_id: str
    outcome: Literal["kept", "conflict"] = Field(
        description="kept: on the disk, now or before. conflict: the id was used for another event, which stays."
    )


class EventReceipt(messages.Outgoing):
    """What became of the events, in the order they were posted. Whatever is `kept` is on the disk."""

    accepted: int = Field(description="Events that are new.")
    duplicates: int = Field(description="Events that were there already, equal in every field.")
    events: list[EventOutcome]


def events(sink: EventSink, work: Work) -> APIRouter:
    """The route that posts events."""
    router = APIRouter()

    @router.post(
        "/v1/events",
        response_model=EventReceipt,
        responses={
            207: {"model": EventReceipt, "description": "Some events are in conflict; the others are kept."}
        },
        tags=["events"],
    )
    async def post_events(body: PostedEvents, response: Response) -> EventReceipt:
        """Keeps events; the next answer for their users knows them.

        200 where all are kept, 207 where some are in conflict. After an error or no answer at all, post them again:
        an event id counts once.
        """
        posted = [event.to_engine() for event in body.events]
        receipt = await work(lambda: sink.append(posted))
        work.metrics.events(receipt.accepted, receipt.duplicates, len(receipt.conflicts))
        conflicts = frozenset(receipt.conflicts)
        if conflicts:
            response.status_code = 207
        return EventReceipt(
            accepted=receipt.accepted,
            duplicates=receipt.duplicates,
            events=[
                EventOutcome(event_id=id, outcome="conflict" if id in conflicts else "kept")
                for id in (event.event_id for event in posted)
            ],
        )

    return router
