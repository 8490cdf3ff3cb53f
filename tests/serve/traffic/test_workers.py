"""Workers: blocking calls off the event loop, bounded, with deadlines."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from bowerbird.serve.traffic import Busy, ClosedError, DeadlineError, Workers, deadlines

LONG = 20.0


@pytest.fixture
def gate():  # type: ignore[no-untyped-def]
    found = threading.Event()
    yield found
    found.set()


def test_answers_errors_and_context_come_through() -> None:
    async def session() -> None:
        workers = Workers(2, 2)
        assert await workers.run(lambda: 6 * 7) == 42
        with pytest.raises(KeyError):
            await workers.run(lambda: {}["none"])
        with pytest.raises(TimeoutError, match="own"):
            await workers.run(_own_timeout, timeout=LONG)
        assert await workers.run(deadlines.current) is None
        assert await workers.run(deadlines.current, timeout=LONG) is not None
        with deadlines.until(12.5), pytest.raises(DeadlineError):
            await workers.run(deadlines.current)
        workers.close()
        with pytest.raises(ClosedError):
            await workers.run(lambda: 1)

    asyncio.run(session())


def _own_timeout() -> None:
    raise TimeoutError("its own")


def test_bounded_and_late_calls_never_start(gate: threading.Event) -> None:
    ran: list[str] = []

    def call(name: str) -> Any:
        return lambda: (gate.wait(LONG), ran.append(name))

    async def session() -> None:
        workers = Workers(threads=1, max_waiting=2)
        first = asyncio.ensure_future(workers.run(call("first")))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(workers.run(call("second")))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineError):
            await workers.run(call("late"), timeout=0.01)
        third = asyncio.ensure_future(workers.run(call("third")))
        await asyncio.sleep(0)
        assert workers.waiting == 2
        with pytest.raises(Busy) as refused:
            await workers.run(call("too many"))
        assert refused.value.retry_after > 0
        gate.set()
        await asyncio.gather(first, second, third)
        assert workers.waiting == 0
        workers.close()

    asyncio.run(session())
    assert ran == ["first", "second", "third"]


def test_a_hung_call_is_given_up_and_keeps_its_thread(gate: threading.Event) -> None:
    async def session() -> None:
        workers = Workers(threads=1, max_waiting=1)
        with pytest.raises(DeadlineError):
            await workers.run(lambda: gate.wait(LONG), timeout=0.02)
        with pytest.raises(DeadlineError):
            await workers.run(lambda: "never", timeout=0.02)
        gate.set()
        assert await workers.run(lambda: "well again", timeout=LONG) == "well again"
        workers.close()

    asyncio.run(session())
