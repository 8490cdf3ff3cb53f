"""The model's part of the road: a batch of requests through encode, generate, retrieve and rank.

Before each stage, requests whose time would be up by its end leave the batch. A stage that fails for a batch is tried
for each of its requests alone, so that only the one at fault does without the model.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bowerbird.serve.engine.clock import Clock, StageTimes
from bowerbird.serve.engine.trip import Trip
from bowerbird.serve.generators.base import Candidates, Generator, Run

log = logging.getLogger("bowerbird.serve")

_SEARCHING = ("encode", "generate", "retrieve")
_WORTH_SAYING = 1e-3
"""Seconds a request waited for the model, from which on they are a stage of their own."""


@dataclass(frozen=True, eq=False)
class _Leg:
    """Requests that are in a run together, in its order."""

    trips: list[Trip]
    run: Run

    def keep(self, rows: Sequence[int]) -> _Leg:
        if len(rows) == len(self.trips):
            return self
        return _Leg([self.trips[row] for row in rows], self.run.keep(rows))


class Road:
    """Takes requests through a model, one batch at a time: callers wait for each other.

    Args:
        generator: The model side.
        clock: For deadlines and timings.
    """

    def __init__(self, generator: Generator, clock: Clock) -> None:
        self._generator, self._clock = generator, clock
        self._alone = threading.Lock()
        self.times = StageTimes()

    def travel(self, trips: Sequence[Trip]) -> None:
        """Leaves candidates and probabilities in the trips, or notes that say why not; does not raise."""
        arrived = self._clock()
        with self._alone:
            entered = self._clock()
            for trip in trips:
                waited = entered - (arrived if trip.sent is None else trip.sent)
                if waited > _WORTH_SAYING:
                    trip.watch.add({"wait": waited * 1000})
            self._travel([trip for trip in trips if len(trip.window) or trip.context is not None])

    def attended(self, trip: Trip, rows: np.ndarray) -> np.ndarray | None:
        """float32 (n, h): how much candidates of a request looked at its past events; None where nobody can say."""
        if trip.run is None or trip.found is None or not len(rows):
            return None
        if not self._in_time("explain", trip):
            trip.note("not_explained", "there was no time left to say what each item has to do with the past")
            return None
        with self._alone, trip.watch.stage("explain"):
            started = self._clock()
            try:
                found = trip.run.keep([trip.row]).attended([trip.found.take(rows)])[0]
            except Exception:
                log.exception("explaining failed")
                trip.note("not_explained", "the model could not say what each item has to do with the past")
                return None
            self.times.add("explain", self._clock() - started)
        return found if np.isfinite(found).all() else None

    def _travel(self, trips: Sequence[Trip]) -> None:
        if not trips:
            return
        try:
            leg = self._searched(trips)
        except Exception:
            if len(trips) > 1:
                log.warning("a batch of %d failed; answering its requests one by one", len(trips))
                for trip in trips:
                    self._travel([trip])
                return
            log.exception("the model failed; answered without it")
            trips[0].note("model_failed", "the model could not answer this request")
            return
        if leg is not None and self._generator.actions:
            self._rank(leg)

    def _searched(self, trips: Sequence[Trip]) -> _Leg | None:
        leg = _Leg(list(trips), self._generator.start([trip.question for trip in trips]))
        found: list[Candidates] = []
        for stage in _SEARCHING:
            rest = self._left(leg, stage, "deadline", "there was no time left to ask the model")
            if rest is None:
                return None
            leg, started = rest, self._clock()
            if stage == "encode":
                leg.run.encode()
            elif stage == "generate":
                leg.run.generate()
            else:
                found = leg.run.retrieve()
            self._ran(leg, stage, started)
        for row, (trip, candidates) in enumerate(zip(leg.trips, found, strict=True)):
            trip.run, trip.row, trip.found = leg.run, row, candidates
        return leg

    def _rank(self, leg: _Leg) -> None:
        rows = [row for row, trip in enumerate(leg.trips) if trip.found is not None and len(trip.found.item)]
        if not rows:
            return
        rest = self._left(
            leg.keep(rows), "rank", "not_ranked", "there was no time left to rank what was found"
        )
        if rest is None:
            return
        started = self._clock()
        try:
            made = rest.run.rank([trip.found for trip in rest.trips if trip.found is not None])
            if not all(np.isfinite(probability).all() for probability in made):
                raise ValueError("a probability is not finite")
        except Exception:
            if len(rest.trips) > 1:
                for row in range(len(rest.trips)):
                    self._rank(rest.keep([row]))
                return
            log.exception("ranking failed; answered in the order of retrieval")
            rest.trips[0].note("not_ranked", "what was found could not be ranked; it comes as it was found")
            return
        for trip, probability in zip(rest.trips, made, strict=True):
            trip.probability = probability
        self._ran(rest, "rank", started)

    def _left(self, leg: _Leg, stage: str, code: str, message: str) -> _Leg | None:
        """The requests that have time for a stage; the others get a note."""
        rows = []
        for row, trip in enumerate(leg.trips):
            if self._in_time(stage, trip):
                rows.append(row)
            else:
                trip.note(code, message)
        return leg.keep(rows) if rows else None

    def _in_time(self, stage: str, trip: Trip) -> bool:
        return self.times.fits(stage, trip.deadline, self._clock())

    def _ran(self, leg: _Leg, stage: str, started: float) -> None:
        elapsed = self._clock() - started
        self.times.add(stage, elapsed)
        for trip in leg.trips:
            trip.watch.add({stage: elapsed * 1000})
