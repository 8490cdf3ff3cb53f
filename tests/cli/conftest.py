"""The command line with a small store and a small fitted model, made once by the commands themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bowerbird.cli.main import app
from serve.world import build

TINY = [
    f"--set={name}={value}"
    for name, value in {
        "width": 16, "item_dim": 16, "id_dim": 16, "content_dim": 8, "layers": 1, "heads": 1, "history_length": 8,
        "epochs": 2, "random_negatives": 16, "in_batch_negatives": 64, "precision": "fp32",
    }.items()
]  # fmt: skip
"""A PinRec small enough to fit in a second."""

Bowerbird = Callable[..., Result]


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def bowerbird() -> Bowerbird:
    """Runs a command; never raises for what the command does."""
    return _run


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "store"
    build(path)
    return path


@pytest.fixture(scope="session")
def model(store: Path) -> Path:
    path = store.parent / "model"
    done = _run("fit", "pinrec", "--store", store, "--out", path, "--quiet", *TINY)
    assert done.exit_code == 0, done.output
    return path
