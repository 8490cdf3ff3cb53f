"""How a route has blocking work done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bowerbird.serve.api.metrics import Metrics
from bowerbird.serve.traffic import Busy, DeadlineError, Workers

T = TypeVar("T")


class Work:
    """Runs calls into the engine off the event loop, each with the same time limit.

    Args:
        workers: The threads.
        timeout_s: Seconds a call may take, queueing included.
        metrics: Where refusals are counted.
    """

    def __init__(self, workers: Workers, timeout_s: float, metrics: Metrics) -> None:
        self._workers, self._timeout_s, self.metrics = workers, timeout_s, metrics

    async def __call__(self, call: Callable[[], T]) -> T:
        """What `call()` returns.

        Raises:
            Busy: Too many calls wait.
            DeadlineError: It took too long.
            Exception: Whatever the call raised.
        """
        try:
            return await self._workers.run(call, self._timeout_s)
        except Busy:
            self.metrics.refused("busy")
            raise
        except DeadlineError:
            self.metrics.refused("deadline")
            raise
