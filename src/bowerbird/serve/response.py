"""What the engine answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bowerbird.serve.request import RawId

Stage = Literal["model", "content", "popularity"]
"""Who put an item into an answer: the model, the content neighbours, or recent popularity."""

Ranked = Literal["actions", "retrieval", "content", "popularity"]
"""What decided the place of an item: the worth of its likely actions, its nearness to the generated vectors, its
likeness to recent items, or its popularity."""

Fact = str | int | float


@dataclass(frozen=True)
class ItemCard:
    """An item as a person sees it.

    Attributes:
        id: Raw id.
        title: Its title, else its id.
        categories: Values of all its category columns, in table order.
        facts: Numbers and short texts worth showing, by column name.
        events: How often it has a positive event in the store.
    """

    id: RawId
    title: str
    categories: tuple[str, ...] = ()
    facts: dict[str, Fact] = field(default_factory=dict)
    events: int = 0


@dataclass(frozen=True)
class Why:
    """Where a recommendation comes from.

    Attributes:
        stage: Who found it.
        outcome: Outcome the finding vector was generated for; "any" = no particular one.
        step: Generation step, counted from 1.
        offset: Time offset the vector aims at, e.g. "now" or "+1 h".
        ranked: What decided its place.
    """

    stage: Stage
    outcome: str | None = None
    step: int | None = None
    offset: str | None = None
    ranked: Ranked = "retrieval"


@dataclass(frozen=True)
class Looked:
    """A past event that the model looked at for an item.

    Attributes:
        item: What the event was with.
        time: ms UTC.
        actions: What was done.
        weight: Share of the item's attention that the event got, 0 to 1.
    """

    item: ItemCard
    time: int
    actions: tuple[str, ...]
    weight: float


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        rank: From 1.
        item: What it is.
        score: Comparable inside one answer only.
        why: Where it comes from.
        probabilities: Action to how likely it is; empty where the item was not ranked by actions.
        looked_at: Past events the model looked at most, the most first; empty unless asked for.
    """

    rank: int
    item: ItemCard
    score: float
    why: Why
    probabilities: dict[str, float] = field(default_factory=dict)
    looked_at: tuple[Looked, ...] = ()


@dataclass(frozen=True)
class Note:
    """Something the reader of an answer should know. `code` is stable, `message` is for a person."""

    code: str
    message: str


@dataclass(frozen=True)
class Share:
    """Part of the answer: how many of its items an outcome was asked for (`budget`) and brought in
    (`items`)."""

    outcome: str
    weight: float
    budget: int
    items: int


@dataclass(frozen=True)
class Response:
    """Recommendations.

    Attributes:
        items: Best first; fewer than asked only with a note.
        notes: What was not as asked.
        stage: The best that could answer: the model, content neighbours of recent items, or recent popularity.
        shares: What was looked for, by outcome.
        history_used: Number of past events the model could read.
        timings_ms: Milliseconds by stage in order, and `total`. Requests answered in one batch wait for the whole
            batch in the stages of the model.
        release: Which model and index answered.
        values: What each action was worth; empty where the items were not ranked by actions.
    """

    items: tuple[Recommendation, ...]
    notes: tuple[Note, ...]
    stage: Stage
    shares: tuple[Share, ...]
    history_used: int
    timings_ms: dict[str, float]
    release: str
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Similar:
    """Items like one item."""

    item: ItemCard
    items: tuple[Recommendation, ...]
    notes: tuple[Note, ...]
    stage: Stage
    timings_ms: dict[str, float]
    release: str


@dataclass(frozen=True)
class Near:
    """A node near an item in the graph.

    Attributes:
        id: Raw id.
        score: Share of its time that a random walk with restart from the item spends there.
        through: Relations that join the two directly; empty: they are joined over other nodes only.
        item: Its card, where it is an item of the catalogue.
    """

    id: RawId
    score: float
    through: tuple[str, ...] = ()
    item: ItemCard | None = None


@dataclass(frozen=True)
class NearOfType:
    """Nodes of one type, best first."""

    type: str
    nodes: tuple[Near, ...]


@dataclass(frozen=True)
class Neighbourhood:
    """What is around an item in the graph, by node type. Users are left out."""

    item: ItemCard
    types: tuple[NearOfType, ...]
    notes: tuple[Note, ...]
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class TimelineEvent:
    """One event of a user: what, when (ms UTC), what they did with it, and where."""

    item: ItemCard
    time: int
    actions: tuple[str, ...]
    surface: str | None
    positive: bool


@dataclass(frozen=True)
class Timeline:
    """A user's events, newest first; `total` counts all of them."""

    user: RawId
    total: int
    events: tuple[TimelineEvent, ...]


@dataclass(frozen=True)
class UserCard:
    """A user in search results: number of events, and time of the first and last one (ms UTC; None without
    events)."""

    id: RawId
    events: int
    first: int | None
    last: int | None


@dataclass(frozen=True)
class Outcome:
    """Something a request can weigh: `default` is its share when nothing is asked, `events` how often it
    happened."""

    name: str
    default: float
    events: int


@dataclass(frozen=True)
class Facet:
    """A category column: its most frequent values (at most 200) with the number of items."""

    column: str
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class About:
    """What this engine serves.

    `search_surface` is where most searches were made; None = the model reads no queries. `map`: there is a map of the
    catalogue. `graph`: there are neighbourhoods of items.
    """

    dataset: str
    release: str
    model: str
    users: int
    items: int
    events: int
    first: int | None
    last: int | None
    outcomes: tuple[Outcome, ...]
    actions: tuple[str, ...]
    surfaces: tuple[str, ...]
    facets: tuple[Facet, ...]
    slate_rule: str
    search_surface: str | None = None
    map: bool = False
    graph: bool = False
