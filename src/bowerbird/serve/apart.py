"""Work that leaves no waiting threads behind.

The numeric libraries keep the helper threads of every thread that ever computed in parallel, and count them all. Where
there are more of them than cores, each of them goes to sleep at every barrier instead of waiting a moment, and a pass
through the model, which has a hundred barriers, takes nearly twice as long. So a server computes on one thread only:
opening and warming up happen on a thread that ends, and takes its helpers along.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Call(threading.Thread, Generic[T]):
    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__(name="apart", daemon=True)
        self._call = call
        self.found: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.found.append(self._call())
        except BaseException as error:
            self.error = error


def apart(call: Callable[[], T]) -> T:
    """What ``call()`` returns or raises, run on a thread of its own, which has ended afterwards."""
    thread = _Call(call)
    thread.start()
    thread.join()
    if thread.error is not None:
        raise thread.error
    return thread.found[0]
