"""Why a piece of work was not done. None of them means that something is broken."""

from __future__ import annotations

from bowerbird.tables.errors import BowerbirdError


class TrafficError(BowerbirdError):
    """Work that was refused or given up."""


class Busy(TrafficError):  # noqa: N818 - reads as what it says at every `raise` and `except`
    """The queue is full.

    Args:
        what: Whose queue.
        retry_after: Seconds after which the queue should have room, estimated from the measured service rate.
    """

    def __init__(self, what: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"{what} is busy; try again in {max(retry_after, 0.01):.2f} s")


class DeadlineError(TrafficError):
    """The deadline passed before there was an answer."""


class ClosedError(TrafficError):
    """Work handed to something that has been closed."""
