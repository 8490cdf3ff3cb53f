"""The first stage: what a request means for this platform, and the past it is answered from."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bowerbird.serve.catalogue import Catalogue
from bowerbird.serve.engine.clock import Clock, Stopwatch
from bowerbird.serve.engine.trip import Trip
from bowerbird.serve.engine.values import asked_values, usual_values
from bowerbird.serve.generators.base import Generator
from bowerbird.serve.past.given import given
from bowerbird.serve.past.trails import Trail, Trails, code_of
from bowerbird.serve.past.window import Window
from bowerbird.serve.people import People
from bowerbird.serve.request import Request, RequestError
from bowerbird.serve.response import Note
from bowerbird.serve.traffic import deadlines
from bowerbird.tables.errors import did_you_mean
from bowerbird.tables.store import Store

log = logging.getLogger("bowerbird.serve")


@dataclass(frozen=True, eq=False)
class _Past:
    window: Window
    recent: np.ndarray
    seen: np.ndarray
    unreadable: int
    key: Hashable | None = None


class Preparing:
    """Turns requests into trips.

    Args:
        store, catalogue, people, trails: What is known.
        generator: For outcomes and actions.
        clock: For deadlines and timings.
        overfetch: Candidates a model that ranks is asked for, as a multiple of the items wanted.
    """

    def __init__(
        self, store: Store, catalogue: Catalogue, people: People, trails: Trails, generator: Generator, *,
        clock: Clock, overfetch: float,
    ) -> None:  # fmt: skip
        self._store, self._catalogue, self._people, self._trails = store, catalogue, people, trails
        self._generator, self._clock, self._overfetch = generator, clock, overfetch
        _, last = store.manifest.time_range or (0, 0)
        self._end = last + 1

    @cached_property
    def usual_values(self) -> dict[str, float]:
        """What actions are worth where a request says nothing."""
        negative = self._store.manifest.negative_actions
        counts = self._people.action_counts if self._generator.actions else {}
        return usual_values(self._generator.actions, negative, counts, len(self._store.events))

    def trip(self, request: Request) -> Trip:
        """A request, ready for the model.

        Raises:
            RequestError: An outcome, action or category column that does not exist.
        """
        watch = Stopwatch(self._clock)
        own = None if request.deadline_ms is None else watch.started + request.deadline_ms / 1000
        with watch.stage("history"):
            notes: list[Note] = []
            shares, values = self._outcomes(request.outcomes), self._values(request, notes)
            past = self._past(request, notes)
            allowed = None
            if request.filters:
                allowed, filter_notes = self._catalogue.allowed(request.filters)
                notes += filter_notes
            now = self._end if request.time is None else request.time
            if request.time is None and request.history is None and len(past.window):
                now = max(now, int(past.window.time[-1]) + 1)
            more = self._overfetch if self._generator.actions or request.at_most else 1.0
            surface = self._surface(request.surface, notes)
            context = self._context(request.query, now, surface, notes)
        return Trip(
            request, watch, deadlines.earlier(own, deadlines.current()), now, surface, shares, values, past.window,
            past.key, past.recent, past.seen if request.exclude_seen else np.empty(0, np.int32), allowed,
            min(int(np.ceil(more * request.k)), self._store.n_items), context, notes,
        )  # fmt: skip

    def _outcomes(self, asked: Mapping[str, float]) -> dict[str, float]:
        known = self._generator.outcomes
        for name in asked:
            if name not in known:
                raise RequestError(f"unknown outcome {name!r}; {did_you_mean(name, known)}", field="outcomes")
        weights = {name: float(weight) for name, weight in (asked or known).items() if weight > 0}
        largest = max(weights.values())  # dividing by it first keeps tiny weights from vanishing
        weights = {name: weight / largest for name, weight in weights.items()}
        return {name: weight / sum(weights.values()) for name, weight in weights.items()}

    def _values(self, request: Request, notes: list[Note]) -> dict[str, float]:
        if not request.values:
            return self.usual_values
        if not self._generator.actions:
            asked_values(request.values, self._store.manifest.actions)
            notes.append(
                Note("values_unused", "this model does not say how likely actions are; worths are unused")
            )
            return {}
        return asked_values(request.values, self._generator.actions)

    def _past(self, request: Request, notes: list[Note]) -> _Past:
        trail = None if request.user is None else self._trail(request, notes)
        if request.history is None:
            past = self._stored(request, trail, notes)
        else:
            past = self._given(request, trail, notes)
        if past.unreadable:
            text = f"{past.unreadable} past events were left out: the model has no vector of their items"
            notes.append(Note("missing_embedding", text))
        return past

    def _trail(self, request: Request, notes: list[Note]) -> Trail:
        assert request.user is not None
        try:
            trail = self._trails.of(request.user)
        except Exception:
            log.exception("the online history cannot be read; answered from the store alone")
            notes.append(Note("history_failed", "events posted lately cannot be read; answered without them"))
            trail = self._trails.stored(request.user)
        if trail.user < 0 and not trail.posted:
            rest = "answered from the history given" if request.history else "showing what is popular"
            notes.append(Note("unknown_user", f"user {str(request.user)[:80]!r} is unknown; {rest}"))
        return trail

    def _stored(self, request: Request, trail: Trail | None, notes: list[Note]) -> _Past:
        if trail is None:
            notes.append(Note("anonymous", "no user and no history were given; showing what is popular"))
            none = np.empty(0, np.int32)
            return _Past(Window.of(), none, none, 0)
        if not len(trail.recent) and (trail.user >= 0 or trail.posted):
            notes.append(Note("empty_history", "this user has no history yet; showing what is popular"))
        return _Past(trail.window, trail.recent, trail.seen, trail.unreadable, trail.key)

    def _given(self, request: Request, trail: Trail | None, notes: list[Note]) -> _Past:
        assert request.history is not None
        found = given(
            request.history, self._store, self._trails.length,
            now=self._end if request.time is None else request.time, action=self._people.usual_action,
            surface=self._people.usual_surface, readable=self._generator.readable,
        )  # fmt: skip
        notes += found.notes
        if not len(found.recent):
            notes.append(Note("empty_history", "nothing in the history can be used; showing what is popular"))
        seen = found.seen if trail is None else np.union1d(found.seen, trail.seen).astype(np.int32)
        return _Past(found.window, found.recent, seen, found.unreadable)

    def _context(self, query: str | None, now: int, surface: int, notes: list[Note]) -> Window | None:
        if query is None:
            return None
        code = self._generator.query_id(query)
        if code < 0:
            notes.append(
                Note("query_unused", "this model does not read queries; answered from the history alone")
            )
            return None
        return Window.of([code], [now], [0], [surface])

    def _surface(self, name: str | None, notes: list[Note]) -> int:
        code = self._people.usual_surface if name is None else code_of(self._store.surfaces, name)
        if code >= 0:
            return code
        hint = did_you_mean(str(name), [str(surface) for surface in self._store.surfaces])
        notes.append(
            Note("unknown_surface", f"surface {str(name)[:80]!r} is unknown, the usual one is used; {hint}")
        )
        return self._people.usual_surface
