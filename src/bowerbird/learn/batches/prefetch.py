"""Batches built ahead by a thread, in order, so that numpy work overlaps torch work."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

_END = object()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class Prefetch(Generic[T]):
    """An iterator whose items are made up to ``depth`` ahead by one thread.

    Order is that of the source. An exception in the source is raised here, after the items made before it.
    Use it as a context manager: leaving the block stops the thread and closes the source.

    Args:
        items: the source; after this call only the thread touches it.
        depth: most items waiting; 0 makes them on demand without a thread.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._ready: queue.Queue[Any] = queue.Queue(maxsize=max(1, depth))
        self._stopped = threading.Event()
        self._finished = False
        self._thread: threading.Thread | None = None
        if depth > 0:
            self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._finished:
            raise StopIteration
        if self._thread is None:
            return next(self._items)
        item = self._ready.get()
        if item is _END:
            self._finished = True
            raise StopIteration
        if isinstance(item, _Failure):
            self._finished = True
            raise item.error
        made: T = item
        return made

    def close(self) -> None:
        """Stop the thread and close the source; safe to call twice."""
        self._finished = True
        self._stopped.set()
        if self._thread is not None:
            while self._thread.is_alive():
                try:  # make room, so that a thread waiting to hand over an item sees the event
                    self._ready.get_nowait()
                except queue.Empty:
                    self._thread.join(timeout=0.01)
        close = getattr(self._items, "close", None)
        if close is not None:
            close()

    def _work(self) -> None:
        try:
            for item in self._items:
                self._ready.put(item)
                if self._stopped.is_set():
                    return
            self._ready.put(_END)
        except BaseException as error:  # whatever it is belongs to the loop, not to this thread
            self._ready.put(_Failure(error))
