"""The engine: a request in, a response out, no HTTP.

The road of a request: history -> generate (encode, generate, retrieve on the model side) -> guard -> answer.
    When the
model cannot answer (unknown user, empty history, a failure), recent popularity does, and the answer says so.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from bowerbird.serve.catalogue import Catalogue
from bowerbird.serve.fallback import ContentNeighbours, Popularity
from bowerbird.serve.generators.base import Candidates, Generator, Neighbours
from bowerbird.serve.guard import Picked, fill, keep
from bowerbird.serve.people import Past, People, action_counts, code_of
from bowerbird.serve.request import Filters, RawId, Request, RequestError
from bowerbird.serve.response import (
    About,
    ItemCard,
    Note,
    Outcome,
    Recommendation,
    Response,
    Share,
    Similar,
    Stage,
    Timeline,
    UserCard,
    Why,
)
from bowerbird.tables.errors import BowerbirdError, did_you_mean
from bowerbird.tables.store import Store
from bowerbird.tables.view import View

log = logging.getLogger("bowerbird.serve")


class UnknownEntityError(BowerbirdError):
    """A user or an item that the store does not know, where no fallback makes sense."""


class Engine:
    """Answers requests from one store with one generator. Safe to share between threads.

    Args:
        store: Users, items and histories.
        generator: The model side.
    """

    def __init__(self, store: Store, generator: Generator) -> None:
        self.store = store
        self.generator = generator
        view = View(store)
        self.catalogue = Catalogue(store.item_table, view.item_counts())
        self.people = People(store, view, self.catalogue)
        first, last = store.manifest.time_range or (0, 0)
        self._now = last + 1
        self.popularity = Popularity(view, first)
        self.content = ContentNeighbours(store.item_table)

    @classmethod
    def open(cls, artifact: str | Path, store: str | Path) -> Engine:
        """Opens an artifact and a store from their folders.

        Raises:
            BowerbirdError: One is missing or damaged, or they do not belong together.
        """
        from bowerbird.serve.generators.opening import open_generator

        opened = Store.open(store)
        return cls(opened, open_generator(Path(artifact), opened))

    # --- recommendations

    def recommend(self, request: Request) -> Response:
        """Answers a request; see `Request` for what can be asked.

        An unknown user, an empty history or a failing model is answered by recent popularity with a note.
        Where fewer than k items may be shown, all of them come, with a note.

        Raises:
            RequestError: An outcome, action or category column that does not exist.
        """
        watch = Stopwatch()
        with watch.stage("history"):
            now = self._now if request.time is None else request.time
            shares = self._outcomes(request.outcomes)
            past, notes = self._past(request, now)
            allowed = None
            if request.filters:
                allowed, filter_notes = self.catalogue.allowed(request.filters)
                notes += filter_notes
            exclude = past.seen if request.exclude_seen else np.empty(0, np.int32)
            surface = self._surface(request.surface, notes)
        found = None
        if past.length:
            found = self._generate(past, shares, request.k, surface, now, allowed, exclude, watch, notes)
        with watch.stage("guard"):
            picked = keep(found, request.k, allowed=allowed, exclude=exclude) if found is not None else []
            from_model = len(picked)
            picked = fill(picked, request.k, self.popularity, allowed=allowed, exclude=exclude)
            if 0 < from_model < len(picked):
                rest = len(picked) - from_model
                text = f"the model found {from_model} items; the other {rest} are recently popular"
                notes.append(Note("filled_up", text))
            if len(picked) < request.k:
                notes.append(self._too_few(len(picked), request, allowed))
            items = self._cards(picked)
        return Response(
            items=items,
            notes=tuple(notes),
            stage="model" if from_model else "popularity",
            shares=_shares(shares, found, picked),
            history_used=past.length,
            timings_ms=watch.timings(),
            release=self.generator.release,
        )

    def _outcomes(self, asked: Mapping[str, float]) -> dict[str, float]:
        known = self.generator.outcomes
        for name in asked:
            if name not in known:
                raise RequestError(f"unknown outcome {name!r}; {did_you_mean(name, known)}", field="outcomes")
        weights = {name: float(weight) for name, weight in (asked or known).items() if weight > 0}
        largest = max(weights.values())  # dividing by it first keeps tiny weights from vanishing
        weights = {name: weight / largest for name, weight in weights.items()}
        return {name: weight / sum(weights.values()) for name, weight in weights.items()}

    def _past(self, request: Request, now: int) -> tuple[Past, list[Note]]:
        length = self.generator.history_length
        user = -1 if request.user is None else code_of(self.store.users, request.user)
        notes: list[Note] = []
        if request.user is not None and user < 0:
            rest = "answered from the history given" if request.history else "showing what is popular"
            notes.append(Note("unknown_user", f"user {str(request.user)[:80]!r} is unknown; {rest}"))
        if request.history is None:
            past = self.people.stored(user, length)
            if user >= 0 and not past.length:
                notes.append(Note("empty_history", "this user has no history yet; showing what is popular"))
            elif request.user is None:
                notes.append(Note("anonymous", "no user and no history were given; showing what is popular"))
            return past, notes
        past = self.people.given(request.history, length, now)
        notes += past.notes
        if not past.length:
            notes.append(Note("empty_history", "nothing in the history can be used; showing what is popular"))
        if user >= 0:
            past = Past(past.batch, np.union1d(past.seen, self.people.stored(user, 0).seen).astype(np.int32))
        return past, notes

    def _surface(self, name: str | None, notes: list[Note]) -> int:
        code = self.people.usual_surface if name is None else code_of(self.store.surfaces, name)
        if code >= 0:
            return code
        hint = did_you_mean(str(name), [str(surface) for surface in self.store.surfaces])
        notes.append(
            Note("unknown_surface", f"surface {str(name)[:80]!r} is unknown, the usual one is used; {hint}")
        )
        return self.people.usual_surface

    def _generate(
        self, past: Past, shares: Mapping[str, float], k: int, surface: int, now: int, allowed: np.ndarray |
            None,
        exclude: np.ndarray, watch: Stopwatch, notes: list[Note],
    ) -> Candidates | None:  # fmt: skip
        started = time.perf_counter()
        try:
            found = self.generator.generate(
                past.batch, shares, min(k, self.store.n_items), surface=np.array([surface], np.int16),
                time=np.array([now], np.int64), allowed=allowed, exclude=[exclude],
            )  # fmt: skip
        except Exception:
            log.exception("the model failed; answered by popularity")
            notes.append(Note("model_failed", "the model could not answer; showing what is popular"))
            return None
        finally:
            elapsed = (time.perf_counter() - started) * 1000
        watch.add(found.timings_ms or {"generate": elapsed})
        return found

    def _too_few(self, n: int, request: Request, allowed: np.ndarray | None) -> Note:
        if request.k > self.store.n_items:
            text = (
                f"{request.k} items were asked for, the catalogue has {self.store.n_items}; {n} may be shown"
            )
        elif allowed is not None:
            text = f"only {n} items pass the filters"
        else:
            text = f"only {n} items are left that this user has not seen"
        return Note("fewer_items", text)

    def _cards(self, picked: list[Picked]) -> tuple[Recommendation, ...]:
        cards = self.catalogue.cards([entry.item for entry in picked])
        return tuple(
            Recommendation(rank, card, round(entry.score, 6), entry.why)
            for rank, (card, entry) in enumerate(zip(cards, picked, strict=True), start=1)
        )

    # --- items and users

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
        picked: list[Picked] = []
        with watch.stage("retrieve"):
            if code >= 0:
                stage, near = self._near(code, min(k, self.store.n_items))
                picked = [
                    Picked(int(i), float(s), Why(stage))
                    for i, s in zip(near.item[0], near.score[0], strict=True)
                    if i >= 0 and i != code and np.isfinite(s)
                ][:k]
                if stage == "content":
                    text = "the model does not know this item yet; compared by its categories"
                    notes.append(Note("not_indexed", text))
            else:
                notes.append(
                    Note("unknown_item", f"item {str(item)[:80]!r} is unknown; showing what is popular")
                )
        with watch.stage("guard"):
            if not picked:
                stage = "popularity"
                if code >= 0:
                    notes.append(
                        Note("no_neighbours", "nothing is known about this item; showing what is popular")
                    )
                picked = fill([], k, self.popularity, allowed=None, exclude=np.array([code], np.int32))
            if len(picked) < k:
                notes.append(Note("fewer_items", f"{k} items were asked for, {len(picked)} can be shown"))
            card = self.catalogue.cards([code])[0] if code >= 0 else ItemCard(item, str(item))
            items = self._cards(picked)
        return Similar(card, items, tuple(notes), stage, watch.timings(), self.generator.release)

    def _near(self, code: int, k: int) -> tuple[Stage, Neighbours]:
        near = self.generator.similar(np.array([code], np.int32), k)
        return ("model", near) if (near.item >= 0).any() else ("content", self.content.near(code, k))

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
        """The newest events of a user. Raises UnknownEntityError."""
        code = code_of(self.store.users, user)
        if code < 0:
            raise UnknownEntityError(f"user {str(user)[:80]!r} is unknown; search the users for its id")
        return self.people.timeline(code, limit)

    def users(self, search: str = "", limit: int = 20) -> tuple[UserCard, ...]:
        """Users whose id holds `search`, most active first."""
        return self.people.search(search, limit)

    @cached_property
    def about(self) -> About:
        """What is served."""
        manifest = self.store.manifest
        counts = action_counts(self.store)
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
        )

    def warm_up(self) -> None:
        """Builds what is built on first use, so that the first visitor does not wait for it."""
        _ = self.about
        self.items("", 1)
        busiest = self.users("", 1)
        self.recommend(Request(user=busiest[0].id if busiest else None, k=10))


class Stopwatch:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block."""
        started = time.perf_counter()
        yield
        self.add({name: (time.perf_counter() - started) * 1000})

    def add(self, timings_ms: Mapping[str, float]) -> None:
        """Adds timings taken elsewhere."""
        for name, elapsed in timings_ms.items():
            self._stages[name] = self._stages.get(name, 0.0) + elapsed

    def timings(self) -> dict[str, float]:
        """All stages, and `total` since the start."""
        total = (time.perf_counter() - self._started) * 1000
        return {name: round(elapsed, 3) for name, elapsed in (*self._stages.items(), ("total", total))}


def _shares(
    weights: Mapping[str, float], found: Candidates | None, picked: list[Picked]
) -> tuple[Share, ...]:
    budget = Counter[str]()
    for vector in found.vectors[0] if found is not None else ():
        budget[vector.outcome] += vector.budget
    items = Counter(entry.why.outcome for entry in picked)
    return tuple(Share(name, round(weight, 6), budget[name], items[name]) for name, weight in weights.items())
