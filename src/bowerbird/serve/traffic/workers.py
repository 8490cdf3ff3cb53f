"""Threads for calls that block, asked for by an event loop: a bounded number, a bounded queue, a deadline each."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from bowerbird.serve.traffic import deadlines
from bowerbird.serve.traffic.errors import Busy, ClosedError, DeadlineError
from bowerbird.serve.traffic.pace import Pace

T = TypeVar("T")


class Workers:
    """Runs blocking calls for coroutines.

    A caller whose deadline passes is told at once; its call is taken out of the queue, or, when it has already
    started, keeps its thread until it returns: hung calls use up these threads and no more than these.

    Args:
        threads: Calls at the same time.
        max_waiting: Calls in the queue; more are refused with `Busy`.
        name: What they are called in errors and in thread names.
    """

    def __init__(self, threads: int = 32, max_waiting: int = 256, name: str = "the server") -> None:
        self.name = name
        self._threads, self._max_waiting = threads, max_waiting
        self._accepted = 0
        self._lock = threading.Lock()
        self._pace = Pace()
        self.open()

    async def run(self, call: Callable[[], T], timeout: float | None = None) -> T:
        """What `call()` returns, run on one of the threads with the caller's context and `timeout` as its deadline.

        Args:
            call: What to run.
            timeout: Seconds; None = as long as it takes.

        Raises:
            DeadlineError: It took longer. A call that had not started by then never will.
            Busy: The queue is full.
            ClosedError: They have been closed.
            Exception: Whatever the call raised.
        """
        deadline = deadlines.earlier(deadlines.after(timeout), deadlines.current())
        return await deadlines.awaited(
            self._submit(call, deadline),
            deadline,
            lambda: DeadlineError(f"{self.name} had no answer before the deadline"),
        )

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return max(0, self._accepted - self._threads)

    def open(self) -> None:
        """Takes calls, again after `close`."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix=f"workers: {self.name}")
        self._closed = False

    def close(self, *, wait: bool = True) -> None:
        """Takes no more calls and finishes those it has accepted.

        Args:
            wait: Return only then.
        """
        self._closed = True
        self._pool.shutdown(wait=wait)

    def _submit(self, call: Callable[[], T], deadline: float | None) -> Future[T]:
        if self._closed:
            raise ClosedError(f"{self.name} is shutting down")
        with self._lock:
            if self._accepted >= self._threads + self._max_waiting:
                raise Busy(self.name, self._pace.seconds_for(self._accepted) / self._threads)
            self._accepted += 1

        def work() -> T:
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineError(f"{self.name} had no answer before the deadline")
            started = time.monotonic()
            try:
                with deadlines.until(deadline):
                    return call()
            finally:
                self._pace.add(time.monotonic() - started)

        try:
            future = self._pool.submit(contextvars.copy_context().run, work)
        except RuntimeError as error:  # closed between the check and here
            self._done(None)
            raise ClosedError(f"{self.name} is shutting down") from error
        future.add_done_callback(self._done)
        return future

    def _done(self, _: Any) -> None:
        with self._lock:
            self._accepted -= 1
