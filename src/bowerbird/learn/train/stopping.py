"""When to stop: no gain on validation, or a polite request from outside."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from bowerbird.tables.errors import ConfigError


@dataclass
class EarlyStopping:
    """Follows one validation metric.

    Args:
        monitor: the metric's key.
        mode: whether larger (``max``) or smaller (``min``) is better.
        patience: validations without a gain after which to stop; 0 = never.
        minimum_gain: how much better counts as better.
    """

    monitor: str
    mode: Literal["max", "min"]
    patience: int
    minimum_gain: float = 0.0
    best: float | None = None
    best_step: int = -1
    without_gain: int = 0

    def take(self, metrics: Mapping[str, float], step: int) -> bool:
        """Take in one validation.

        Returns:
            Whether it is the best so far. A value that is not a number never is.

        Raises:
            ConfigError: if the metric is not among ``metrics``.
        """
        if self.monitor not in metrics:
            raise ConfigError(
                f"validation has no metric {self.monitor!r} to monitor; it has {', '.join(metrics)}"
            )
        value = float(metrics[self.monitor])
        sign = 1.0 if self.mode == "max" else -1.0
        if value == value and (self.best is None or sign * (value - self.best) > self.minimum_gain):
            self.best, self.best_step, self.without_gain = value, step, 0
            return True
        self.without_gain += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.patience <= self.without_gain

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self.best, "best_step": self.best_step, "without_gain": self.without_gain}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state` gave."""
        self.best, self.best_step, self.without_gain = (
            state["best"],
            state["best_step"],
            state["without_gain"],
        )


class Interruption:
    """Whether someone asked the training to stop (Ctrl-C or a termination signal)."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def interruptible(active: bool) -> Iterator[Interruption]:
    """Inside the block, SIGINT and SIGTERM set a flag, so that the loop can write a checkpoint first.

    A second signal acts at once. Only the main thread can do this; elsewhere, or where ``active`` is false,
    signals act as usual.
    """
    asked = Interruption()
    if not active or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        asked.requested = True
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
