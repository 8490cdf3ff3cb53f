"""One model against two, on the same requests through the whole engine; and a returning user's second request.

Shapes: B requests, N history tokens, K candidates, D width.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from bowerbird.index import Index
from bowerbird.nn import Decoder
from bowerbird.recommend.examples import Tokens
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.serve.engine import Engine
from bowerbird.serve.generators.base import Candidates, Question
from bowerbird.serve.generators.pinrec import PinRecRun, UniPinRecGenerator
from bowerbird.serve.kv import Reading
from bowerbird.serve.online import OnlineEvent, OnlineHistory
from bowerbird.serve.request import Request
from bowerbird.serve.response import Response
from bowerbird.tables.store import Store
from serving.world import START_MS

ARMS = ("two models", "kept across stages", "kept across stages and requests")
K = 20


class TwoModels(UniPinRecGenerator):
    """Retrieval and ranking by two models that share nothing but the item vectors.

    The ranker is a copy of the network. It gets the history as it came and reads it again, together with the
    candidates, in one dense pass. Retrieval is as it is everywhere. Nothing is kept between requests.
    """

    def __init__(
        self, opened: OpenUniPinRec, release: str, *, actions: Sequence[str], index: Index | None
    ) -> None:
        super().__init__(opened, release, actions=actions, index=index, pool_bytes=0)
        model = copy.deepcopy(opened.ranker)
        model.decoder = cast(Decoder, _Dense(model.decoder))
        self.uni = copy.copy(opened)
        self.uni.model = model

    def start(self, questions: Sequence[Question]) -> PinRecRun:
        """See `Generator.start`."""
        return _TwoModelsRun(self, questions)

    def unread(self, questions: Sequence[Question]) -> _Unread:
        """The histories as the ranker gets them."""
        model, tokens = self.uni.ranker, self.reader.tokens([question.window for question in questions])
        x_BND = model.token_vectors(
            self.opened.vectors_IE[tokens.item], tokens.time, tokens.surface, model.actions_read(tokens)
        )
        last_B = torch.arange(len(questions)), tokens.lengths - 1
        return _Unread(x_BND, tokens.lengths, tokens.time[last_B], tokens)


@dataclass
class _Unread:
    """Stands where an encoded history would: what ranking needs of it is there once a dense pass has read it."""

    x_BND: Tensor
    lengths_B: Tensor
    time_B: Tensor
    history: Tokens
    last_BD: Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def encoded(self) -> _Unread:
        return self

    @property
    def cache(self) -> _Unread:
        return self


class _Dense(torch.nn.Module):
    """A decoder that reads the history whenever it is to score candidates."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def score(self, x_BKD: Tensor, history: _Unread) -> Tensor:
        h_BND, z_BKD = self.decoder(history.x_BND, history.lengths_B, x_BKD)
        history.last_BD = h_BND[torch.arange(len(h_BND)), history.lengths_B - 1]
        return z_BKD


class _TwoModelsRun(PinRecRun):
    def __init__(self, generator: TwoModels, questions: Sequence[Question]) -> None:
        super().__init__(generator, questions)
        self._two = generator

    def rank(self, found: Sequence[Candidates]) -> list[np.ndarray]:
        """See `Run.rank`."""

        def compute(_: Reading, *given: Any) -> Tensor:
            return self._two.probabilities(cast(Reading, self._two.unread(self._questions)), *given)

        return self._per_candidate(found, compute)


@contextmanager
def engines(
    store: Store, opened: OpenUniPinRec, folder: Path, pool_bytes: int
) -> Iterator[dict[str, Engine]]:
    """An engine for each arm: one store, one set of weights, one index, one online history."""
    history = OnlineHistory.for_store(folder / "online.sqlite", store)
    names = opened.actions
    kept = UniPinRecGenerator(opened, "kept", actions=names, pool_bytes=pool_bytes)
    stages = UniPinRecGenerator(opened, "stages", actions=names, index=kept.index, pool_bytes=0)
    two = TwoModels(opened, "two", actions=names, index=kept.index)
    made = {
        name: Engine(store, generator, history=history)
        for name, generator in zip(ARMS, (two, stages, kept), strict=True)
    }
    for engine in made.values():
        engine.warm_up()
    try:
        yield made
    finally:
        for engine in made.values():
            engine.close()
        history.close()


def answered(engine: Engine, requests: Sequence[Request]) -> list[Response]:
    """Responses of one batch; a request that fails ends the benchmark."""
    found = []
    for one in engine.recommend_many(requests):
        if isinstance(one, Exception):
            raise one
        if one.stage != "model" or one.notes:
            raise RuntimeError(f"not answered by the model alone: {one.stage}, {one.notes}")
        found.append(one)
    return found


