"""The traffic figures, as messages, and how they are read from counters.

Counters only grow. Figures of a stretch of time are those at its end less those at its beginning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry
from pydantic import Field

from bowerbird.serve.api import messages

Counters = Mapping[tuple[str, tuple[str, ...]], float]
"""Name of a sample and its label values, to its value."""

_LABELS = {
    "bowerbird_requests_total": ("route", "status"),
    "bowerbird_request_seconds": ("route",),
    "bowerbird_stage_seconds": ("route", "stage"),
    "bowerbird_refused_total": ("reason",),
    "bowerbird_events_total": ("outcome",),
    "bowerbird_batch_size": ("batcher",),
    "bowerbird_batch_seconds": ("batcher",),
    "bowerbird_queue_seconds": ("batcher",),
}
_UNCOUNTED = frozenset(
    ("/", "/console", "/openapi.json", "/v1/health", "/v1/ready", "/v1/metrics", "/v1/traffic")
)
"""Routes that look at the server, which would otherwise count themselves."""


class Bucket(messages.Outgoing):
    """Requests that took longer than the bucket before says, and at most this long."""

    to_ms: float | None = Field(description="Milliseconds; null: however long.")
    requests: int


class Route(messages.Outgoing):
    """How one route fares. Percentiles are interpolated inside buckets; null where there were no requests."""

    route: str = Field(examples=["/v1/recommendations"])
    requests: int
    per_s: float
    failures: int = Field(description="Answers with a status of 500 or more.")
    mean_ms: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None = Field(description="At most the upper end of the last bucket that has one.")
    buckets: list[Bucket]


class StageTime(messages.Outgoing):
    """How long a stage of the engine takes."""

    route: str
    stage: str = Field(examples=["rank"])
    answers: int = Field(description="Answers that had this stage.")
    mean_ms: float = Field(description="Mean over those answers.")
    share: float = Field(description="Part of the whole time in the engine, 0 to 1.")


class Batches(messages.Outgoing):
    """How the runs of one batcher fare."""

    batcher: str
    batches: int
    mean_size: float
    mean_ms: float
    mean_wait_ms: float = Field(description="Mean time a job waited for its run.")


class Figures(messages.Outgoing):
    """What happened in a stretch of time."""

    seconds: float = Field(description="Length of the stretch.")
    requests: int = Field(description="Requests but for those that only look at the server.")
    per_s: float
    routes: list[Route] = Field(description="Most asked first.")
    stages: list[StageTime]
    batches: list[Batches]
    refused: dict[str, int] = Field(description="Requests turned away, by reason.", examples=[{"rate": 3}])
    events: dict[str, int] = Field(description="Posted events by outcome.", examples=[{"accepted": 12}])


def read(registry: CollectorRegistry) -> Counters:
    """The counters that figures are made of, as they are now."""
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            base = sample.name.removesuffix("_sum").removesuffix("_count")
            if sample.name == "bowerbird_request_seconds_bucket":
                base = "bowerbird_request_seconds"
            if base in _LABELS:
                labels = [sample.labels.get(name, "") for name in _LABELS[base]]
                found[sample.name, (*labels, *filter(None, [sample.labels.get("le")]))] = sample.value
    return found


def figures(now: Counters, before: Counters, seconds: float) -> Figures:
    """What happened between two readings.

    Args:
        now, before: The readings; an empty one = at the start.
        seconds: Time between them.
    """
    grown = _Grown(now, before)
    per = 1 / max(seconds, 1e-9)
    routes = sorted(_routes(grown, per), key=lambda route: (-route.requests, route.route))
    requests = sum(route.requests for route in routes)
    return Figures(
        seconds=round(seconds, 3),
        requests=requests,
        per_s=round(requests * per, 4),
        routes=routes,
        stages=_stages(grown),
        batches=_batches(grown),
        refused=grown.by_label("bowerbird_refused_total"),
        events=grown.by_label("bowerbird_events_total"),
    )


class _Grown:
    """By how much each counter has grown."""

    def __init__(self, now: Counters, before: Counters) -> None:
        self._by_name: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        for (name, labels), value in now.items():
            self._by_name[name][labels] = value - before.get((name, labels), 0.0)

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        return self._by_name[name]

    def by_label(self, name: str) -> dict[str, int]:
        return {labels[0]: round(value) for labels, value in self.of(name).items() if value}

    def mean(self, name: str, labels: tuple[str, ...]) -> float:
        """Mean of what a histogram observed."""
        number = self.of(f"{name}_count").get(labels, 0.0)
        return self.of(f"{name}_sum").get(labels, 0.0) / number if number else 0.0


def _routes(grown: _Grown, per: float) -> Iterable[Route]:
    name = "bowerbird_request_seconds"
    failures: dict[str, float] = defaultdict(float)
    for (route, status), number in grown.of("bowerbird_requests_total").items():
        failures[route] += number if status >= "500" else 0
    ends: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (route, end), number in grown.of(f"{name}_bucket").items():
        ends[route].append((float(end), number))
    for (route,), number in grown.of(f"{name}_count").items():
        if route in _UNCOUNTED or not number:
            continue
        upto = sorted(ends[route])
        below = [0.0, *(count for _, count in upto)]
        yield Route(
            route=route,
            requests=round(number),
            per_s=round(number * per, 4),
            failures=round(failures[route]),
            mean_ms=_ms(grown.mean(name, (route,))),
            p50_ms=_ms(quantile(upto, 0.5)),
            p95_ms=_ms(quantile(upto, 0.95)),
            p99_ms=_ms(quantile(upto, 0.99)),
            buckets=[
                Bucket(to_ms=None if end == float("inf") else _ms(end), requests=round(count - below[place]))
                for place, (end, count) in enumerate(upto)
            ],
        )


def quantile(upto: Sequence[tuple[float, float]], share: float) -> float:
    """A quantile, from how many values are at or below each of some ends, as Prometheus would tell it.

    Args:
        upto: Ends, ascending, the last one infinite, and how many values are not above each; the last is above 0.
        share: Which quantile, 0 to 1.
    """
    wanted = share * upto[-1][1]
    start, below = 0.0, 0.0
    for end, number in upto:
        if number >= wanted and number > below:
            return (
                start if end == float("inf") else start + (end - start) * (wanted - below) / (number - below)
            )
        start, below = (start if end == float("inf") else end), number
    return start


def _stages(grown: _Grown) -> list[StageTime]:
    name = "bowerbird_stage_seconds"
    total = {route: s for (route, stage), s in grown.of(f"{name}_sum").items() if stage == "total"}
    out = []
    for labels, number in grown.of(f"{name}_count").items():
        route, stage = labels
        if not number or stage == "total":
            continue
        spent = grown.of(f"{name}_sum")[labels]
        out.append(
            StageTime(
                route=route,
                stage=stage,
                answers=round(number),
                mean_ms=_ms(spent / number),
                share=round(spent / total[route], 4) if total.get(route) else 0.0,
            )
        )
    return out


def _batches(grown: _Grown) -> list[Batches]:
    return [
        Batches(
            batcher=labels[0],
            batches=round(number),
            mean_size=round(grown.mean("bowerbird_batch_size", labels), 2),
            mean_ms=_ms(grown.mean("bowerbird_batch_seconds", labels)),
            mean_wait_ms=_ms(grown.mean("bowerbird_queue_seconds", labels)),
        )
        for labels, number in grown.of("bowerbird_batch_size_count").items()
        if number
    ]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
