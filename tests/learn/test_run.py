"""A run: device, seeds, random streams, records."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from bowerbird.learn.randomness import capture, derived, restore, seed_everything, step_generator
from bowerbird.learn.run import Run, read_metrics
from bowerbird.learn.train.step import move
from bowerbird.tables.errors import ConfigError

CPU = torch.device("cpu")


def numbers() -> list[float]:
    return [
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.rand(())),
        float(torch.randn(())),
    ]


def test_seeded_alike_is_alike() -> None:
    found = []
    for seed, rank in ((1, 0), (1, 0), (2, 0), (1, 1)):
        seed_everything(seed, rank)
        found.append(numbers())
    assert found[0] == found[1]
    for other in found[2:]:
        assert not set(found[0]) & set(other)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_captured_streams_continue(before: int) -> None:
    # An odd number of Gaussians leaves one in hand in two of the generators: it must be kept too.
    seed_everything(4)
    for _ in range(before):
        numbers()
        random.gauss(0, 1)
        np.random.randn()
    state = capture(CPU)
    expected = [numbers() for _ in range(3)]
    seed_everything(77)
    restore(state, CPU)
    assert [numbers() for _ in range(3)] == expected


def test_derived_streams_depend_on_every_key() -> None:
    keys = [(0,), (0, 0), (0, 1), (1, 0), (0, 0, 1)]
    found = [derived(*key).random() for key in keys]
    assert len(set(found)) == len(keys)
    assert found == [derived(*key).random() for key in keys]
    drawn = [
        float(torch.rand((), generator=step_generator(*key, CPU)))
        for key in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    ]
    assert len(set(drawn)) == 4


def test_records_survive_a_cut_line_and_hold_no_nan(tmp_path: Path) -> None:
    run = Run(tmp_path / "deep" / "run", device="cpu", quiet=True)
    run.record({"stage": "a", "step": 1, "loss": np.float32(0.5), "bad": float("nan"), "n": np.int64(3)})
    run.record({"stage": "b", "step": 5})
    with run.metrics_file().open("a") as file:
        file.write('{"stage": "a", "st')
    assert read_metrics(run.metrics_file()) == [
        {"stage": "a", "step": 1, "loss": 0.5, "bad": None, "n": 3}, {"stage": "b", "step": 5},
    ]  # fmt: skip
    run.forget("b", 4)
    assert [r["stage"] for r in read_metrics(run.metrics_file())] == ["a"]
    run.record({"stage": "a", "step": 2})
    assert [r["step"] for r in read_metrics(run.metrics_file())] == [1, 2]


def test_run_without_folder_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(quiet=True, device="cpu")
    run.record({"a": 1})
    run.forget("train", 0)
    with pytest.raises(ConfigError, match="no folder"):
        run.metrics_file()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed must be 0 or more"),
        ({"device": "gpu"}, "choose auto, cpu"),
        ({"device": "mps"}, "not supported"),
        ({"resume": True}, "resume needs the folder"),
        ({"threads": 0}, "threads must be at least 1"),
    ],
)
def test_circumstances_that_make_no_sense(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Run(**settings)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Run(quiet=True).device == CPU
    with pytest.raises(ConfigError, match="sees no CUDA device"):
        Run(device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Run(quiet=True).device == torch.device("cuda:0")
    assert Run(device="cuda:1", quiet=True).device == torch.device("cuda:1")
    with pytest.raises(ConfigError, match="this machine has 2"):
        Run(device="cuda:7")


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        Run(quiet=True, device="cpu", threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_batches_are_moved_whole() -> None:
    from collections import namedtuple
    from dataclasses import dataclass

    Pair = namedtuple("Pair", "a b")

    @dataclass
    class Batch:
        ids: torch.Tensor
        parts: list
        named: dict
        pair: Pair
        rows: np.ndarray

    rows = np.arange(3)
    batch = Batch(torch.ones(2), [torch.ones(1), 5], {"x": torch.ones(1)}, Pair(torch.ones(1), "b"), rows)
    moved = move(batch, torch.device("meta"))
    assert {moved.ids.device.type, moved.parts[0].device.type, moved.named["x"].device.type} == {"meta"}
    assert moved.pair.a.device.type == "meta"
    assert (moved.pair.b, moved.parts[1]) == ("b", 5)
    assert moved.rows is rows
    assert move(batch, CPU) is batch

    class Own:
        def to(self, device):
            return f"moved to {device.type}"

    assert move((Own(),), torch.device("meta")) == ("moved to meta",)