def agreement(engines: dict[str, Engine], users: Sequence[int]) -> dict[str, float]:
    """How far the arms give the same answers: share of equal places, and the largest difference of a score."""
    requests = [Request(user=user, k=K) for user in users]
    first = answered(engines[ARMS[0]], requests)
    equal, most = [], 0.0
    for name in ARMS[1:]:
        for a, b in zip(first, answered(engines[name], requests), strict=True):
            equal += [x.item.id == y.item.id for x, y in zip(a.items, b.items, strict=True)]
            scores = {x.item.id: x.score for x in a.items}
            most = max([most, *(abs(scores[y.item.id] - y.score) for y in b.items if y.item.id in scores)])
    return {"equal_places": float(np.mean(equal)), "largest_score_difference": most}


class Clicks:
    """Posts events of users to the online history that all engines read."""

    def __init__(self, engine: Engine, items: int, seed: int) -> None:
        self._engine, self._items, self._posted = engine, items, 0
        self._rng = np.random.default_rng(seed)

    def post(self, user: int, count: int) -> None:
        """Some clicks on random items, after everything posted before."""
        events = []
        for _ in range(count):
            self._posted += 1
            time_ms = START_MS + 40 * 86_400_000 + self._posted
            item = int(self._rng.integers(0, self._items))
            events.append(OnlineEvent(f"{self._posted}", user, item, time_ms, ("click",)))
        self._engine.append_events(events)


@dataclass
class Arm:
    """What one arm took.

    Attributes:
        wall_s, cpu_s: Of each round.
        latency_ms: Of each request of every round.
    """

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)

    def run(self, engine: Engine, requests: Sequence[Request], batch: int) -> None:
        """One round: the requests in batches, each answered when its batch is."""
        wall, cpu = time.perf_counter(), time.process_time()
        for low in range(0, len(requests), batch):
            began = time.perf_counter()
            part = requests[low : low + batch]
            answered(engine, part)
            self.latency_ms += [1e3 * (time.perf_counter() - began)] * len(part)
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(time.process_time() - cpu)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return {"median": float(middle), "q25": float(low), "q75": float(high)}


def compare(
    engines: dict[str, Engine], clicks: Clicks, *, regulars: int, strangers: Iterator[int], rounds: int, block: int,
    returning: float, batch: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """The arms on the same traffic, taking turns in every round, each time in another order.

    Args:
        engines: The arms.
        clicks: What posts events.
        regulars: The returning users are 0 to this - 1.
        strangers: Users nobody has met before; each asks once.
        rounds, block: Rounds, and requests of an arm in each.
        returning: Share of requests from returning users; half of these clicked 1 to 3 times since they last asked.
        batch: Requests answered together.
        seed: Of the traffic.
    """
    rng = np.random.default_rng((seed, batch))
    everybody = [Request(user=user, k=K) for user in range(regulars)]
    for engine in engines.values():  # returning users have been here before
        for low in range(0, regulars, 8):
            answered(engine, everybody[low : low + 8])
    arms = {name: Arm() for name in engines}
    for number in range(rounds):
        again = rng.random(block) < returning
        visitors = [int(rng.integers(0, regulars)) if known else next(strangers) for known in again]
        for user in {user for user, known in zip(visitors, again, strict=True) if known}:
            if rng.random() < 0.5:
                clicks.post(user, int(rng.integers(1, 4)))
        requests = [Request(user=user, k=K) for user in visitors]
        names = list(engines)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            arms[name].run(engines[name], requests, batch)
    base = arms[ARMS[0]]
    out: dict[str, Any] = {}
    for name, arm in arms.items():
        p50, p99 = np.percentile(arm.latency_ms, (50, 99))
        out[name] = {
            "requests": rounds * block,
            "requests_per_second": spread([block / wall for wall in arm.wall_s]),
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "cpu_ms_per_request": spread([1e3 * cpu / block for cpu in arm.cpu_s]),
        }
        if arm is not base:
            base_p50, base_p99 = np.percentile(base.latency_ms, (50, 99))
            out[name]["against_two_models"] = {
                "requests_per_second": spread([b / a for a, b in zip(arm.wall_s, base.wall_s, strict=True)]),
                "requests_per_cpu_second": spread(
                    [b / a for a, b in zip(arm.cpu_s, base.cpu_s, strict=True)]
                ),
                "p50": float(p50 / base_p50),
                "p99": float(p99 / base_p99),
            }
    return out


def second_request(engine: Engine, clicks: Clicks, users: Sequence[int]) -> dict[str, Any]:
    """Encode time of a user's first request against later ones after 0, 1 and 5 new events.

    Args:
        engine: With a pool that has not met these users.
        clicks: What posts events.
        users: Whose window has room for six more events.
    """
    took: dict[str, list[float]] = {"first": [], "0 new": [], "1 new": [], "5 new": []}
    for user in users:
        for name, events in (("first", 0), ("0 new", 0), ("1 new", 1), ("5 new", 5)):
            if events:
                clicks.post(user, events)
            (answer,) = answered(engine, [Request(user=user, k=K)])
            took[name].append(answer.timings_ms["encode"])
    first = took["first"]
    return {
        "users": len(users),
        "encode_ms": {name: spread(times) for name, times in took.items()},
        "first_to_later": {
            name: spread([a / max(b, 1e-3) for a, b in zip(first, times, strict=True)])
            for name, times in took.items()
            if name != "first"
        },
    }
