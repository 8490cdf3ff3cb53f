"""The arithmetic of an open-loop test: when requests arrive, what a window of them shows, which rate holds.

Requests arrive when the schedule says so, whether or not earlier ones were answered, and latency is counted from the
scheduled arrival: a server that stands still for a second is charged for everybody who came in that second, not for
one request ("coordinated omission" is what happens otherwise).

Shapes: R requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

LIMIT_MS = 100.0
"""Most milliseconds that 99 of 100 requests of a stable window take."""


def arrivals(rate: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Times of a Poisson process, ascending, float64 (R,) in seconds from 0 to `seconds`."""
    found = np.empty(0)
    while not len(found) or found[-1] < seconds:
        gaps = rng.exponential(1 / rate, max(16, int(rate * seconds)))
        found = np.concatenate([found, (found[-1] if len(found) else 0.0) + np.cumsum(gaps)])
    return found[found < seconds]


def zipf(users: int, size: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Users int64 (size,): the r-th most frequent one comes with a share in proportion to r ** -exponent."""
    share = np.arange(1, users + 1) ** -float(exponent)
    return rng.choice(users, size, p=share / share.sum())


@dataclass(frozen=True)
class Window:
    """What the requests scheduled in a stretch of time saw.

    Attributes:
        requests: How many were scheduled in it.
        errors: How many of them failed, or were never answered.
        p50_ms, p95_ms, p99_ms: Of their latencies, from the scheduled arrival; infinite for those never answered.
        backlog_before, backlog_after: Requests that had arrived and were not answered when it began and ended.
    """

    requests: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    backlog_before: int
    backlog_after: int


def window(at_R: np.ndarray, done_R: np.ndarray, ok_R: np.ndarray, low: float, high: float) -> Window:
    """One window.

    Args:
        at_R: Scheduled arrivals, seconds.
        done_R: When each was answered, seconds; infinite = never.
        ok_R: bool, whether the answer was a success.
        low, high: The window, seconds.
    """
    inside = (at_R >= low) & (at_R < high)
    latency = 1e3 * (done_R[inside] - at_R[inside])
    failed = ~ok_R[inside] | ~np.isfinite(latency)

    def percentile(q: float) -> float:
        # "higher": an interpolation between a number and infinity is no number
        return float(np.percentile(latency, q, method="higher")) if len(latency) else 0.0

    def backlog(moment: float) -> int:
        return int(((at_R < moment) & (done_R >= moment)).sum())

    return Window(
        int(inside.sum()), int(failed.sum()), percentile(50), percentile(95), percentile(99),
        backlog(low), backlog(high),
    )  # fmt: skip


def stable(windows: Sequence[Window], rate: float, limit_ms: float = LIMIT_MS) -> bool:
    """Whether a rate holds: in every window p99 is under the limit, nothing failed, and the backlog did not grow.

    Requests that take just the limit leave a backlog of `rate` x the limit on average (Little's law), and at a given
    moment as many as a Poisson count with that mean; up to three standard deviations above it is no growth.
    """
    mean = rate * limit_ms / 1e3
    usual = mean + 3 * mean**0.5 + 1
    return bool(windows) and all(
        w.requests > 0
        and w.errors == 0
        and w.p99_ms < limit_ms
        and w.backlog_after <= max(w.backlog_before, usual)
        for w in windows
    )


def highest(holds: Callable[[float], bool], start: float, most: float, resolution: float) -> float:
    """The highest rate that holds: doubled until one does not, then bisected.

    Args:
        holds: Tries a rate.
        start: First rate; halved until one holds, at most five times.
        most: Rates above are not tried.
        resolution: Stop when the bracket is this narrow, as a share of its lower end.

    Returns:
        The highest rate that was seen to hold; 0 where none was.
    """
    low, high = 0.0, start
    if holds(start):
        low = start
        while True:
            if low >= most:
                return low
            high = min(2 * low, most)
            if not holds(high):
                break
            low = high
    else:
        for _ in range(5):
            rate = high / 2
            if holds(rate):
                low = rate
                break
            high = rate
        if not low:
            return 0.0
    while high - low > resolution * low:
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
