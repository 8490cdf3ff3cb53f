"""How fast work is being done, so that whoever is turned away is told when to come back."""

from __future__ import annotations

_WEIGHT = 0.2
"""Weight of the newest measurement: about the last ten count."""

_UNKNOWN_S = 1.0
_SHORTEST_S = 0.01


class Pace:
    """A moving average of the seconds one job takes its server."""

    def __init__(self) -> None:
        self._seconds_per_job: float | None = None

    def add(self, seconds: float, jobs: int = 1) -> None:
        """Counts `jobs` jobs that took `seconds` together."""
        if jobs < 1:
            return
        each = seconds / jobs
        before = self._seconds_per_job
        self._seconds_per_job = each if before is None else before + _WEIGHT * (each - before)

    def seconds_for(self, jobs: int) -> float:
        """Estimated seconds until so many jobs are done; 1 while nothing has been measured."""
        if self._seconds_per_job is None:
            return _UNKNOWN_S
        return max(_SHORTEST_S, jobs * self._seconds_per_job)
