"""What comes in and goes out as JSON. The outgoing side mirrors `serve.response` field by field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StringConstraints

from bowerbird.serve import request as engine

MAX_K = 1000
MAX_HISTORY = 1000


def _id(value: object) -> int | str:
    if (
        isinstance(value, str)
        and 1 <= len(value) <= 512
        and not any("\ud800" <= c <= "\udfff" for c in value)
    ):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    raise ValueError("an id is text of 1 to 512 characters, or a whole number")


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
RawId = Annotated[int | str, BeforeValidator(_id)]
Query = Annotated[str, StringConstraints(min_length=1, max_length=engine.MAX_QUERY)]
Time = Annotated[StrictInt, Field(ge=-62_135_596_800_000, le=253_402_300_799_999)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Worth = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Limit = Annotated[StrictInt, Field(ge=1, le=MAX_K)]
Milliseconds = Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)]
Values = Annotated[list[Name], Field(max_length=100)]
Stage = Literal["model", "content", "popularity"]
Ranked = Literal["actions", "retrieval", "content", "popularity"]


class Incoming(BaseModel):
    """A message in: unknown fields are errors, so that a typo never passes silently."""

    model_config = ConfigDict(extra="forbid")


class Outgoing(BaseModel):
    """A message out, built from the engine's answer of the same shape."""

    model_config = ConfigDict(from_attributes=True)


class PastEvent(Incoming):
    """One entry of a history."""

    item: RawId = Field(description="Item id.", examples=["318"])
    action: Name | None = Field(None, description="What was done; left out: the most usual positive action.")
    time: Time | None = Field(
        None, description="Milliseconds UTC; left out: one minute after the entry before."
    )


class Filters(Incoming):
    """Which items may be shown, by category column."""

    include: dict[Name, Values] = Field(
        default_factory=dict,
        max_length=20,
        description="An item needs one of the values in every column named.",
        examples=[{"genres": ["Comedy"]}],
    )
    exclude: dict[Name, Values] = Field(
        default_factory=dict, max_length=20, description="An item with any of these values is left out."
    )

    def to_engine(self) -> engine.Filters:
        """The same filters as the engine takes them."""
        return engine.Filters(
            {name: tuple(values) for name, values in self.include.items()},
            {name: tuple(values) for name, values in self.exclude.items()},
        )


