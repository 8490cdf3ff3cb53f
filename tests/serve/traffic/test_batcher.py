"""The batcher: every job gets its own answer, once, in time or not at all; and idle time is never spent waiting."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from bowerbird.serve.traffic import Batcher, Busy, ClosedError, DeadlineError, deadlines
from bowerbird.tables.errors import ConfigError

LONG = 20.0
"""Seconds after which a test gives up; never reached when the code is right."""


class Model:
    """Doubles numbers, remembers every run, and can be held in the middle of one."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()

    @property
    def seen(self) -> set[int]:
        return {job for run in self.runs for job in run}

    def __call__(self, jobs: list[int]) -> list[int | BaseException]:
        self.runs.append(list(jobs))
        self.entered.release()
        assert self.open.wait(LONG)
        return [ValueError(job) if job < 0 else 2 * job for job in jobs]


@pytest.fixture
def model() -> Iterator[Model]:
    found = Model()
    yield found
    found.open.set()  # nobody is left waiting when a test fails


def held(model: Model, batcher: Batcher[int, Any]) -> Future[Any]:
    """A first job that keeps the thread busy until the model is opened."""
    model.open.clear()
    future = batcher.submit(0)
    assert model.entered.acquire(timeout=LONG)
    return future


def test_a_lone_job_is_run_at_once_and_alone(model: Model) -> None:
    # A window of an hour: any wait for company would hang.
    with Batcher(model, window_ms=3_600_000) as batcher:
        assert [batcher.call(n, timeout=LONG) for n in (1, 2, 3)] == [2, 4, 6]
    assert model.runs == [[1], [2], [3]]


def test_what_arrives_during_a_run_makes_the_next_batches_in_order(model: Model) -> None:
    with Batcher(model, window_ms=0, max_batch=3) as batcher:
        held(model, batcher)
        futures = [batcher.submit(n) for n in range(1, 8)]
        assert batcher.waiting == 7
        model.open.set()
        assert [future.result(LONG) for future in futures] == [2 * n for n in range(1, 8)]
    assert model.runs == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_one_job_left_after_a_run_does_not_wait_for_the_window(model: Model) -> None:
    with Batcher(model, window_ms=3_600_000) as batcher:
        held(model, batcher)
        future = batcher.submit(1)
        model.open.set()
        assert future.result(LONG) == 2


def test_several_jobs_left_after_a_run_wait_for_a_full_batch(model: Model) -> None:
    with Batcher(model, window_ms=3_600_000, max_batch=3) as batcher:
        first = held(model, batcher)
        futures = [batcher.submit(1), batcher.submit(2)]
        model.open.set()
        first.result(LONG)
        futures.append(batcher.submit(3))
        assert [future.result(LONG) for future in futures] == [2, 4, 6]
    assert model.runs == [[0], [1, 2, 3]]


def test_the_window_ends_for_a_batch_that_never_fills(model: Model) -> None:
    with Batcher(model, window_ms=5, max_batch=3) as batcher:
        held(model, batcher)
        futures = [batcher.submit(1), batcher.submit(2)]
        model.open.set()
        assert [future.result(LONG) for future in futures] == [2, 4]


def test_the_queue_is_bounded_and_says_when_to_come_back(model: Model) -> None:
    with Batcher(model, max_batch=2, max_waiting=3) as batcher:
        held(model, batcher)
        futures = [batcher.submit(n) for n in (1, 2, 3)]
        with pytest.raises(Busy, match="the model is busy; try again in") as refused:
            batcher.submit(4)
        assert refused.value.retry_after > 0
        model.open.set()
        assert [future.result(LONG) for future in futures] == [2, 4, 6]
        assert batcher.call(5, timeout=LONG) == 10, "room again"
    assert 4 not in model.seen


def test_the_estimate_follows_the_measured_pace() -> None:
    from bowerbird.serve.traffic.pace import Pace

    pace = Pace()
    assert pace.seconds_for(100) == 1.0, "nothing measured yet"
    pace.add(0.4, jobs=4)
    assert pace.seconds_for(20) == pytest.approx(2.0)
    pace.add(5.0, jobs=0)
    for _ in range(60):
        pace.add(0.05)
    assert pace.seconds_for(20) == pytest.approx(1.0, rel=1e-3)
    assert pace.seconds_for(0) == 0.01


