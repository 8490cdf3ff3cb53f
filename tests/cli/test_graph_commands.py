"""graph build, show, update and near: from a store to its neighbourhoods."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from bowerbird.tables.store import build_store

DAY, START = 86_400_000, 1_600_000_000_000  # 13 September 2020


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two circles of items: people who click one of a circle click the others next, and nobody both."""
    rows = [
        (f"u{user}", f"{'ab'[user % 2]}{(user + step) % 5}", START + user * DAY + step * 60_000, ["click"])
        for user in range(20)
        for step in range(4)
    ]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "actions"], orient="row")
    folder = tmp_path_factory.mktemp("circles") / "store"
    build_store(folder, {"events": events}, actions=["click"], dataset="circles")
    return folder


def test_from_a_store_to_who_is_near(bowerbird: Callable, store: Path, tmp_path: Path) -> None:
    graph = tmp_path / "graph"
    made = bowerbird("graph", "build", graph, "--store", store, "--before", "2020-09-23")
    assert made.exit_code == 0, made.output
    assert "next: bowerbird graph show" in made.stderr
    shown = bowerbird("graph", "show", graph, "--verify", "--plot", tmp_path / "degrees.png")
    assert shown.exit_code == 0 and "item-item" in shown.stdout and "before 2020-09-23" in shown.stdout
    assert (tmp_path / "degrees.png").stat().st_size > 1000
    before = json.loads(bowerbird("graph", "show", graph, "--json").stdout)
    near = bowerbird("graph", "near", "a0", "--graph", graph, "--relation", "item-item", "-k", "9", "--json")
    found = json.loads(near.stdout)
    assert {row["id"] for row in found} == {"a1", "a2", "a3", "a4"}, "its own circle, without itself"
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    people = bowerbird("graph", "near", "a0", "--graph", graph, "--to", "user")
    assert {line.split()[1] for line in people.stdout.splitlines()} <= {f"u{u}" for u in range(0, 20, 2)}
    extended = bowerbird("graph", "update", graph, "--store", store)
    assert extended.exit_code == 0, extended.stderr
    after = json.loads(bowerbird("graph", "show", graph, "--json").stdout)
    assert after["edges"] > before["edges"]


def test_what_is_not_there_is_named(bowerbird: Callable, store: Path, tmp_path: Path) -> None:
    graph = tmp_path / "graph"
    assert bowerbird("graph", "build", graph, "--store", store, "--no-prune").exit_code == 0
    again = bowerbird("graph", "build", graph, "--store", store)
    assert again.exit_code == 2 and "graph" in again.stderr
    assert bowerbird("graph", "build", graph, "--store", store, "--overwrite").exit_code == 0
    for words, text in (
        (("near", "a9", "--graph", graph), "the graph has no item 'a9'"),
        (("near", "a1", "--graph", graph, "--to", "itme"), "did you mean 'item'"),
        (("near", "a1", "--graph", graph, "--relation", "item-itm"), "did you mean 'item-item'"),
        (("show", tmp_path / "nothing"), "nothing"),
    ):
        failed = bowerbird("graph", *words)
        assert failed.exit_code == 2 and text in failed.stderr, failed.stderr
