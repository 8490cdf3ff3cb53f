"""Folds: what a step is to foresee has left no trace in what it sees, and everything else is still there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bowerbird.learn.run import Run
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.examples import OmniSageExamples, event_folds
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.recommender import held_out_cases
from bowerbird.represent.learner import OmniSageLearner, validated
from bowerbird.represent.sources.sequences import SequenceSource
from bowerbird.represent.tasks.rows import OmniSageBatch
from bowerbird.represent.world.contents import ContentEncoder
from bowerbird.represent.world.folds import fold_of
from bowerbird.represent.world.opening import open_world
from bowerbird.represent.world.world import World
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import Split, View

from .worlds import TINY

FOLDED = replace(TINY, folds=3, user_lists=True)


def folded(view: View, folder: Path, config: OmniSageConfig = FOLDED) -> World:
    return open_world(view, config, ContentEncoder.fit(view), folder=folder, learning=True)


@pytest.fixture(scope="module")
def world(train_view: View, tmp_path_factory: pytest.TempPathFactory) -> World:
    return folded(train_view, tmp_path_factory.mktemp("folds"))


def _edges(world: World, source: str, target: str) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for relation in world.relations.values():
        if (relation.source, relation.target) == (source, target):
            indptr = np.asarray(relation.indptr, np.int64)
            row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
            found |= set(zip(row.tolist(), np.asarray(relation.indices).tolist(), strict=True))
    return found


@pytest.mark.parametrize("by", ["edge", "item"])
def test_folds_share_out_the_edges_of_lists_and_nothing_else(
    train_view: View, tmp_path: Path, by: str
) -> None:
    world = folded(train_view, tmp_path, replace(FOLDED, fold_by=by))  # type: ignore[arg-type]
    whole = _edges(world, "item", "collection")
    missing = [whole - _edges(fold.world, "item", "collection") for fold in world.folds]
    assert len(missing) == 3 and all(missing)
    assert set.union(*missing) == whole and sum(map(len, missing)) == len(whole)
    for fold, gone in zip(world.folds, missing, strict=True):
        assert _edges(fold.world, "collection", "item") == {(c, i) for i, c in whole - gone}
        assert _edges(fold.world, "item", "item") == _edges(world, "item", "item")
        items, lists = np.array(sorted(gone)).T
        assert fold.holds_out(lists, items).all()
        if by == "item":
            assert not {i for i, _ in gone} & {i for i, _ in whole - gone}
            assert fold.world.nameless("item", items).all()


def test_a_fold_does_not_depend_on_who_asks() -> None:
    lists, items = np.arange(1000) % 37, np.arange(1000) % 101
    found = fold_of(lists, items, 5, by_item=False)
    order = np.random.default_rng(0).permutation(1000)
    assert np.array_equal(found[order], fold_of(lists[order], items[order], 5, by_item=False))
    assert np.bincount(found).min() > 120
    by_item = fold_of(lists, items, 5, by_item=True)
    assert all(len(set(by_item[items == item])) == 1 for item in range(101))


def _batches(world: World, config: OmniSageConfig = FOLDED) -> list[OmniSageBatch]:
    source = OmniSageExamples(world, config, seed=0).epoch(0)
    return [next(source) for _ in range(6)]


def test_what_is_foreseen_has_no_edge_and_what_is_read_has(world: World) -> None:
    config = replace(FOLDED, ordered=False, neighbour_dropout=0.0, subset_dropout=0.0)
    view, looked = world.view, 0
    folds = event_folds(world)
    fold_at = {
        (int(u), int(i)): int(f)
        for u, i, f in zip(view.positives.user, view.positives.item, folds, strict=True)
    }
    for batch in _batches(world, config):
        rows = batch.sequences
        assert rows is not None
        ids = batch.nodes.requests["item"].ids
        own = batch.nodes.requests["collection"]
        for window in range(len(rows.lengths)):
            (request,) = rows.own_list[rows.list_window == window].tolist()
            place = int(own.ids[request])
            at = int(torch.searchsorted(batch.nodes.distinct["collection"], place))
            members = batch.nodes.members["collection"]
            shown = set(members.ids[members.offsets[at] : members.offsets[at + 1]].tolist())
            user = int(np.flatnonzero([place in world.lists_of(np.array([u]))[1] for u in range(24)])[0])
            read = ids[rows.item[window, : rows.lengths[window]]].tolist()
            wanted = rows.positive_id[rows.window == window].tolist()
            assert read and wanted and len({fold_at[user, i] for i in wanted}) == 1
            assert not {fold_at[user, i] for i in read} & {fold_at[user, i] for i in wanted}
            assert not shown & set(wanted)
            looked += len(shown & set(read))
        for pair in batch.pairs:
            if {pair.anchor_type, pair.positive_type} == {"item", "collection"}:
                lists, items = (
                    (pair.anchor_id, pair.positive_id)
                    if pair.anchor_type == "collection"
                    else (pair.positive_id, pair.anchor_id)
                )
                assert len(np.unique(fold_of(lists.numpy(), items.numpy(), 3, by_item=False))) == 1
    assert looked > 50


@pytest.mark.parametrize("ordered", [True, False])
def test_targets_come_after_what_asks_for_them_where_order_matters(world: World, ordered: bool) -> None:
    config = replace(FOLDED, ordered=ordered)
    source = SequenceSource(world.view, config, 3, event_folds(world))
    windows = source.draw(np.random.default_rng(0), 100, 1)
    column, lengths = windows.read()
    window, position, target = windows.asked()
    assert len(window) > 50 and windows.held is not None and windows.held[window, target].all()
    assert not windows.held[window, column[window, position]].any()
    if ordered:
        assert (column[window, position] < target).all()
    else:
        assert (position == lengths[window] - 1).all() and (windows.future < 0).all()
        assert (column[window, position] > target).any()


def test_items_dealt_whole_are_strangers(train_view: View, tmp_path: Path) -> None:
    config = replace(FOLDED, fold_by="item", neighbour_dropout=0.0, subset_dropout=0.0)
    for batch in _batches(folded(train_view, tmp_path, config), config):
        rows, asked = batch.sequences, batch.nodes.requests["item"]
        assert rows is not None and asked.hidden[rows.positive].all()
        saved = [slot for slot in asked.slots if slot.node_type == "collection"]
        assert saved and not any(slot.mask[rows.positive].any() for slot in saved)


def test_it_learns_from_folds(split: Split) -> None:
    config = replace(FOLDED, ordered=False, folds=2, steps=20, validate_every=20)
    artifact = OmniSageLearner(config).fit(split.train, run=Run(seed=0, device="cpu", quiet=True))
    opened = OpenOmniSage.open(artifact, split.train)
    assert validated(opened, held_out_cases(split.valid, split.train))["recall@20"] > 0.7
    lists = opened._lists(np.array([0, 1]))
    assert torch.allclose(lists.norm(dim=1), torch.ones(2), atol=1e-5)


def test_one_fold_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="folds must be 0 or at least 2, got 1"):
        OmniSageConfig(folds=1)
    with pytest.raises(ConfigError, match="pruning is an exponent"):
        OmniSageConfig(pruning=0.0)
