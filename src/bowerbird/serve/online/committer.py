"""Group commit: appends that wait at the same time share one transaction and one flush to the disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from bowerbird.serve.online.errors import OnlineError
from bowerbird.serve.online.events import Receipt
from bowerbird.serve.online.rules import Row

log = logging.getLogger("bowerbird.serve")

Write = Callable[[Sequence[Sequence[Row]]], list[Receipt]]
"""Writes several appends in one transaction and returns their receipts, or raises and writes nothing."""


@dataclass(frozen=True)
class _Waiting:
    rows: Sequence[Row]
    receipt: Future[Receipt] = field(default_factory=Future)


class Committer:
    """A thread that commits what waits. While it waits for the disk, the next transaction gathers by itself: one
    caller pays one flush, sixteen callers share one, and nobody waits for company.

    Args:
        write: Writes several appends in one transaction.
        most_rows: Rows after which a transaction takes no further append.
        most_waiting: Rows that may wait; beyond them appends are refused at once.
    """

    def __init__(self, write: Write, *, most_rows: int = 2000, most_waiting: int = 20_000) -> None:
        self._write, self._most_rows, self._most_waiting = write, most_rows, most_waiting
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._unfinished = 0
        self._closed = False
        self.problem: str | None = None
        # Daemon: events without a receipt may be lost, so a program that ends without `close` need not wait for them.
        self._thread = threading.Thread(target=self._run, name="online-history-committer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows handed in and not committed yet."""
        return self._unfinished

    def commit(self, rows: Sequence[Row]) -> Receipt:
        """Waits until the rows are committed.

        Raises:
            OnlineError: They were not; or too many rows wait already; or the committer is closed.
        """
        mine = _Waiting(rows)
        with self._changed:
            if self._closed:
                raise OnlineError("it is closed")
            if self._unfinished and self._unfinished + len(rows) > self._most_waiting:
                raise OnlineError(
                    f"{self._unfinished} events wait for the disk already; post more slowly", retry_after=1.0
                )
            self._unfinished += len(rows)
            self._queue.append(mine)
            self._changed.notify()
        return mine.receipt.result()

    def close(self) -> None:
        """Commits what waits and ends the thread; harmless when called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            outcomes = self._outcomes(batch)
            with self._changed:
                self._unfinished -= sum(len(one.rows) for one in batch)
            for one, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Receipt):
                    one.receipt.set_result(outcome)
                else:
                    one.receipt.set_exception(outcome)

    def _next(self) -> list[_Waiting]:
        """Everything that waits, up to a bound; empty when closed and done."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            batch: list[_Waiting] = []
            rows = 0
            while self._queue and (not batch or rows + len(self._queue[0].rows) <= self._most_rows):
                rows += len(self._queue[0].rows)
                batch.append(self._queue.popleft())
            return batch

    def _outcomes(self, batch: Sequence[_Waiting]) -> list[Receipt | Exception]:
        try:
            receipts = self._write([one.rows for one in batch])
        except OnlineError as error:
            if error.retry_after is None and len(batch) > 1:
                # Perhaps it is the fault of one of them; it must not take the others along.
                return [outcome for one in batch for outcome in self._outcomes([one])]
            self.problem = error.reason
            # One exception a caller: a shared one would gather the tracebacks of all threads.
            return [OnlineError(error.reason, name=error.name, retry_after=error.retry_after) for _ in batch]
        except Exception as error:
            log.exception("the online history could not commit")
            self.problem = f"unexpected: {type(error).__name__}"
            return [OnlineError(f"it failed unexpectedly ({type(error).__name__})") for _ in batch]
        self.problem = None
        return list(receipts)
