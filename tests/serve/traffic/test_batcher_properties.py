"""The batcher under random loads: every job gets its own answer once, none is lost, bounds hold."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.serve.traffic import Batcher, Busy, ClosedError, DeadlineError

LONG = 20.0


@settings(max_examples=40)
@given(
    jobs=st.lists(
        st.tuples(st.sampled_from(["good", "bad", "breaks the batch"]), st.sampled_from(["none", "far", "past"])),
        min_size=1, max_size=60,
    ),
    callers=st.integers(1, 8),
    max_batch=st.integers(1, 7),
    max_waiting=st.integers(1, 20),
    window_ms=st.sampled_from([0.0, 0.5]),
)  # fmt: skip
def test_every_job_gets_exactly_its_own_answer(
    jobs: list[tuple[str, str]], callers: int, max_batch: int, max_waiting: int, window_ms: float
) -> None:
    completed: Counter[int] = Counter()
    started: Counter[int] = Counter()
    sizes: list[int] = []
    longest = [0]

    def run(batch: list[int]) -> list[Any]:
        sizes.append(len(batch))
        longest[0] = max(longest[0], batcher.waiting)
        started.update(batch)
        if any(jobs[n][0] == "breaks the batch" for n in batch):
            raise OSError(batch)
        completed.update(batch)
        return [KeyError(n) if jobs[n][0] == "bad" else ("answer", n) for n in batch]

    def ask(n: int) -> Any:
        deadline = {"none": None, "far": time.monotonic() + LONG, "past": time.monotonic() - 1}[jobs[n][1]]
        try:
            return batcher.submit(n, deadline).result(LONG)
        except Exception as error:
            return error

    with (
        Batcher(run, window_ms=window_ms, max_batch=max_batch, max_waiting=max_waiting) as batcher,
        ThreadPoolExecutor(callers) as pool,
    ):
        answers = list(pool.map(ask, range(len(jobs))))

    for n, ((kind, due), answer) in enumerate(zip(jobs, answers, strict=True)):
        if isinstance(answer, Busy):
            assert callers > max_waiting and started[n] == 0
        elif due == "past":
            assert isinstance(answer, DeadlineError) and started[n] == 0
        elif kind == "good":
            assert answer == ("answer", n) and completed[n] == 1
        elif kind == "bad":
            assert isinstance(answer, KeyError) and answer.args == (n,) and completed[n] == 1
        else:
            assert isinstance(answer, OSError) and answer.args == ([n],) and completed[n] == 0
    assert max(sizes, default=0) <= max_batch and longest[0] <= max_waiting
    assert all(count <= 1 for count in completed.values())


@settings(max_examples=25)
@given(
    plan=st.lists(st.sampled_from(["submit", "cancel", "close"]), min_size=1, max_size=30),
    seed=st.integers(0, 99),
)
def test_whatever_is_accepted_comes_to_an_end(plan: list[str], seed: int) -> None:
    ran: Counter[int] = Counter()

    def run(batch: list[int]) -> list[int]:
        ran.update(batch)
        return [n * n for n in batch]

    batcher = Batcher(run, max_waiting=8, max_batch=3)
    futures: list[Future[int]] = []
    for step, act in enumerate(plan):
        if act == "submit":
            try:
                futures.append(batcher.submit(len(futures)))
            except (Busy, ClosedError):
                continue
        elif act == "cancel" and futures:
            futures[(seed * step) % len(futures)].cancel()
        elif act == "close" and step > len(plan) // 2:
            batcher.close()
    batcher.close()
    for n, future in enumerate(futures):
        assert future.done()
        assert ran[n] == (0 if future.cancelled() else 1)
        _settled(future, n)


def _settled(future: Future[int], n: int) -> None:
    try:
        assert future.result(0) == n * n
    except CancelledError:
        assert future.cancelled()


def test_many_threads_at_once_lose_nothing() -> None:
    ran: Counter[int] = Counter()
    sizes: list[int] = []

    def run(batch: list[int]) -> list[int]:
        ran.update(batch)
        sizes.append(len(batch))
        return [n + 1 for n in batch]

    answers: dict[int, int] = {}

    def client(start: int) -> None:
        for n in range(start, start + 200):
            answers[n] = batcher.call(n, timeout=LONG)

    with Batcher(run, max_batch=5, window_ms=0.2) as batcher:
        threads = [threading.Thread(target=client, args=(1000 * i,)) for i in range(12)]
        start_all(threads)
    assert len(answers) == 2400 and all(answer == n + 1 for n, answer in answers.items())
    assert set(ran.values()) == {1} and len(ran) == 2400
    assert max(sizes) <= 5 < 12 and sum(sizes) == 2400


def start_all(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
