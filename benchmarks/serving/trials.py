"""What is asked of a server under load: one rate, the highest rate, events that change answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import orjson

from serving.client import Client, Record, open_loop
from serving.schedule import LIMIT_MS, Window, arrivals, stable, window, zipf
from serving.world import START_MS

PATH = "/v1/recommendations"
SETTLE_S = 1.0
"""Seconds at a rate before its first window begins."""
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Traffic:
    """Who asks for what.

    Attributes:
        users: How many there are.
        exponent: The r-th most frequent one asks in proportion to r ** -exponent.
        returning: Share of requests from such users; the others come from users that ask once.
        k: Items wanted.
        seed: Of all draws.
    """

    users: int
    exponent: float
    returning: float
    k: int
    seed: int

    def draw(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Users int64 (size,). Frequent users are the first tenth of all; the rest comes one after the other, so that
        whoever asks again has long left the pool."""
        regulars = max(1, self.users // 10)
        found = zipf(regulars, size, self.exponent, rng)
        rare = rng.random(size) >= self.returning
        found[rare] = regulars + rng.integers(0, self.users - regulars, int(rare.sum()))
        return found

    def body(self, user: int) -> bytes:
        """A request."""
        return orjson.dumps({"user": int(user), "k": self.k})


async def warm(client: Client, traffic: Traffic, requests: int) -> None:
    """Fills the pool as the traffic would, a few requests at a time."""
    rng = np.random.default_rng(traffic.seed + 1)
    waiting = list(traffic.draw(requests, rng))

    async def one() -> None:
        while waiting:
            status, answer = await client.post(PATH, traffic.body(waiting.pop()))
            if status != 200:
                raise RuntimeError(f"the server answered {status}: {answer[:200]!r}")

    await asyncio.gather(*(one() for _ in range(4)))


async def trial(
    client: Client, traffic: Traffic, rate: float, *, seconds: float, windows: int, seed: int
) -> tuple[Record, list[Window]]:
    """A rate for some windows of so many seconds each, after a second to settle."""
    rng = np.random.default_rng((traffic.seed, seed))
    at = arrivals(rate, SETTLE_S + windows * seconds, rng)
    bodies = [traffic.body(user) for user in traffic.draw(len(at), rng)]
    # more than this is not answered within seconds: the rate is lost, and the search need not wait for the rest
    most_open = int(50 + 2 * rate)
    record = await open_loop(client, PATH, at, bodies, timeout_s=TIMEOUT_S, most_open=most_open)
    edges = SETTLE_S + seconds * np.arange(windows + 1)
    return record, [window(record.at, record.done, record.ok, low, high) for low, high in pairwise(edges)]


LEAST_REQUESTS, LONGEST_S = 200, 40.0
"""Requests that a window should have, and how long it may last for them."""


class Search:
    """Tries rates and remembers what each showed.

    Args:
        client, traffic: What is asked of whom.
        seconds: Of a window, at least; a rate holds when it does so in two of them in a row. At low rates windows are
            longer, so that 99 % of the requests of a window are not simply all of them.
    """

    def __init__(self, client: Client, traffic: Traffic, seconds: float) -> None:
        self._client, self._traffic, self._seconds = client, traffic, seconds
        self.tried: list[dict[str, Any]] = []

    async def holds(self, rate: float) -> bool:
        """Whether a rate holds."""
        seconds = max(self._seconds, min(LEAST_REQUESTS / rate, LONGEST_S))
        record, windows = await trial(
            self._client, self._traffic, rate, seconds=seconds, windows=2, seed=len(self.tried)
        )
        found = stable(windows, rate)
        self.tried.append({"rate": rate, "holds": found, "windows": [asdict(w) for w in windows]})
        worst = max(w.p99_ms for w in windows)
        lag = _lag_ms(record)
        print(
            f"  {rate:6.1f}/s: {'holds' if found else 'does not hold'}, p99 {worst:.0f} ms, errors "
            f"{sum(w.errors for w in windows)}, client late by {lag:.1f} ms (p99)",
            flush=True,
        )
        return found


def summary(record: Record) -> dict[str, Any]:
    """Percentiles, errors, and each stage's share of the time, of everything after the first second."""
    kept = record.at >= SETTLE_S
    if not (kept & record.ok).any():
        return {"requests": int(kept.sum()), "errors": int((kept & ~record.ok).sum())}
    latency, ok = record.latency_ms[kept], record.ok[kept]
    answers = [orjson.loads(body) for body, good in zip(record.bodies, kept & record.ok, strict=True) if good]
    timings = [answer["timings_ms"] for answer in answers]
    whole = latency[ok]
    stages = sorted({name for one in timings for name in one if name != "total"})
    mean = {name: float(np.mean([one.get(name, 0.0) for one in timings])) for name in stages}
    mean["http and threads"] = float(whole.mean() - np.mean([one["total"] for one in timings]))
    mean["engine, unmeasured"] = float(whole.mean() - sum(mean.values()))
    encode = np.array([one.get("encode", 0.0) for one in timings])
    return {
        "requests": int(kept.sum()),
        "errors": int((~ok).sum()),
        "latency_ms": {
            "mean": float(whole.mean()),
            **{f"p{q}": float(np.percentile(whole, q)) for q in (50, 95, 99)},
        },
        "stage_ms_mean": mean,
        "stage_ms_p50": {name: float(np.median([one.get(name, 0.0) for one in timings])) for name in stages},
        "stage_share": {name: value / float(whole.mean()) for name, value in mean.items()},
        "encoded_next_to_nothing": float((encode < 1.0).mean()),
        "answered_by_the_model": float(np.mean([answer["stage"] == "model" for answer in answers])),
        "history_used_mean": float(np.mean([answer["history_used"] for answer in answers])),
        "client_late_ms_p99": _lag_ms(record),
    }


async def events(client: Client, traffic: Traffic, rate: float, *, seconds: float) -> dict[str, Any]:
    """From an event to the first answer that has it, while other requests come at a rate.

    A probe asks for a user, posts a click on the first item of the answer, and asks again, one request after the
    other, until that item is gone (items met are not shown again). Probes are scheduled in advance as well and are
    half of the load: three requests each.

    Args:
        rate: Of everything together, probes included.
    """
    rng = np.random.default_rng((traffic.seed, 1_000))
    at = arrivals(rate / 2, seconds, rng)
    bodies = [traffic.body(user) for user in traffic.draw(len(at), rng)]
    moments = arrivals(rate / 6, seconds, rng)
    users = traffic.draw(len(moments), rng)
    loop, stamp = asyncio.get_running_loop(), time.time_ns()
    begin = loop.time() + 0.05
    found: list[tuple[float, float, int, bool]] = []
    failed = 0

    async def ask(user: int) -> dict[int, float]:
        status, body = await client.post(PATH, traffic.body(user))
        if status != 200:
            raise ValueError(f"answered {status}")
        return {one["item"]["id"]: one["score"] for one in orjson.loads(body)["items"]}

    async def probe(number: int) -> None:
        nonlocal failed
        await asyncio.sleep(max(0.0, begin + moments[number] - loop.time()))
        user = int(users[number])
        event = {"event_id": f"{stamp}-{number}", "user": user, "actions": ["click"]}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                before = await ask(user)
                # after everything in the store, and after this user's earlier probes
                event |= {"item": next(iter(before)), "time": START_MS + 40 * 86_400_000 + 1000 * number}
                started = loop.time()
                status, _ = await client.post("/v1/events", orjson.dumps({"events": [event]}))
                if status != 200:
                    raise ValueError(f"answered {status}")
                kept = loop.time()
                asked, after = 1, await ask(user)
                while event["item"] in after:
                    asked, after = asked + 1, await ask(user)
                same = [item for item in after if item in before]
                moved = any(abs(after[i] - before[i]) > 1e-5 * abs(before[i]) for i in same)
                found.append(
                    (1e3 * (kept - started), 1e3 * (loop.time() - started), asked, moved or not same)
                )
        except (OSError, TimeoutError, ValueError):
            failed += 1

    background = open_loop(client, PATH, at, bodies, timeout_s=TIMEOUT_S, most_open=500)
    record, *_ = await asyncio.gather(background, *(probe(number) for number in range(len(moments))))
    if not found:
        return {"probes": len(moments), "failed": failed}
    kept_ms, changed_ms, asked, moved = (np.array(column) for column in zip(*found, strict=True))

    def percentiles(values: np.ndarray) -> dict[str, float]:
        return {f"p{q}": float(np.percentile(values, q)) for q in (50, 95, 99)}

    return {
        "probes": len(moments),
        "failed": failed,
        "event_kept_ms": percentiles(kept_ms),
        "event_to_changed_answer_ms": percentiles(changed_ms),
        "answers_until_changed_most": int(asked.max()),
        "scores_of_other_items_changed": float(moved.mean()),
        "other_requests_ms": percentiles(record.latency_ms[record.ok]) if record.ok.any() else {},
        "other_requests_errors": int((~record.ok).sum()),
    }


def _lag_ms(record: Record) -> float:
    sent = np.isfinite(record.sent)
    return float(np.percentile(1e3 * (record.sent - record.at)[sent], 99)) if sent.any() else 0.0


__all__ = ["LIMIT_MS", "Search", "Traffic", "events", "summary", "trial", "warm"]
