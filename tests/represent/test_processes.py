"""Two processes with half a batch each must learn what one process learns with the whole batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bowerbird.learn.processes import launch
from bowerbird.learn.run import Run
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.learner import OmniSageLearner
from bowerbird.tables.store import Store
from bowerbird.tables.view import View

from .worlds import TINY, VALID_FROM, library_store


def _fit(folder: str, config: OmniSageConfig) -> dict[str, np.ndarray]:
    view = View(Store.open(folder), VALID_FROM)
    artifact = OmniSageLearner(config).fit(view, run=Run(quiet=True, seed=0, device="cpu"))
    return {name: tensor.numpy() for name, tensor in artifact.tensors.items()}


@pytest.mark.processes
def test_two_processes_equal_one(tmp_path: Path) -> None:
    library_store(tmp_path / "store", users=12)
    config = replace(
        TINY, steps=2, validate_every=2, dropout=0.0, user_dropout=0.0, id_dropout=0.0, learning_rate=1e-3, folds=2,
        user_lists=True,
    )  # fmt: skip
    alone = _fit(str(tmp_path / "store"), config)
    first, second = launch(_fit, 2, str(tmp_path / "store"), config, threads=1)
    for name, tensor in alone.items():
        assert np.array_equal(first[name], second[name]), name
        np.testing.assert_allclose(first[name], tensor, atol=1e-4, rtol=1e-3, err_msg=name)
