"""A batch of sources over several threads.

Python threads that call compiled code which releases the GIL, not Numba's parallel loops: those share one pool that,
in the layer that needs no further package, ends the process when two threads use it at once (as a server or two
prefetching loaders would), and that a forked worker inherits broken. Threads are started for each call; that costs less
than one source.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_blocks(work: Callable[[int, int], None], count: int, block: int, threads: int) -> None:
    """Calls `work(begin, end)` for consecutive blocks of `range(count)` until all are done.

    Args:
        work: must be safe to call from several threads at once for different blocks.
        count: how much there is.
        block: size of a block; the last is smaller.
        threads: how many at most. Blocks go to whichever thread is free.

    Raises:
        BaseException: The first error of any thread, after all have stopped.
    """
    begins = itertools.count(0, block)  # next() on it is one step for all threads
    errors: list[BaseException] = []

    def take() -> None:
        try:
            while not errors and (begin := next(begins)) < count:
                work(begin, min(begin + block, count))
        except BaseException as error:
            errors.append(error)

    helpers = [
        threading.Thread(target=take, name=f"sampler-{number}", daemon=True)
        for number in range(1, min(threads, -(-count // block)))
    ]
    for helper in helpers:
        helper.start()
    take()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
