"""Micro-batching: many callers, one model thread.

A model call costs almost the same for one request as for a few, so requests that are there together are run
together. The thread never sits idle to make a batch larger: a request that finds it idle is run at once, and the
next batch is whatever arrived in the meantime.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, Literal, Protocol, TypeVar

from bowerbird.serve.traffic import deadlines
from bowerbird.serve.traffic.errors import Busy, ClosedError, DeadlineError
from bowerbird.serve.traffic.pace import Pace
from bowerbird.tables.errors import ConfigError

log = logging.getLogger("bowerbird.serve.traffic")

Job = TypeVar("Job")
Result = TypeVar("Result")


class Observer(Protocol):
    """Told what a batcher does, from whichever thread does it. Must be quick; what it raises is logged and ignored."""

    def waiting(self, jobs: int) -> None:
        """The queue has this length now."""

    def batch(self, size: int, waits_s: Sequence[float], run_s: float) -> None:
        """A batch was run: its size, how long each of its jobs had waited, how long it ran; seconds."""

    def refused(self, reason: Literal["busy", "deadline"]) -> None:
        """A job was not run."""


class _Ticket(Generic[Job, Result]):
    """A job on its way."""

    __slots__ = ("arrived", "deadline", "future", "job")

    def __init__(self, job: Job, deadline: float | None) -> None:
        self.job = job
        self.deadline = deadline
        self.arrived = time.monotonic()
        self.future: Future[Result] = Future()

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


class Batcher(Generic[Job, Result]):
    """Runs jobs of many threads in batches on one thread of its own.

    - Idle: a job is run at once, alone if it is alone.
    - Busy: jobs gather. When the thread is free again it takes all of them, up to `max_batch`; if they are several
      and the oldest has waited less than `window_ms`, it first waits for the rest of that window, or for a full batch.
    - A job whose deadline passes while it waits is never run.
    - The order of arrival is the order of batches.

    Args:
        run: Answers a list of jobs with a list of the same length, in the same order: a result, or the exception that
            this one job gets. Where it raises, its jobs are run again one by one, so that a bad one fails alone; a run
            must therefore be free of lasting effects until it returns.
        window_ms: Longest time a job waits for company while the thread is free, milliseconds.
        max_batch: Most jobs in one run.
        max_waiting: Most jobs in the queue; more are refused with `Busy`.
        observer: Told of batches, queue lengths and refusals.
        name: What it is called in errors and in its thread's name.

    Raises:
        ConfigError: A limit below 1, or a negative window.
    """

    def __init__(
        self, run: Callable[[list[Job]], Sequence[Result | BaseException]], *, window_ms: float = 2.0,
        max_batch: int = 32, max_waiting: int = 256, observer: Observer | None = None, name: str = "the model",
    ) -> None:  # fmt: skip
        for setting, value in (("max_batch", max_batch), ("max_waiting", max_waiting)):
            if value < 1:
                raise ConfigError(f"{setting} must be at least 1, got {value}")
        if not window_ms >= 0:
            raise ConfigError(f"window_ms must be 0 or more, got {window_ms}")
        self.name, self.max_batch, self.max_waiting = name, max_batch, max_waiting
        self._run, self._window_s, self._observer = run, window_ms / 1000, observer
        self._queue: deque[_Ticket[Job, Result]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._pace = Pace()
        self._thread = threading.Thread(target=self._work, name=f"batcher: {name}", daemon=True)
        self._thread.start()

    # --- for callers

    def submit(self, job: Job, deadline: float | None = None) -> Future[Result]:
        """Hands a job over; returns at once.

        Args:
            job: What to run.
            deadline: By when it must have been started, on the clock of `time.monotonic()`. The deadline of the
                calling request (`deadlines.until`) holds as well.

        Returns:
            The future answer: a result, what `run` gave or raised for this job, or DeadlineError. Cancelling it
            before it has started takes the job out.

        Raises:
            Busy: The queue is full.
            ClosedError: The batcher has been closed.
        """
        ticket = _Ticket[Job, Result](job, deadlines.earlier(deadline, deadlines.current()))
        gone: list[_Ticket[Job, Result]] = []
        with self._changed:
            if self._closed:
                raise ClosedError(f"{self.name} has been shut down")
            if len(self._queue) >= self.max_waiting:
                gone = self._sweep()
            full = len(self._queue) >= self.max_waiting
            if not full:
                self._queue.append(ticket)
                self._changed.notify()
            length = len(self._queue)
        for lost in gone:
            self._drop(lost)
        if full:
            self._tell(lambda observer: observer.refused("busy"))
            raise Busy(self.name, self._pace.seconds_for(length))
        self._tell(lambda observer: observer.waiting(length))
        return ticket.future

    def call(self, job: Job, timeout: float | None = None) -> Result:
        """The answer to a job; waits for it.

        Args:
            job: What to run.
            timeout: Seconds to wait at most. The deadline of the calling request holds as well.

        Raises:
            DeadlineError: There was no answer in time. A job that had not started by then never will.
            Busy: The queue is full.
            ClosedError: The batcher has been closed.
            Exception: Whatever the job itself failed with.
        """
        deadline = deadlines.earlier(deadlines.after(timeout), deadlines.current())
        future = self.submit(job, deadline)
        try:
            return future.result(deadlines.left(deadline))
        except TimeoutError:
            if future.done() and not future.cancelled():
                return future.result()  # arrived just now, or failed with a TimeoutError of its own
            future.cancel()
            raise self._too_late() from None

    async def ask(self, job: Job, timeout: float | None = None) -> Result:
        """`call` for coroutines: awaits the answer without holding a thread. Cancelling it takes a waiting job out."""
        deadline = deadlines.earlier(deadlines.after(timeout), deadlines.current())
        return await deadlines.awaited(self.submit(job, deadline), deadline, self._too_late)

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._queue)

    def close(self, timeout: float | None = None) -> None:
        """Takes no more jobs, finishes those it has accepted, and stops; harmless when called twice.

        Args:
            timeout: Seconds to wait for the thread; None = until it is done.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def __enter__(self) -> Batcher[Job, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the thread

    def _work(self) -> None:
        while taken := self._take():
            length = len(self._queue)
            self._tell(lambda observer, length=length: observer.waiting(length))  # type: ignore[misc]
            live = []
            for ticket in taken:
                if ticket.late:
                    self._drop(ticket)
                elif ticket.future.set_running_or_notify_cancel():
                    live.append(ticket)
            if live:
                self._answer(live)
            del taken, live  # an idle batcher holds on to nobody's jobs

    def _take(self) -> list[_Ticket[Job, Result]]:
        with self._changed:
            was_idle = not self._queue
            while not self._queue:
                if self._closed:
                    return []
                self._changed.wait()
            if not was_idle and len(self._queue) > 1:
                self._gather()
            return [self._queue.popleft() for _ in range(min(self.max_batch, len(self._queue)))]

    def _gather(self) -> None:
        """Waits for a full batch, at most until the oldest job has waited for its window."""
        end = self._queue[0].arrived + self._window_s
        while len(self._queue) < self.max_batch and not self._closed:
            rest = end - time.monotonic()
            if rest <= 0:
                return
            self._changed.wait(rest)

    def _answer(self, live: list[_Ticket[Job, Result]]) -> None:
        started = time.monotonic()
        answers = self._run_all(live)
        elapsed = time.monotonic() - started
        self._pace.add(elapsed, len(live))
        waits = [started - ticket.arrived for ticket in live]
        self._tell(lambda observer: observer.batch(len(live), waits, elapsed))
        for ticket, answer in zip(live, answers, strict=True):
            if isinstance(answer, BaseException):
                ticket.future.set_exception(answer)
            else:
                ticket.future.set_result(answer)

    def _run_all(self, live: list[_Ticket[Job, Result]]) -> Sequence[Result | BaseException]:
        """One answer for each; a batch that fails as a whole is tried again one by one."""
        try:
            answers = self._run([ticket.job for ticket in live])
            if len(answers) != len(live):
                raise RuntimeError(f"{len(live)} jobs were run, {len(answers)} answers came back")
        except BaseException as error:  # also SystemExit: it belongs to whoever waits, not to this thread
            if len(live) == 1:
                return [error]
            log.warning(
                "a batch of %d failed (%s); running its jobs one by one", len(live), type(error).__name__
            )
            return [self._too_late() if ticket.late else self._run_all([ticket])[0] for ticket in live]
        return answers

    # --- odds

    def _sweep(self) -> list[_Ticket[Job, Result]]:
        """Takes out jobs nobody waits for any more; the lock is held."""
        kept: deque[_Ticket[Job, Result]] = deque()
        gone: list[_Ticket[Job, Result]] = []
        for ticket in self._queue:
            (gone if ticket.late or ticket.future.cancelled() else kept).append(ticket)
        self._queue = kept
        return gone

    def _drop(self, ticket: _Ticket[Job, Result]) -> None:
        if ticket.future.set_running_or_notify_cancel():
            ticket.future.set_exception(self._too_late())
            self._tell(lambda observer: observer.refused("deadline"))

    def _too_late(self) -> DeadlineError:
        return DeadlineError(f"{self.name} had no answer before the deadline")

    def _tell(self, say: Callable[[Observer], None]) -> None:
        if self._observer is None:
            return
        try:
            say(self._observer)
        except Exception:
            log.exception("an observer of %s failed", self.name)
