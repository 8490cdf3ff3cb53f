"""What an engine answers besides recommendations: items, users, likeness, and what it serves."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bowerbird.serve.catalogue import Catalogue
from bowerbird.serve.engine.clock import Stopwatch
from bowerbird.serve.fallback import ContentNeighbours, Popularity
from bowerbird.serve.generators.base import Generator, Neighbours
from bowerbird.serve.guard import Guard, Picked
from bowerbird.serve.map import CatalogueMap, Making, MapMaker, has_vectors
from bowerbird.serve.neighbourhood import MOST, GraphNeighbours, NearNode, NoGraphError
from bowerbird.serve.past.trails import Trails, code_of
from bowerbird.serve.people import People
from bowerbird.serve.request import Filters, RawId, RequestError
from bowerbird.serve.response import (
    About,
    ItemCard,
    Near,
    NearOfType,
    Neighbourhood,
    Note,
    Outcome,
    Recommendation,
    Similar,
    Stage,
    Timeline,
    UserCard,
    Why,
)
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Store


class UnknownEntityError(BowerbirdError):
    """A user or an item that nobody knows, where no fallback makes sense."""


class Browsing:
    """Answers about single items and users of one store with one generator.

    Attributes:
        store, generator: What is served.
        catalogue: Items for people. people: Users for people.
        popularity, content: What answers where the model does not.
        trails: Pasts of users.
        maps: Draws the catalogue. graph: Neighbourhoods of items; None = there is no graph.
    """

    store: Store
    generator: Generator
    catalogue: Catalogue
    people: People
    popularity: Popularity
    content: ContentNeighbours
    trails: Trails
    maps: MapMaker
    graph: GraphNeighbours | None

    def similar(self, item: RawId, k: int = 20) -> Similar:
        """Items like `item`: by the model's vectors, else by content, else recent popularity; the answer
        says which.

        Raises:
            RequestError: `k` is below 1.
        """
        if k < 1:
            raise RequestError(f"must be at least 1, got {k}", field="k")
        watch = Stopwatch()
        code = code_of(self.store.items, item)
        notes: list[Note] = []
        stage: Stage = "model"
        guard = Guard(k, allowed=None, exclude=np.array([code], np.int32))
        with watch.stage("retrieve"):
            if code >= 0:
                stage, near = self._near(code, min(k, self.store.n_items))
                why = Why(stage, ranked="retrieval" if stage == "model" else "content")
                row = np.full(near.item.shape[1], -1)
                guard.offer(near.item[0], near.score[0], [why] * len(row), row)
                if stage == "content":
                    text = "the model does not know this item yet; compared by its categories"
                    notes.append(Note("not_indexed", text))
            else:
                text = f"item {str(item)[:80]!r} is unknown; showing what is popular"
                notes.append(Note("unknown_item", text))
        with watch.stage("guard"):
            if not guard.picked:
                stage = "popularity"
                if code >= 0:
                    text = "nothing is known about this item; showing what is popular"
                    notes.append(Note("no_neighbours", text))
                items, share = self.popularity.best(k, allowed=None, exclude=guard.exclude)
                popular = Why("popularity", ranked="popularity")
                guard.offer(items, share, [popular] * len(items), np.full(len(items), -1))
            if guard.missing:
                text = f"{k} items were asked for, {len(guard.picked)} can be shown"
                notes.append(Note("fewer_items", text))
            card = self.catalogue.cards([code])[0] if code >= 0 else ItemCard(item, str(item))
            found = self._cards(guard.picked)
        return Similar(card, found, tuple(notes), stage, watch.timings(), self.generator.release)

    def _near(self, code: int, k: int) -> tuple[Stage, Neighbours]:
        near = self.generator.similar(np.array([code], np.int32), k)
        return ("model", near) if (near.item >= 0).any() else ("content", self.content.near(code, k))

    def _cards(self, picked: list[Picked]) -> tuple[Recommendation, ...]:
        cards = self.catalogue.cards([entry.item for entry in picked])
        return tuple(
            Recommendation(rank, card, round(entry.score, 6), entry.why)
            for rank, (card, entry) in enumerate(zip(cards, picked, strict=True), start=1)
        )

    def neighbourhood(self, item: RawId, k: int = 10) -> Neighbourhood:
        """The nodes nearest to an item in the graph, at most `k` of each type; users are left out.

        Raises:
            RequestError: `k` is not from 1 to 50.
            UnknownEntityError: The store does not know the item.
            NoGraphError: No graph is served.
        """
        if not 1 <= k <= MOST:
            raise RequestError(f"must be from 1 to {MOST}, got {k}", field="k")
        watch = Stopwatch()
        card = self.item(item)
        if self.graph is None:
            raise NoGraphError(
                "this server has no graph, so items have no neighbourhood; build one with `bowerbird graph build` and "
                "name it: `bowerbird serve --graph graph`"
            )
        notes: list[Note] = []
        with watch.stage("walk"):
            near = self.graph.near(card.id, k)
        if near is None:
            notes.append(Note("not_in_graph", "the graph does not know this item yet"))
        elif not any(near.values()):
            notes.append(Note("no_neighbours", "nothing is connected to this item"))
        with watch.stage("cards"):
            types = tuple(NearOfType(name, self._named(name, nodes)) for name, nodes in (near or {}).items())
        return Neighbourhood(card, types, tuple(notes), watch.timings())

    def _named(self, node_type: str, nodes: list[NearNode]) -> tuple[Near, ...]:
        codes = [code_of(self.store.items, node.id) if node_type == "item" else -1 for node in nodes]
        known = iter(self.catalogue.cards([code for code in codes if code >= 0]))
        return tuple(
            Near(node.id, round(node.score, 6), node.through, next(known) if code >= 0 else None)
            for node, code in zip(nodes, codes, strict=True)
        )

    def map(self) -> CatalogueMap | Making:
        """The map of the catalogue, or that it is being made.

        Raises:
            NoMapError: There are no vectors of items.
            MapFailedError: It could not be made.
        """
        return self.maps.get()

    def item(self, item: RawId) -> ItemCard:
        """The card of one item. Raises UnknownEntityError."""
        code = code_of(self.store.items, item)
        if code < 0:
            raise UnknownEntityError(f"item {str(item)[:80]!r} is unknown; search the catalogue for its id")
        return self.catalogue.cards([code])[0]

    def items(
        self, search: str = "", limit: int = 20, filters: Filters | None = None
    ) -> tuple[ItemCard, ...]:
        """Items whose title or id holds every word of `search`, most popular first.

        Raises:
            RequestError: A category column that does not exist.
        """
        return tuple(self.catalogue.cards(self.catalogue.search(search, limit, filters)))

    def history(self, user: RawId, limit: int = 100) -> Timeline:
        """The newest events of a user, those posted to this engine included.

        Raises:
            UnknownEntityError: Neither the store nor the online history knows the user.
        """
        trail = self.trails.of(user)
        if trail.user < 0 and not trail.posted:
            raise UnknownEntityError(f"user {str(user)[:80]!r} is unknown; search the users for its id")
        posted = self.trails.posted(user, limit) if trail.posted else ()
        return self.people.timeline(user, trail.user, posted, trail.posted, limit)

    def users(self, search: str = "", limit: int = 20) -> tuple[UserCard, ...]:
        """Users of the store whose id holds `search`, most active first."""
        return self.people.search(search, limit)

    @cached_property
    def about(self) -> About:
        """What is served."""
        manifest = self.store.manifest
        counts = self.people.action_counts
        first, last = manifest.time_range or (None, None)
        known = self.generator.outcomes
        total = sum(known.values()) or 1.0
        return About(
            dataset=manifest.dataset,
            release=self.generator.release,
            model=self.generator.name,
            users=self.store.n_users,
            items=self.store.n_items,
            events=len(self.store.events),
            first=first,
            last=last,
            outcomes=tuple(
                Outcome(name, share / total, counts.get(name, 0)) for name, share in known.items()
            ),
            actions=tuple(manifest.actions),
            surfaces=tuple(str(surface) for surface in self.store.surfaces),
            facets=self.catalogue.facets(),
            slate_rule=manifest.slate_rule,
            search_surface=self._search_surface,
            map=has_vectors(self.store, self.generator),
            graph=self.graph is not None,
        )

    @cached_property
    def _search_surface(self) -> str | None:
        said = self.trails.mentions
        if "query" not in self.generator.mentions or said is None or not len(self.store.surfaces):
            return None
        made = said.surface
        counts = np.bincount(made[made >= 0], minlength=1)
        return str(self.store.surfaces.decode(np.array([counts.argmax()], np.int32))[0])
