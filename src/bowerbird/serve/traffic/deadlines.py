"""The deadline of the request being worked on, known to everything the request calls.

A deadline is a reading of `time.monotonic()` in seconds. It travels in a context variable, so that the one who knows
it (HTTP) and the one who acts on it (a queue, deep in the engine) need not pass it through everything in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_current: ContextVar[float | None] = ContextVar("bowerbird_deadline", default=None)


def current() -> float | None:
    """The deadline of the running request; None = it has none."""
    return _current.get()


@contextmanager
def until(deadline: float | None) -> Iterator[None]:
    """Everything called inside the block has to be done by `deadline`, or by an earlier one already set."""
    token = _current.set(earlier(deadline, _current.get()))
    try:
        yield
    finally:
        _current.reset(token)


def after(seconds: float | None) -> float | None:
    """The deadline so many seconds from now; None = none."""
    return None if seconds is None else time.monotonic() + seconds


def earlier(*deadlines: float | None) -> float | None:
    """The earliest of the deadlines that are set; None where none is."""
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


def left(deadline: float | None) -> float | None:
    """Seconds until a deadline, 0 when it has passed; None = no deadline."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


async def awaited(future: Future[T], deadline: float | None, late: Callable[[], Exception]) -> T:
    """The result of a thread's work, for coroutines; cancelling it cancels work that has not started.

    Raises:
        Exception: What the work raised, a `TimeoutError` of its own included, or `late()` once the deadline passed.
    """
    try:
        async with asyncio.timeout(left(deadline)) as limit:
            return await asyncio.wrap_future(future)
    except TimeoutError:
        if not limit.expired():
            raise
        raise late() from None
