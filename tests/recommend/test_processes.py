"""Two processes with half a batch each must learn what one process learns with the whole batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bowerbird.learn.processes import launch
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.tables.store import Store
from bowerbird.tables.view import View
from recommend.worlds import outcome_world


def _fit(folder: str, config: PinRecConfig) -> dict[str, np.ndarray]:
    artifact = PinRecLearner(config).fit(View(Store.open(folder)), run=Run(quiet=True, seed=0, device="cpu"))
    return {name: tensor.numpy() for name, tensor in artifact.tensors.items()}


@pytest.mark.processes
def test_two_processes_equal_one(tiny: PinRecConfig, tmp_path: Path) -> None:
    outcome_world(tmp_path / "store", users=40, length=8)
    # the cap on in-batch negatives picks by row order, which processes do not share: it must not bind
    config = replace(tiny, epochs=1, condition_dropout=0.0, batch_positions=64, in_batch_negatives=1000)
    alone = _fit(str(tmp_path / "store"), config)
    first, second = launch(_fit, 2, str(tmp_path / "store"), config, threads=1)
    for name, tensor in alone.items():
        assert np.array_equal(first[name], second[name]), name
        np.testing.assert_allclose(first[name], tensor, atol=2e-5, rtol=1e-4, err_msg=name)