def test_a_job_whose_deadline_has_passed_is_never_run(model: Model) -> None:
    with Batcher(model) as batcher:
        held(model, batcher)
        late = batcher.submit(1, deadline=time.monotonic() - 1)
        in_time = batcher.submit(2, deadline=time.monotonic() + LONG)
        model.open.set()
        with pytest.raises(DeadlineError):
            late.result(LONG)
        assert in_time.result(LONG) == 4
    assert 1 not in model.seen


def test_call_gives_up_at_its_timeout_and_takes_its_job_out(model: Model) -> None:
    with Batcher(model) as batcher:
        held(model, batcher)
        with pytest.raises(DeadlineError):
            batcher.call(1, timeout=0.01)
        model.open.set()
        assert batcher.call(2, timeout=LONG) == 4
    assert 1 not in model.seen


def test_the_deadline_of_the_request_holds_without_being_passed_on(model: Model) -> None:
    with Batcher(model) as batcher:
        held(model, batcher)
        with deadlines.until(time.monotonic() + 0.01), pytest.raises(DeadlineError):
            batcher.call(1)
        with deadlines.until(time.monotonic() + LONG), deadlines.until(time.monotonic() - 1):
            late = batcher.submit(2)
        model.open.set()
        with pytest.raises(DeadlineError):
            late.result(LONG)
    assert deadlines.current() is None
    assert deadlines.earlier(None, 3.0, 2.0) == 2.0 and deadlines.earlier(None) is None


def test_dead_jobs_make_room_in_a_full_queue(model: Model) -> None:
    with Batcher(model, max_waiting=2) as batcher:
        held(model, batcher)
        late, given_up = batcher.submit(1, deadline=time.monotonic() - 1), batcher.submit(2)
        assert given_up.cancel()
        futures = [batcher.submit(3), batcher.submit(4)]
        with pytest.raises(DeadlineError):
            late.result(LONG)
        with pytest.raises(Busy):
            batcher.submit(5)
        model.open.set()
        assert [future.result(LONG) for future in futures] == [6, 8]
    assert model.runs == [[0], [3, 4]]


def test_a_failing_job_fails_alone(model: Model) -> None:
    with Batcher(model) as batcher:
        held(model, batcher)
        futures = [batcher.submit(n) for n in (1, -2, 3)]
        model.open.set()
        assert futures[0].result(LONG) == 2 and futures[2].result(LONG) == 6
        with pytest.raises(ValueError, match="-2"):
            futures[1].result(LONG)
    assert model.runs == [[0], [1, -2, 3]]


@pytest.mark.parametrize("failure", [RuntimeError("no"), SystemExit(3), MemoryError()])
def test_a_batch_that_fails_as_a_whole_is_run_one_by_one(failure: BaseException) -> None:
    runs: list[list[int]] = []
    entered, go = threading.Event(), threading.Event()

    def run(jobs: list[int]) -> list[int]:
        runs.append(list(jobs))
        entered.set()
        assert go.wait(LONG)
        if -1 in jobs:
            raise failure
        return jobs

    with Batcher(run) as batcher:
        batcher.submit(0)
        assert entered.wait(LONG)
        futures = [batcher.submit(n) for n in (1, -1, 2)]
        go.set()
        assert futures[0].result(LONG) == 1 and futures[2].result(LONG) == 2
        with pytest.raises(type(failure)):
            futures[1].result(LONG)
        assert batcher.call(7, timeout=LONG) == 7, "the thread lives on"
    assert runs == [[0], [1, -1, 2], [1], [-1], [2], [7]]


def test_a_second_try_is_for_those_who_still_wait() -> None:
    runs: list[list[int]] = []
    entered, go = threading.Event(), threading.Event()

    def run(jobs: list[int]) -> list[int]:
        runs.append(list(jobs))
        entered.set()
        assert go.wait(LONG)
        if len(jobs) > 1:
            while time.monotonic() < soon:  # until the deadline of the first has passed
                time.sleep(0.01)
            raise RuntimeError("no")
        return jobs

    with Batcher(run, window_ms=0) as batcher:
        batcher.submit(0)
        assert entered.wait(LONG)
        soon = time.monotonic() + 0.15
        late, patient = batcher.submit(1, deadline=soon), batcher.submit(2)
        go.set()
        with pytest.raises(DeadlineError):
            late.result(LONG)
        assert patient.result(LONG) == 2
    assert [1] not in runs


def test_a_wrong_number_of_answers_is_an_error_for_each_job() -> None:
    with Batcher[int, int](lambda jobs: [1, 2, 3]) as batcher, pytest.raises(RuntimeError, match="3 answers"):
        batcher.call(1, timeout=LONG)


