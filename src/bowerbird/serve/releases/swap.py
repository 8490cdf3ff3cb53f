"""A value that is exchanged under load: new readers get the new one at once, the old one goes with its last reader."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger("bowerbird.serve")


class SwapClosedError(RuntimeError):
    """`use` or `set` after `close`."""


class _Held(Generic[T]):
    """A value with its readers; `leaving` once it is not the current one any more."""

    def __init__(self, value: T) -> None:
        self.value = value
        self.readers = 0
        self.leaving = False


class Swap(Generic[T]):
    """Holds one value that many threads read while another is put in its place.

    ```python
    engines = Swap(engine)
    with engines.use() as engine:      # the same engine until the block ends
        engine.recommend(request)
    engines.set(newer)                 # never waits for readers
    ```

    Args:
        first: The value to begin with.
        close: Called once with each value that was replaced, in the thread of its last reader; by default the value's
            own `close()` where it has one. What it raises is logged: a reader never sees it.
    """

    def __init__(self, first: T, *, close: Callable[[T], object] | None = None) -> None:
        self._close = close or _close
        self._lock = threading.Lock()
        self._current: _Held[T] = _Held(first)
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[T]:
        """The current value, which stays open until the block ends. Blocks may nest and may span awaits.

        Raises:
            SwapClosedError: After `close`.
        """
        with self._lock:
            if self._closed:
                raise SwapClosedError("this value was closed")
            held = self._current
            held.readers += 1
        try:
            yield held.value
        finally:
            with self._lock:
                held.readers -= 1
                last = held.leaving and held.readers == 0
            if last:
                self._let_go(held)

    def set(self, new: T) -> None:
        """Puts a value in the place of the current one; the same value again changes nothing.

        A value that was replaced must not come back: make a new one.

        Raises:
            SwapClosedError: After `close`; the new value is not taken over then.
        """
        with self._lock:
            if self._closed:
                raise SwapClosedError("this value was closed")
            old = self._current
            if old.value is new:
                return
            self._current = _Held(new)
            idle = self._leave(old)
        if idle:
            self._let_go(old)

    def close(self) -> None:
        """Ends it: the last value is closed with its last reader. Harmless when called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            old = self._current
            idle = self._leave(old)
        if idle:
            self._let_go(old)

    @staticmethod
    def _leave(held: _Held[T]) -> bool:
        held.leaving = True
        return held.readers == 0

    def _let_go(self, held: _Held[T]) -> None:
        try:
            self._close(held.value)
        except Exception:
            log.exception("closing what was replaced failed")


def _close(value: object) -> None:
    own = getattr(value, "close", None)
    if callable(own):
        own()
