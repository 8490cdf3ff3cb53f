"""The memory of the pool: how much a user takes, and that two threads are told apart."""

from __future__ import annotations

import threading

import pytest
import torch

from bowerbird.recommend.config import PinRecConfig
from bowerbird.serve.kv import KVPool, SlotShape
from bowerbird.tables.store import Store
from serve.models import LENGTH, opened


def test_a_slot_takes_what_the_formula_says(store: Store) -> None:
    shape = SlotShape.of(opened(store).model, 1)
    assert shape.nbytes == 4 * (2 * 2 * 16 * (LENGTH + 1) + 16)
    pool = KVPool(shape, 10 * shape.nbytes + 5)
    real = sum(t.nbytes for t in (*pool.keys, *pool.values)) + pool._last_SD.nbytes
    assert pool.slots == 10 and real == 10 * shape.nbytes == pool.describe()["bytes"]
    assert pool.describe()["used"] == 0


@pytest.mark.parametrize(("size", "kibibytes"), [("s", 130), ("m", 2057), ("l", 73803)])
def test_the_sizes_of_the_documentation(size: str, kibibytes: int) -> None:
    config = PinRecConfig.size(size)
    shape = SlotShape(config.layers, config.heads, config.width // config.heads, config.history_length + 1)
    assert shape.nbytes // 1024 == kibibytes


def test_two_threads_at_once_are_refused(store: Store) -> None:
    pool = KVPool(SlotShape.of(opened(store).model, 1), 0)
    found: list[str] = []

    def enter() -> None:
        try:
            with pool.alone():
                found.append("inside")
        except RuntimeError as error:
            found.append(str(error))

    with pool.alone():
        other = threading.Thread(target=enter)
        other.start()
        other.join()
    enter()
    assert "two threads" in found[0] and found[1] == "inside"


def test_slots_in_half_precision_take_half() -> None:
    full = SlotShape(2, 2, 8, 9)
    assert SlotShape(2, 2, 8, 9, torch.bfloat16).nbytes * 2 == full.nbytes
