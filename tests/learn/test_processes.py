"""Two processes with half a batch each are one process with the whole batch; failures are heard."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from bowerbird.learn.processes import (
    ProcessError,
    World,
    broadcast_json,
    current,
    gather_with_gradient,
    launch,
    own_rows,
)
from bowerbird.learn.processes.launch import _collect, _Word
from bowerbird.learn.run import read_metrics
from bowerbird.tables.errors import ConfigError

from . import members
from .toy import train_towers

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def two(folder: Path) -> list[dict]:
    return launch(members.everything, 2, str(folder), threads=1)


def close(one: dict, other: dict, atol: float) -> None:
    for name, values in one.items():
        torch.testing.assert_close(torch.tensor(other[name]), torch.tensor(values), atol=atol, rtol=0)


def test_two_halves_equal_one_whole(two: list[dict], folder: Path, tmp_path: Path) -> None:
    weights, result = train_towers(str(tmp_path), steps=10)
    close(weights, two[0]["weights"], atol=1e-6)
    assert two[0]["weights"] == two[1]["weights"]
    assert (result.examples, result.epochs) == (two[0]["result"]["examples"], two[0]["result"]["epochs"])
    one = read_metrics(tmp_path / "metrics.jsonl")
    both = read_metrics(folder / "towers" / "metrics.jsonl")
    assert [r["step"] for r in one] == [r["step"] for r in both]  # the first process alone writes
    for mine, theirs in zip(one, both, strict=True):
        for key in ("loss", "gradient_norm", "rows", "learning_rate"):
            assert theirs[key] == pytest.approx(mine[key], abs=1e-5)


def test_accumulation_over_processes(two: list[dict]) -> None:
    weights, _ = train_towers(None, steps=5, accumulate=2)
    close(weights, two[0]["accumulated"], atol=1e-6)


def test_gathered_rows_and_their_gradients(two: list[dict]) -> None:
    rows = [[0.0, 1.0], [2.0, 3.0], [100.0, 101.0], [102.0, 103.0], [104.0, 105.0]]
    first, second = two[0]["gather"], two[1]["gather"]
    assert first["rows"] == second["rows"] == rows
    # The weights of both processes add up: 11 times 0, 1, 2, ...
    assert first["gradient"] == [[0.0, 11.0], [22.0, 33.0]]
    assert second["gradient"] == [[44.0, 55.0], [66.0, 77.0], [88.0, 99.0]]
    assert first["ids"] == second["ids"] == [7, 8, 8, 9]
    assert first["masks"] == [False, True]
    assert (first["own"], second["own"]) == ([0, 2], [2, 5])


def test_first_process_validates_and_all_agree(two: list[dict]) -> None:
    first, second = two[0]["validated"], two[1]["validated"]
    assert first[:4] == [3, "patience", 6, 0.3]
    assert second[0] == 0
    assert first[1:] == second[1:]


def test_first_process_speaks_for_all(two: list[dict]) -> None:
    assert [member["said"] for member in two] == [{"from": 0, "none": None}] * 2
    assert [member["rank"] for member in two] == [0, 1]
    assert [member["threads"] for member in two] == [1, 1]


def test_uneven_sources_end_with_the_shorter(two: list[dict]) -> None:
    assert [member["uneven"] for member in two] == [3, 3]


def test_failure_is_reported_with_its_traceback() -> None:
    with pytest.raises(ProcessError, match=r"(?s)process 1 of 2 failed:.*ValueError: no bird today"):
        launch(members.fail_on_second, 2, threads=1)


def told(*words: _Word | None) -> list[Connection]:
    """Pipes of processes that have said these words and ended."""
    pipes = []
    for word in words:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        if word is not None:
            theirs.send(word)
        theirs.close()
        pipes.append(ours)
    return pipes


def test_the_first_failure_is_the_cause() -> None:
    assert _collect(told(_Word("a"), _Word("b"))) == ["a", "b"]
    with pytest.raises(ProcessError, match="process 1 of 3 failed:\ncause"):
        _collect(told(_Word(trouble="reset", moment=2.0), _Word(trouble="cause", moment=1.0), _Word("c")))
    with pytest.raises(ProcessError, match="process 1 of 2 ended without a word"):
        _collect(told(_Word(trouble="reset", moment=2.0), None))


def test_alone() -> None:
    rows = torch.ones(3, 2, requires_grad=True)
    assert current() == World(0, 1, 0)
    assert gather_with_gradient(rows) is rows
    assert own_rows(3) == slice(0, 3)
    assert broadcast_json({"a": 1}) == {"a": 1}
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        launch(members.fail_on_second, 0)
