"""The store and its truth on disk."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bowerbird.tables.errors import ConfigError, StoreError
from bowerbird.tables.simulate import ACTIONS, Truth, simulate
from bowerbird.tables.simulate.behaviour import forget_stale_code

from .conftest import World


def test_dense_ids_are_the_numbers_of_the_truth(world: World) -> None:
    store, truth = world.store, world.truth
    users, items = np.arange(store.n_users), np.arange(store.n_items)
    assert np.array_equal(truth.user_numbers(store.users.decode(users)), users)
    assert np.array_equal(truth.item_numbers(store.items.decode(items)), items)
    assert np.array_equal(truth.user_numbers(world.rows["user_id"].to_numpy()), world.rows["user"].to_numpy())
    assert np.array_equal(truth.item_numbers(world.rows["item_id"].to_list()), world.rows["item"].to_numpy())
    assert np.array_equal(store.item_table.created, truth.catalogue.items["created"])


def test_the_manifest_tells_how_it_was_made(world: World) -> None:
    manifest = world.store.manifest
    assert manifest.config["simulation"] == json.loads(world.truth.config.to_json())
    assert manifest.actions == list(ACTIONS)
    assert manifest.negative_actions == ["hide"]
    assert manifest.counts["events"] == 30_000
    assert manifest.counts["slates"] == world.truth.requests().collect().height


def test_public_ids_and_numbers_mean_the_same(world: World) -> None:
    truth, rows = world.truth, world.ordinary.head(20)
    by_id = truth.outcome_probability(rows["user_id"].to_list(), rows["item_id"].to_list(), "click",
                                      rows["time"].to_numpy())  # fmt: skip
    by_number = truth.outcome_probability(rows["user"], rows["item"], "click", rows["time"].to_numpy())
    assert np.array_equal(by_id, by_number)
    matrix = truth.outcome_matrix(rows["user"], "click", rows["time"].to_numpy())
    assert np.array_equal(matrix[np.arange(20), rows["item"].to_numpy()], by_number)


def test_a_store_is_not_overwritten_unasked(tmp_path: Path) -> None:
    simulate(tmp_path / "s", 1_000, seed=1)
    with pytest.raises(StoreError, match="overwrite"):
        simulate(tmp_path / "s", 1_000, seed=2)
    done: list[int] = []
    simulate(tmp_path / "s", 1_000, seed=2, overwrite=True, progress=done.append)
    assert done[-1] == 1_000
    assert Truth.open(tmp_path / "s").config.seed == 2


def test_a_foreign_truth_is_refused(tmp_path: Path) -> None:
    simulate(tmp_path / "a", 1_000, seed=1)
    simulate(tmp_path / "b", 1_000, seed=2)
    shutil.rmtree(tmp_path / "a" / "truth")
    with pytest.raises(StoreError, match="no truth"):
        Truth.open(tmp_path / "a")
    shutil.copytree(tmp_path / "b" / "truth", tmp_path / "a" / "truth")
    with pytest.raises(StoreError, match="another simulation"):
        Truth.open(tmp_path / "a")


def test_questions_out_of_range_are_refused(world: World) -> None:
    with pytest.raises(ConfigError, match="long_click"):
        world.truth.outcome_probability(0, 0, "longclick", 0)
    with pytest.raises(ConfigError, match=str(world.store.n_items)):
        world.truth.outcome_probability(0, world.store.n_items, "save", 0)
    with pytest.raises(ConfigError, match="-1"):
        world.truth.user_numbers([-1, 3])


def test_machine_code_goes_when_any_source_is_newer(tmp_path: Path) -> None:
    inner = tmp_path / "inner" / "__pycache__"
    inner.mkdir(parents=True)
    source, index = tmp_path / "a.py", inner / "b.nbi"
    source.touch()
    index.touch()
    os.utime(source, (100, 100))
    os.utime(index, (200, 200))
    assert forget_stale_code(tmp_path) == []
    assert index.exists()
    os.utime(source, (300, 300))
    assert forget_stale_code(tmp_path) == [index]
    assert not index.exists()
