"""Prometheus metrics of one application; a registry of its own, so that several can live in one process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger("bowerbird.serve")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STAGE_SECONDS = (0.0001, 0.00025, 0.0005, *_SECONDS[:12], 1.0)
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


class Metrics:
    """Everything that is counted.

    | metric | labels | what |
    |---|---|---|
    | bowerbird_requests_total | method, route, status | requests answered |
    | bowerbird_request_seconds | route | time to the end of the answer |
    | bowerbird_stage_seconds | route, stage | the engine's own stages |
    | bowerbird_refused_total | reason | requests turned away: key, attempts, scope, rate, origin, busy, deadline |
    | bowerbird_events_total | outcome | posted events: accepted, duplicate, conflict |
    | bowerbird_batch_size, bowerbird_batch_seconds | batcher | jobs in a run of the model; its time |
    | bowerbird_queue_seconds, bowerbird_queue_length | batcher | waits of jobs; jobs waiting |
    | bowerbird_queue_refused_total | batcher, reason | jobs that were not run: busy, deadline |
    | bowerbird_release_info | release | 1 for the release that answers |

    Others are added by `follow`.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "bowerbird_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "bowerbird_request_seconds",
            "Time to the end of the answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "bowerbird_stage_seconds", "Time in a stage of the engine.", ("route", "stage"),
            buckets=_STAGE_SECONDS, registry=registry,
        )  # fmt: skip
        self._refused = Counter("bowerbird_refused", "Requests turned away.", ("reason",), registry=registry)
        self._events = Counter("bowerbird_events", "Posted events.", ("outcome",), registry=registry)
        self._batch_size = Histogram(
            "bowerbird_batch_size",
            "Jobs in one run of the model.",
            ("batcher",),
            buckets=_SIZES,
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "bowerbird_batch_seconds",
            "Time of one run of the model.",
            ("batcher",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._waits = Histogram(
            "bowerbird_queue_seconds",
            "Time a job waited.",
            ("batcher",),
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._length = Gauge("bowerbird_queue_length", "Jobs waiting.", ("batcher",), registry=registry)
        self._dropped = Counter(
            "bowerbird_queue_refused", "Jobs not run.", ("batcher", "reason"), registry=registry
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def stages(self, route: str, timings_ms: Mapping[str, float]) -> None:
        """Counts the stages of one answer; milliseconds by stage."""
        for stage, elapsed in timings_ms.items():
            self._stages.labels(route, stage).observe(elapsed / 1000)

    def refused(self, reason: str) -> None:
        """Counts somebody turned away."""
        self._refused.labels(reason).inc()

    def events(self, accepted: int, duplicates: int, conflicts: int) -> None:
        """Counts what became of one post of events."""
        for outcome, number in (("accepted", accepted), ("duplicate", duplicates), ("conflict", conflicts)):
            self._events.labels(outcome).inc(number)

    def batcher(self, name: str) -> BatchMetrics:
        """An observer for a `Batcher`.

        Args:
            name: Which of several it is, e.g. `retrieve`.
        """
        return BatchMetrics(
            self._batch_size.labels(name), self._batch_seconds.labels(name), self._waits.labels(name),
            self._length.labels(name), {why: self._dropped.labels(name, why) for why in ("busy", "deadline")},
        )  # fmt: skip

    def follow(
        self,
        name: str,
        help: str,
        read: Callable[[], float | Mapping[str, float]],
        *,
        kind: Literal["counter", "gauge"] = "gauge",
        label: str = "kind",
    ) -> None:
        """Adds a metric that is read when somebody looks, e.g. the hits of a cache.

        Args:
            name: In snake case, without `_total`.
            help: One sentence.
            read: Its value now, or its values by label. Must be quick; where it raises, the metric is left out.
            kind: `counter` for what only grows.
            label: Name of the label where `read` gives several values.
        """
        self.registry.register(_Followed(name, help, read, kind, label))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)


class BatchMetrics:
    """Counts what one batcher does (see `traffic.Observer`)."""

    def __init__(
        self,
        size: Histogram,
        seconds: Histogram,
        waits: Histogram,
        length: Gauge,
        refused: Mapping[str, Counter],
    ) -> None:
        self._size, self._seconds, self._waits = size, seconds, waits
        self._length, self._refused = length, refused

    def waiting(self, jobs: int) -> None:
        """The queue has this length now."""
        self._length.set(jobs)

    def batch(self, size: int, waits_s: Sequence[float], run_s: float) -> None:
        """A batch was run."""
        self._size.observe(size)
        self._seconds.observe(run_s)
        for wait in waits_s:
            self._waits.observe(wait)

    def refused(self, reason: Literal["busy", "deadline"]) -> None:
        """A job was not run."""
        self._refused[reason].inc()


class _Followed(Collector):
    def __init__(
        self, name: str, help: str, read: Callable[[], float | Mapping[str, float]], kind: str, label: str
    ) -> None:
        self._name, self._help, self._read, self._kind, self._label = name, help, read, kind, label

    def describe(self) -> Iterable[Metric]:
        """Its name, without reading it."""
        return [self._family([])]

    def collect(self) -> Iterable[Metric]:
        """Its value now."""
        try:
            found = self._read()
        except Exception:
            log.exception("a figure cannot be read; it is left out")
            return []
        family = self._family([self._label] if isinstance(found, Mapping) else [])
        for label, value in found.items() if isinstance(found, Mapping) else [(None, found)]:
            family.add_metric([] if label is None else [label], float(value))
        return [family]

    def _family(self, labels: list[str]) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if self._kind == "counter" else GaugeMetricFamily
        return kind(self._name, self._help, labels=labels)