def test_closing_finishes_what_was_accepted_and_takes_no_more(model: Model) -> None:
    batcher = Batcher(model, window_ms=3_600_000, max_batch=2)
    held(model, batcher)
    futures = [batcher.submit(n) for n in (1, 2, 3)]
    closer = threading.Thread(target=batcher.close)
    closer.start()
    model.open.set()
    closer.join(LONG)
    assert not closer.is_alive() and all(future.done() for future in futures)
    assert [future.result() for future in futures] == [2, 4, 6]
    with pytest.raises(ClosedError):
        batcher.submit(4)
    batcher.close()


def test_closing_from_an_answer_does_not_hang(model: Model) -> None:
    batcher = Batcher(model)
    done = threading.Event()
    held(model, batcher).add_done_callback(lambda _: (batcher.close(), done.set()))
    model.open.set()
    assert done.wait(LONG)
    batcher.close(LONG)


def test_coroutines_share_batches_and_can_give_up(model: Model) -> None:
    async def session(batcher: Batcher[int, int]) -> list[int]:
        answers = [asyncio.ensure_future(batcher.ask(n, timeout=LONG)) for n in (1, 2, 3)]
        given_up = asyncio.ensure_future(batcher.ask(4))
        with pytest.raises(DeadlineError):
            await batcher.ask(5, timeout=0.01)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        model.open.set()
        return await asyncio.gather(*answers)

    with Batcher(model) as batcher:
        held(model, batcher)
        assert asyncio.run(session(batcher)) == [2, 4, 6]
        failed = asyncio.run(_error_of(batcher.ask(-1)))
    assert isinstance(failed, ValueError)
    assert model.runs == [[0], [1, 2, 3], [-1]]


async def _error_of(awaited: Any) -> BaseException | None:
    try:
        await awaited
    except Exception as error:
        return error
    return None


def test_an_own_timeout_error_is_not_mistaken_for_the_deadline() -> None:
    def run(jobs: list[int]) -> list[BaseException]:
        return [TimeoutError("the job's own") for _ in jobs]

    with Batcher[int, int](run) as batcher:
        with pytest.raises(TimeoutError, match="own"):
            batcher.call(1, timeout=LONG)
        assert str(asyncio.run(_error_of(batcher.ask(1, timeout=LONG)))) == "the job's own"


def test_observers_see_batches_waits_lengths_and_refusals(model: Model) -> None:
    class Seen:
        def __init__(self) -> None:
            self.lengths: list[int] = []
            self.sizes: list[int] = []
            self.waits: list[float] = []
            self.refusals: list[str] = []

        def waiting(self, jobs: int) -> None:
            self.lengths.append(jobs)

        def batch(self, size: int, waits_s: Sequence[float], run_s: float) -> None:
            self.sizes.append(size)
            self.waits += waits_s
            assert run_s >= 0

        def refused(self, reason: str) -> None:
            self.refusals.append(reason)
            raise RuntimeError("an observer's own trouble")

    seen = Seen()
    with Batcher(model, max_waiting=2, observer=seen) as batcher:
        held(model, batcher)
        futures = [batcher.submit(1), batcher.submit(2, deadline=time.monotonic() - 1)]
        with pytest.raises(DeadlineError):
            batcher.call(3, timeout=0)
        futures.append(batcher.submit(4))
        with pytest.raises(Busy):
            batcher.submit(5)
        model.open.set()
        assert futures[0].result(LONG) == 2 and futures[2].result(LONG) == 8
    assert seen.sizes == [1, 2] and len(seen.waits) == 3 and min(seen.waits) >= 0
    assert max(seen.lengths) == 2 and seen.lengths[-1] == 0
    assert Counter(seen.refusals)["busy"] == 1 and Counter(seen.refusals)["deadline"] >= 1


@pytest.mark.parametrize(
    "wrong", [{"max_batch": 0}, {"max_waiting": 0}, {"window_ms": -1}, {"window_ms": float("nan")}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Batcher[int, int](lambda jobs: jobs, **wrong)


def test_a_batcher_keeps_no_job_alive_after_its_answer() -> None:
    import gc
    import weakref

    class Job:
        pass

    run: Callable[[list[Job]], list[int]] = lambda jobs: [1 for _ in jobs]  # noqa: E731
    with Batcher(run) as batcher:
        job = Job()
        alive = weakref.ref(job)
        assert batcher.call(job, timeout=LONG) == 1
        batcher.call(Job(), timeout=LONG)
        del job
        for _ in range(100):
            gc.collect()
            if alive() is None:
                break
            time.sleep(0.01)
        assert alive() is None
