"""Time inside the engine: what each stage took, what stages take lately, and what is left of a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Clock = Callable[[], float]
"""Seconds that only grow, `time.monotonic` in production: deadlines are readings of it."""

_NEWEST = 0.25
"""Weight of the newest time in the running mean of a stage."""
_FADES = 0.9
"""What is left of a stage's expected time each time it is left out, until it is run again: one slow start so does not
switch it off for good."""


class Stopwatch:
    """Milliseconds by stage.

    Args:
        clock: Read at the beginning and the end of each.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.started = clock()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block, also one that raises."""
        started = self._clock()
        try:
            yield
        finally:
            self.add({name: (self._clock() - started) * 1000})

    def add(self, timings_ms: Mapping[str, float]) -> None:
        """Adds timings taken elsewhere."""
        for name, elapsed in timings_ms.items():
            self._stages[name] = self._stages.get(name, 0.0) + elapsed

    def timings(self) -> dict[str, float]:
        """All stages, and `total` since the start."""
        total = (self._clock() - self.started) * 1000
        return {name: round(elapsed, 3) for name, elapsed in (*self._stages.items(), ("total", total))}


class StageTimes:
    """How long each stage takes lately: running means, in seconds."""

    def __init__(self) -> None:
        self._mean: dict[str, float] = {}
        self._faded: dict[str, float] = {}

    def add(self, stage: str, seconds: float) -> None:
        """A stage was run."""
        old = self._mean.get(stage, seconds)
        self._mean[stage] = old + _NEWEST * (seconds - old)
        self._faded[stage] = 1.0

    def expected(self, stage: str) -> float:
        """Seconds the stage will probably take; 0 while it was never run."""
        return self._mean.get(stage, 0.0) * self._faded.get(stage, 1.0)

    def skipped(self, stage: str) -> None:
        """A stage was left out although some time was left."""
        self._faded[stage] = _FADES * self._faded.get(stage, 1.0)

    def fits(self, stage: str, deadline: float | None, now: float) -> bool:
        """Whether a stage is likely to end before a deadline; where it is not, it is taken to be left out."""
        if deadline is None or now + self.expected(stage) < deadline:
            return True
        if now < deadline:
            self.skipped(stage)
        return False
