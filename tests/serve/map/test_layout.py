"""Vectors to places: what is apart stays apart, the rest goes to its neighbours, and nothing odd breaks it."""

from __future__ import annotations

import shutil
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.serve.map import child, layout
from bowerbird.serve.map.child import Child, LayoutError
from bowerbird.serve.map.layout import SIDE

FEW_STEPS = 260


def clusters(n: int, k: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """float32 (n, 16) unit vectors around k directions, and the cluster of each."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) % k
    vectors = np.eye(16)[cluster] + rng.normal(scale=0.12, size=(n, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), cluster


def apart(at: np.ndarray, cluster: np.ndarray) -> bool:
    """Mean distance inside every cluster is below half of the distance between any two centres."""
    centres = np.stack([at[cluster == c].mean(axis=0) for c in range(cluster.max() + 1)])
    between = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(len(centres), 1)]
    within = [
        np.linalg.norm(own[:, None] - own[None], axis=2).mean()
        for own in (at[cluster == c] for c in range(cluster.max() + 1))
    ]
    return max(within) < between.min() / 2


@pytest.mark.parametrize(("n", "k"), [(60, 2), (240, 3)])
def test_clusters_stay_apart_and_equal_seeds_draw_equal_maps(
    monkeypatch: pytest.MonkeyPatch, n: int, k: int
) -> None:
    monkeypatch.setattr(layout, "_STEPS", FEW_STEPS)
    vectors, cluster = clusters(n, k)
    at = layout.layout(vectors, seed=4)
    assert at.dtype == np.int32 and at.shape == (n, 2) and apart(at, cluster)
    assert at.min() >= 0 and np.ptp(at, axis=0).max() == at.max() == SIDE
    assert at[:, 0].std() >= at[:, 1].std(), "wide, not tall"
    assert np.array_equal(at, layout.layout(vectors, seed=4))
    assert (layout.method_for(n) == "tsne") == (n == 240)


def test_items_outside_the_sample_go_where_their_neighbours_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_STEPS", FEW_STEPS)
    monkeypatch.setattr(layout, "_SAMPLE", 150)
    monkeypatch.setattr(layout, "_BLOCK", 64)
    vectors, cluster = clusters(600, 3)
    at = layout.layout(vectors)
    assert apart(at, cluster)
    centres = np.stack([at[cluster == c].mean(axis=0) for c in range(3)])
    nearest = np.linalg.norm(at[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == cluster).mean() > 0.98
    assert len(np.unique(at, axis=0)) > 580, "a shared neighbourhood is no shared place"


@settings(max_examples=40)
@given(st.integers(0, 12), st.integers(1, 5), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-30, 1.0]))
def test_whatever_is_finite_has_a_place(n: int, d: int, seed: int, scale: float) -> None:
    vectors = (scale * np.random.default_rng(seed).normal(size=(n, d))).astype(np.float32)
    at = layout.layout(vectors)
    assert at.shape == (n, 2) and at.dtype == np.int32
    assert ((at >= 0) & (at <= SIDE)).all()


def test_many_equal_items_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_STEPS", FEW_STEPS)
    at = layout.layout(np.ones((130, 4), np.float32) / 2)
    assert ((at >= 0) & (at <= SIDE)).all()


def test_a_process_of_its_own_draws_the_same() -> None:
    vectors, _ = clusters(120, 2)
    assert np.array_equal(Child().layout(vectors, seed=3), layout.layout(vectors, seed=3))


def test_a_process_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(LayoutError, match="status 1"):
        Child().layout(clusters(120, 2)[0], seed=0)


def test_stopping_ends_what_runs_and_starts_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    running, ended = threading.Event(), threading.Event()

    class Process:
        returncode = -15

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def communicate(self, *_: Any, **__: Any) -> tuple[bytes, bytes]:
            running.set()
            assert ended.wait(30)
            return b"", b""

        def terminate(self) -> None:
            ended.set()

    monkeypatch.setattr(child.subprocess, "Popen", Process)
    one, vectors = Child(), clusters(120, 2)[0]
    failures: list[Exception] = []

    def ask() -> None:
        try:
            one.layout(vectors, seed=0)
        except LayoutError as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert running.wait(30)
    one.stop()
    thread.join(30)
    assert not thread.is_alive() and "status -15" in str(failures[0])
    with pytest.raises(LayoutError, match="closed"):
        one.layout(vectors, seed=0)