class RecommendationRequest(Incoming):
    """Ask for recommendations, for a stored user or for a history sent along."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"user": "1", "k": 10},
                {
                    "user": "1",
                    "outcomes": {"love": 0.7, "any": 0.3},
                    "k": 10,
                    "filters": {"exclude": {"genres": ["Horror"]}},
                },
                {"history": [{"item": "318"}, {"item": "296"}], "k": 10},
                {
                    "user": "1",
                    "values": {"love": 3.0, "like": 1.0, "dislike": -2.0},
                    "at_most": {"genres": 3},
                    "explain": True,
                    "deadline_ms": 200,
                    "k": 10,
                },
            ]
        },
    )

    user: RawId | None = Field(None, description="User id; left out: an anonymous visitor.")
    history: Annotated[list[PastEvent], Field(max_length=MAX_HISTORY)] | None = Field(
        None, description="Past events, oldest first, in place of the stored history."
    )
    surface: Name | None = Field(
        None, description="Where the answer is shown; left out: the most frequent surface."
    )
    query: Query | None = Field(
        None, description="What was searched: models that read queries read it right before they answer."
    )
    outcomes: Annotated[dict[Name, Weight], Field(max_length=64)] = Field(
        default_factory=dict,
        description="Outcome to weight (need not sum to one); left out: the model's own mixture. "
        "`GET /v1/about` lists the outcomes.",
    )
    k: Annotated[StrictInt, Field(ge=1, le=MAX_K)] = Field(20, description="Number of items.")
    exclude_seen: bool = Field(True, description="Leave out what the user has met before.")
    filters: Filters = Field(default_factory=Filters, description="Which items may be shown.")
    time: Time | None = Field(
        None,
        description="Time of the request, milliseconds UTC; left out: right after the last event known, of the log "
        "or of this user.",
    )
    values: Annotated[dict[Name, Worth], Field(max_length=64)] = Field(
        default_factory=dict,
        description="Action to what it is worth. A model that ranks orders what it found by the sum of worth times "
        "probability: below 0 counts against an item, actions not named count nothing, only ratios matter. "
        "Left out: the usual worths, which `GET /v1/about` lists. Unlike `outcomes`, which decide what is "
        "looked for, they decide the order of what was found.",
    )
    at_most: Annotated[dict[Name, Limit], Field(max_length=20)] = Field(
        default_factory=dict,
        description="Category column (or `creator`) to the most items of the answer that may share a value in it.",
    )
    explain: bool = Field(
        False, description="Say for each item which past events the model looked at; costs time of its own."
    )
    deadline_ms: Milliseconds | None = Field(
        None,
        description="Milliseconds the engine may take. Stages there is no time for are left out, and a note says so; "
        "left out: as long as it takes.",
    )

    def to_engine(self) -> engine.Request:
        """The request as the engine takes it."""
        history = self.history
        return engine.Request(
            user=self.user,
            history=None
            if history is None
            else tuple(engine.PastEvent(e.item, e.action, e.time) for e in history),
            surface=self.surface,
            query=self.query,
            outcomes=dict(self.outcomes),
            k=self.k,
            exclude_seen=self.exclude_seen,
            filters=self.filters.to_engine(),
            time=self.time,
            values=dict(self.values),
            at_most=dict(self.at_most),
            explain=self.explain,
            deadline_ms=self.deadline_ms,
        )


class Item(Outgoing):
    """An item as a person sees it."""

    id: int | str
    title: str = Field(examples=["Shawshank Redemption, The (1994)"])
    categories: list[str] = Field(examples=[["Crime", "Drama"]])
    facts: dict[str, str | int | float] = Field(
        description="Numbers and short texts by column.", examples=[{"year": 1994}]
    )
    events: int = Field(description="Positive events in the store.")


class Why(Outgoing):
    """Where a recommendation comes from."""

    stage: Stage = Field(description="Who found it.")
    outcome: str | None = Field(
        description="Outcome its vector was generated for; `any` = none in particular."
    )
    step: int | None = Field(description="Generation step, from 1.")
    offset: str | None = Field(description="Time offset the vector aims at.", examples=["now"])
    ranked: Ranked = Field(
        description="What decided its place: the worth of its likely actions, its nearness to the generated "
        "vectors, its likeness to recent items, or its popularity."
    )


class Looked(Outgoing):
    """A past event that the model looked at for an item."""

    item: Item = Field(description="What the event was with.")
    time: int = Field(description="Milliseconds UTC.")
    actions: list[str] = Field(description="What was done; empty: shown only.")
    weight: float = Field(
        description="Share of the item's attention that the event got, 0 to 1.", examples=[0.31]
    )


class Recommendation(Outgoing):
    """One recommended item."""

    rank: int
    item: Item
    score: float = Field(
        description="Larger is better; comparable inside one answer only. Where `why.ranked` is `actions`: the sum of "
        "worth times probability over the actions."
    )
    why: Why
    probabilities: dict[str, float] = Field(
        description="Action to how likely it is; empty: this item was not ranked by its actions.",
        examples=[{"love": 0.21, "like": 0.42, "dislike": 0.03}],
    )
    looked_at: list[Looked] = Field(
        description="Past events the model looked at most for this item, the most first; empty unless asked for by "
        "`explain`."
    )


class Note(Outgoing):
    """Something that was not as asked."""

    code: str = Field(examples=["unknown_user"])
    message: str = Field(examples=["user 'zoe' is unknown; showing what is popular"])


class Share(Outgoing):
    """What was looked for under one outcome."""

    outcome: str
    weight: float = Field(description="Share of the request.")
    budget: int = Field(description="Candidates its vectors were allowed to fetch.")
    items: int = Field(description="Items of the answer it found.")


class Recommendations(Outgoing):
    """An answer. `stage` says how far down the ladder model -> popularity it had to go; `notes` say why."""

    items: list[Recommendation]
    notes: list[Note]
    stage: Stage
    shares: list[Share]
    history_used: int = Field(description="Past events the model read.")
    timings_ms: dict[str, float] = Field(
        description="Milliseconds by stage, in order, and `total`. `wait`: for other requests at the model; `explain`: "
        "saying what was looked at.",
        examples=[
            {
                "history": 0.1,
                "wait": 1.2,
                "encode": 2.1,
                "generate": 1.1,
                "retrieve": 0.4,
                "rank": 1.6,
                "total": 6.7,
            }
        ],
    )
    release: str
    values: dict[str, float] = Field(
        description="What each action was worth; empty where the items were not ranked by actions."
    )


class Similar(Outgoing):
    """Items like one item."""

    item: Item
    items: list[Recommendation]
    notes: list[Note]
    stage: Stage
    timings_ms: dict[str, float]
    release: str


class TimelineEvent(Outgoing):
    """One event of a user."""

    item: Item
    time: int = Field(description="Milliseconds UTC.")
    actions: list[str] = Field(description="Empty: shown, nothing done.")
    surface: str | None
    positive: bool


class Timeline(Outgoing):
    """A user's events, newest first."""

    user: int | str
    total: int = Field(description="Number of all events of this user.")
    events: list[TimelineEvent]


class User(Outgoing):
    """A user in search results."""

    id: int | str
    events: int
    first: int | None = Field(description="Time of the first event, milliseconds UTC.")
    last: int | None


class Users(Outgoing):
    """Users found."""

    users: list[User]


class Items(Outgoing):
    """Items found."""

    items: list[Item]


class Outcome(Outgoing):
    """Something a request can weigh."""

    name: str
    default: float = Field(description="Its share when a request weighs none.")
    events: int


class Facet(Outgoing):
    """A category column with its most frequent values and their number of items."""

    column: str
    values: list[tuple[str, int]]


class About(Outgoing):
    """What is served here."""

    dataset: str
    release: str
    model: str
    users: int
    items: int
    events: int
    first: int | None
    last: int | None
    outcomes: list[Outcome]
    actions: list[str]
    surfaces: list[str]
    facets: list[Facet]
    slate_rule: str
    ranks: bool = Field(False, description="The model says how likely actions are, and orders items by that.")
    values: dict[str, float] = Field(
        default_factory=dict,
        description="The actions that `values` of a request can weigh, each with what it is worth where a request "
        "says nothing: how much likelier than usual an action is counts, so rare ones are worth more. Below 0: "
        "unwanted. Empty: the model does not rank.",
        examples=[{"like": 2.5, "love": 9.1, "dislike": -20.0}],
    )
    search_surface: str | None = Field(
        None, description="Where most searches were made; null: the model reads no `query` of a request."
    )
    takes_events: bool = Field(False, description="Events can be posted to `/v1/events`.")
    map: bool = Field(False, description="There is a map of the catalogue at `/v1/map`.")
    graph: bool = Field(False, description="Items have neighbourhoods at `/v1/items/{item}/neighbourhood`.")


class Fault(Outgoing):
    """One thing wrong with a request."""

    code: str = Field(examples=["invalid"])
    field: str | None = Field(
        None, description="The part of the request at fault.", examples=["outcomes.save"]
    )
    message: str


class Faults(Outgoing):
    """The body of every answer that is not a success."""

    errors: list[Fault]
