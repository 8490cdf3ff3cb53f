"""The last stage: from what the model found to the answer, filled from below where it found too little."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from bowerbird.serve.catalogue import Catalogue
from bowerbird.serve.diversity import Sameness
from bowerbird.serve.engine.clock import Clock
from bowerbird.serve.engine.road import Road
from bowerbird.serve.engine.trip import Trip
from bowerbird.serve.engine.values import value
from bowerbird.serve.fallback import ContentNeighbours, Popularity
from bowerbird.serve.generators.base import Generator
from bowerbird.serve.guard import Guard, Picked, in_shares
from bowerbird.serve.people import People
from bowerbird.serve.response import Looked, Ranked, Recommendation, Response, Share, Stage, Why

log = logging.getLogger("bowerbird.serve")

MOST_LOOKED_AT = 3


class Answering:
    """Turns trips into responses.

    Args:
        catalogue, people: For the cards of items and the names of actions.
        generator, road: The model side, as far as it is asked again to explain.
        popularity, content: What answers where the model does not.
        sameness: Rules of diversity.
        clock: For deadlines.
    """

    def __init__(
        self, catalogue: Catalogue, people: People, generator: Generator, road: Road, popularity: Popularity,
        content: ContentNeighbours, sameness: Sameness, *, clock: Clock,
    ) -> None:  # fmt: skip
        self._catalogue, self._people, self._generator, self._road = catalogue, people, generator, road
        self._popularity, self._content, self._sameness = popularity, content, sameness
        self._clock = clock

    def answer(self, trip: Trip) -> Response:
        """The answer.

        Raises:
            RequestError: A rule of diversity names a column that does not exist.
        """
        request = trip.request
        with trip.watch.stage("guard"):
            guard = Guard(
                request.k, allowed=trip.allowed, exclude=trip.exclude,
                rules=self._sameness.rules(request.at_most),
            )  # fmt: skip
            from_model = self._offer_found(trip, guard)
            from_content = self._offer_alike(trip, guard) if guard.missing and len(trip.recent) else 0
            if guard.missing:
                self._offer_popular(guard)
            stage: Stage = "model" if from_model else "content" if from_content else "popularity"
            self._say(trip, guard, from_model, from_content)
        looked_at = self._looked_at(trip, guard.picked) if request.explain else {}
        with trip.watch.stage("guard"):
            items = self._items(trip, guard.picked, looked_at)
        return Response(
            items=items,
            notes=tuple(trip.notes),
            stage=stage,
            shares=_shares(trip, guard.picked),
            history_used=int((trip.window.item < len(self._catalogue)).sum()),
            timings_ms=trip.watch.timings(),
            release=self._generator.release,
            values=dict(trip.values) if trip.probability is not None else {},
        )

    # --- who puts items in

    def _offer_found(self, trip: Trip, guard: Guard) -> int:
        found = trip.found
        if found is None:
            return 0
        if trip.probability is not None:
            score = value(trip.probability, self._generator.actions, trip.values)
            order = np.argsort(-score, kind="stable")
        else:
            score = found.score
            order = in_shares(found, trip.request.k)
        ranked: Ranked = "actions" if trip.probability is not None else "retrieval"
        by_vector = [Why("model", v.outcome, v.step, v.offset, ranked) for v in found.vectors]
        why = [by_vector[vector] for vector in found.vector[order].tolist()]
        return guard.offer(found.item[order], score[order], why, order)

    def _offer_alike(self, trip: Trip, guard: Guard) -> int:
        times = self._road.times
        if not times.fits("content", trip.deadline, self._clock()):
            return 0
        started = self._clock()
        try:
            wanted = guard.missing * (3 if guard.rules else 1)
            items, score = self._content.like(
                trip.recent, wanted, allowed=guard.allowed, exclude=guard.barred
            )
        except Exception:
            log.exception("comparing by content failed")
            return 0
        times.add("content", self._clock() - started)
        return _below(guard, items, score, Why("content", ranked="content"))

    def _offer_popular(self, guard: Guard) -> None:
        refused = np.empty(0, np.int32)
        try:
            while guard.missing:
                # rules of diversity may hold items back: then further ones are asked for
                asked = max(4 * guard.missing, 50) if guard.rules else guard.missing
                barred = np.concatenate([guard.barred, refused])
                items, share = self._popularity.best(asked, allowed=guard.allowed, exclude=barred)
                _below(guard, items, share, Why("popularity", ranked="popularity"))
                refused = np.concatenate([refused, items])
                if len(items) < asked:
                    return
        except Exception:
            log.exception("popularity failed")

    # --- what is said about it

    def _say(self, trip: Trip, guard: Guard, from_model: int, from_content: int) -> None:
        picked = len(guard.picked)
        popular = picked - from_model - from_content
        parts = [f"{from_content} are like recent ones"] if from_content else []
        parts += [f"{popular} are recently popular"] if popular else []
        if from_model and parts:
            trip.note("filled_up", f"the model found {from_model} items; of the others {', '.join(parts)}")
        elif from_content:
            trip.note("content", f"answered without the model: {', '.join(parts)}")
        for rule in guard.rules:
            if rule.reason is not None:
                trip.note(f"at_most_{rule.name}", rule.reason)
        if guard.missing:
            trip.note("fewer_items", self._too_few(trip, picked))

    def _too_few(self, trip: Trip, n: int) -> str:
        asked, known = trip.request.k, len(self._catalogue)
        if asked > known:
            return f"{asked} items were asked for, the catalogue has {known}; {n} may be shown"
        if trip.request.at_most:
            return f"only {n} items pass the filters and the limits on items that are alike"
        if trip.allowed is not None:
            return f"only {n} items pass the filters"
        return f"only {n} items are left that this user has not seen"

    def _looked_at(self, trip: Trip, picked: list[Picked]) -> dict[int, tuple[Looked, ...]]:
        """By row of the candidates: the past events each looked at most."""
        rows = np.array([entry.row for entry in picked if entry.row >= 0], np.int64)
        weights = self._road.attended(trip, rows)
        if weights is None:
            if trip.run is None:
                trip.note("not_explained", "only items found by the model can be traced to past events")
            return {}
        acted = np.flatnonzero(trip.window.item < len(self._catalogue))  # searches have no card to show
        best = acted[np.argsort(-weights[:, acted], axis=1, kind="stable")[:, :MOST_LOOKED_AT]]
        events, window = np.unique(best), trip.window
        card = dict(zip(events.tolist(), self._catalogue.cards(window.item[events]), strict=True))
        return {
            int(row): tuple(
                Looked(
                    card[event], int(window.time[event]), self._people.names(int(window.actions[event])),
                    round(float(weights[n, event]), 4),
                )
                for event in best[n].tolist()
            )
            for n, row in enumerate(rows)
        }  # fmt: skip

    def _items(
        self, trip: Trip, picked: list[Picked], looked_at: dict[int, tuple[Looked, ...]]
    ) -> tuple[Recommendation, ...]:
        cards = self._catalogue.cards([entry.item for entry in picked])
        actions, probability = self._generator.actions, trip.probability
        out = []
        for rank, (card, entry) in enumerate(zip(cards, picked, strict=True), start=1):
            likely = {}
            if probability is not None and entry.row >= 0:
                likely = dict(
                    zip(actions, probability[entry.row].astype(np.float64).round(6).tolist(), strict=True)
                )
            score = round(entry.score, 6)
            out.append(Recommendation(rank, card, score, entry.why, likely, looked_at.get(entry.row, ())))
        return tuple(out)


def _below(guard: Guard, items: np.ndarray, score: np.ndarray, why: Why) -> int:
    """Offers items of a lower stage; behind those of a better one they score 0 at most, being on another scale."""
    score = np.full(len(items), min(0.0, guard.picked[-1].score)) if guard.picked else score
    return guard.offer(items, score, [why] * len(items), np.full(len(items), -1))


def _shares(trip: Trip, picked: list[Picked]) -> tuple[Share, ...]:
    budget = Counter[str]()
    for vector in trip.found.vectors if trip.found is not None else ():
        budget[vector.outcome] += vector.budget
    items = Counter(entry.why.outcome for entry in picked)
    return tuple(
        Share(name, round(weight, 6), budget[name], items[name]) for name, weight in trip.shares.items()
    )
