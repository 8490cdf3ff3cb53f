"""Swapping under load: nobody sees a closed value, every replaced value is closed once, by its last reader."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.releases import Swap, SwapClosedError


class Engine:
    def __init__(self, number: int) -> None:
        self.number, self.twin, self.closed = number, number, 0

    def close(self) -> None:
        self.closed += 1
        self.twin = -1


def test_readers_keep_what_they_began_with() -> None:
    old, new = Engine(0), Engine(1)
    swap = Swap(old)
    with swap.use() as outer:
        swap.set(new)
        with swap.use() as inner:
            assert (outer, inner) == (old, new)
        assert old.closed == 0, "somebody still reads it"
    assert old.closed == 1 and new.closed == 0
    swap.close()
    swap.close()
    assert new.closed == 1
    with pytest.raises(SwapClosedError), swap.use():
        pass
    with pytest.raises(SwapClosedError):
        swap.set(Engine(2))


def test_an_idle_value_is_closed_at_once_and_the_same_value_never() -> None:
    old = Engine(0)
    swap = Swap(old)
    swap.set(old)
    assert old.closed == 0
    swap.set(Engine(1))
    assert old.closed == 1


def test_a_reader_that_fails_lets_go_and_one_that_closes_badly_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: Engine) -> None:
        raise OSError("cannot unmap")

    swap = Swap(Engine(0), close=broken)
    with pytest.raises(ValueError, match="the request"), swap.use():
        swap.set(Engine(1))
        raise ValueError("the request")
    assert "closing what was replaced failed" in caplog.text


def test_values_without_close_are_fine() -> None:
    swap = Swap("a")
    swap.set("b")
    with swap.use() as value:
        assert value == "b"


@given(steps=st.lists(st.one_of(st.integers(0, 4), st.sampled_from(["set", "close"])), max_size=40))
def test_any_order_of_readers_and_swaps(steps: list[int | str]) -> None:
    """Five readers come and go; after every step exactly the values that are neither current nor read are closed."""
    engines = [Engine(0)]
    swap = Swap(engines[0])
    reading: dict[int, tuple[AbstractContextManager[Engine], Engine]] = {}
    ended = False
    for step in steps:
        if step == "close":
            swap.close()
            ended = True
        elif step == "set" and not ended:
            engines.append(Engine(len(engines)))
            swap.set(engines[-1])
        elif isinstance(step, int) and step in reading:
            reading.pop(step)[0].__exit__(None, None, None)
        elif isinstance(step, int) and not ended:
            block = swap.use()
            reading[step] = block, block.__enter__()
            assert reading[step][1] is engines[-1]
        needed = {engine.number for _, engine in reading.values()} | (set() if ended else {len(engines) - 1})
        assert [engine.closed for engine in engines] == [int(e.number not in needed) for e in engines]


def test_under_load_no_request_sees_a_closed_engine() -> None:
    engines = [Engine(number) for number in range(200)]
    swap = Swap(engines[0])
    seen: list[list[int]] = [[] for _ in range(6)]
    done = threading.Event()
    begun = threading.Barrier(7)

    def read(mine: list[int]) -> None:
        begun.wait()
        while not done.is_set():
            with swap.use() as engine:
                first, closed, second = engine.number, engine.closed, engine.twin
                mine.append(first if first == second and not closed else -1)

    threads = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    begun.wait()
    for engine in engines[1:]:
        swap.set(engine)
    done.set()
    for thread in threads:
        thread.join()
    assert all(-1 not in mine for mine in seen)
    assert all(mine == sorted(mine) for mine in seen), "nobody goes back to an older one"
    assert [engine.closed for engine in engines] == [1] * 199 + [0]
