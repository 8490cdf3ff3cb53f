"""Training rows: what a request may see, what counts as right, and that draws repeat and divide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bowerbird.represent.examples import OmniSageExamples
from bowerbird.represent.sources.sequences import SequenceSource
from bowerbird.represent.tasks.rows import OmniSageBatch
from bowerbird.represent.world.world import World
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import View

from .worlds import DAY, TINY


@pytest.fixture(scope="module")
def batches(world: World) -> list[OmniSageBatch]:
    source = OmniSageExamples(world, TINY, seed=0).epoch(0)
    return [next(source) for _ in range(4)]


def test_nobody_sees_who_they_are_to_find(batches: list[OmniSageBatch]) -> None:
    looked = 0
    for batch in batches:
        for rows in batch.pairs:
            for kind, request, other_type, other in (
                (rows.anchor_type, rows.anchor, rows.positive_type, rows.positive_id),
                (rows.positive_type, rows.positive, rows.anchor_type, rows.anchor_id),
            ):
                for slot in batch.nodes.requests[kind].slots:
                    if slot.node_type == other_type:
                        seen = batch.nodes.distinct[other_type][slot.row[request]]
                        assert not ((seen == other[:, None]) & slot.mask[request]).any()
                        looked += int(slot.mask[request].sum())
    assert looked > 100


def test_a_collection_does_not_hold_the_item_it_is_to_find(batches: list[OmniSageBatch]) -> None:
    found = 0
    for batch in batches:
        for rows in batch.pairs:
            if (rows.anchor_type, rows.positive_type) == ("collection", "item"):
                left_out = batch.nodes.requests["collection"].without[rows.anchor]
                assert torch.equal(left_out, rows.positive_id)
                found += len(left_out)
    assert found


def test_items_of_a_sequence_do_not_see_the_library_they_share(
    world: World, batches: list[OmniSageBatch]
) -> None:
    owner = {}
    names = world.raw_ids["collection"].to_list()
    positives = world.view.positives
    for user, item in zip(positives.user, positives.item, strict=True):
        raw = world.view.user_ids.decode([int(user)])[0]
        owner.setdefault(int(item), set()).add((int(user), names.index(raw.replace("u", "c"))))
    looked = 0
    for batch in batches:
        rows = batch.sequences
        assert rows is not None
        asked = batch.nodes.requests["item"]
        saved = next(s for s in asked.slots if s.node_type == "collection")
        for window in range(len(rows.lengths)):
            requests = rows.item[window, : rows.lengths[window]]
            ids = asked.ids[requests].tolist()
            users = set.intersection(*({u for u, _ in owner[i]} for i in ids))
            own = {c for u, c in owner[ids[0]] if users == {u}}
            if own:  # the window tells whose it is
                seen = batch.nodes.distinct["collection"][saved.row[requests]][saved.mask[requests]]
                assert not own & set(seen.tolist())
                looked += 1
    assert looked


def test_targets_follow_and_the_future_lies_after_the_end(train_view: View) -> None:
    source = SequenceSource(train_view, replace(TINY, history_length=3, future_days=1.0))
    times = {(int(u), int(i)): int(t) for u, i, t in zip(
        train_view.positives.user, train_view.positives.item, train_view.positives.time, strict=True
    )}  # fmt: skip
    windows = source.draw(np.random.default_rng(0), 200)
    assert windows.item.shape == (200, 4) and (windows.lengths >= 2).all()
    for row in range(200):
        user, items = int(windows.user[row]), windows.item[row, : windows.lengths[row]].tolist()
        when = [times[user, i] for i in items]
        assert when == sorted(when)
        if windows.future[row] >= 0:
            assert when[-1] < times[user, int(windows.future[row])] <= when[-1] + DAY
    assert (windows.future >= 0).any() and (windows.future < 0).any()


def test_next_rows_ask_for_the_next_item(batches: list[OmniSageBatch]) -> None:
    rows = batches[0].sequences
    assert rows is not None
    ids = batches[0].nodes.requests["item"].ids
    inner = ~rows.future & (rows.position + 1 < rows.lengths[rows.window])
    following = rows.item[rows.window[inner], rows.position[inner] + 1]
    assert torch.equal(ids[following], rows.positive_id[inner])
    assert torch.equal(ids[rows.positive], rows.positive_id)
    # nothing of the user's own window is a negative
    assert all(int(i) in rows.right[w].tolist() for i, w in zip(rows.positive_id, rows.window, strict=True))


def test_features_that_ask_are_there(world: World, batches: list[OmniSageBatch]) -> None:
    rows = [r for batch in batches for r in batch.features if len(r.source)]
    assert {(r.source_type, r.feature) for r in rows} >= {
        ("item", "text_title"),
        ("collection", "text_title"),
    }
    for batch in batches:
        for found in batch.features:
            if not len(found.source):
                continue
            ids = batch.nodes.distinct[found.source_type][found.source].numpy()
            assert world.contents[found.source_type].present(found.feature, ids).all()


def test_draws_repeat_and_epochs_differ(world: World) -> None:
    source = OmniSageExamples(world, TINY, seed=0)
    one, again, other = next(source.epoch(0)), next(source.epoch(0)), next(source.epoch(1))
    assert torch.equal(one.pairs[0].positive_id, again.pairs[0].positive_id)
    assert not torch.equal(one.pairs[0].positive_id, other.pairs[0].positive_id)
    resumed = next(source.epoch(0, start=1))
    later = list(zip(range(2), source.epoch(0), strict=False))[1][1]
    assert torch.equal(resumed.pairs[0].anchor_id, later.pairs[0].anchor_id)


def test_processes_share_one_batch(world: World) -> None:
    source = OmniSageExamples(world, TINY, seed=0)
    whole = next(source.epoch(0))
    shares = [next(source.epoch(0, rank=rank, world=2)) for rank in range(2)]
    assert sum(s.weight for s in shares) == whole.weight
    for place, rows in enumerate(whole.pairs):
        together = torch.cat([s.pairs[place].positive_id for s in shares])
        assert torch.equal(together.sort().values, rows.positive_id.sort().values)
    counts = [sum(len(r.source) for r in batch.features) for batch in (whole, *shares)]
    assert counts[0] == counts[1] + counts[2]
    assert whole.sequences is not None
    rows_of = [len(s.sequences.positive) for s in shares if s.sequences is not None]
    assert len(whole.sequences.positive) == sum(rows_of)


def test_shares_are_those_of_the_draws(world: World) -> None:
    source = OmniSageExamples(world, replace(TINY, frequency_draws=20_000), seed=0)
    counts = np.zeros(world.contents["item"].count)
    share = np.zeros(len(counts))
    for batch in (b for _, b in zip(range(25), source.epoch(0), strict=False)):
        for rows in batch.pairs:
            if rows.positive_type == "item":
                np.add.at(counts, rows.positive_id.numpy(), 1)
                share[rows.positive_id.numpy()] = np.exp(rows.share.numpy())
    often = counts > 20
    assert often.sum() > 5
    np.testing.assert_allclose(share[often], counts[often] / counts.sum(), rtol=0.6)


def test_edges_may_be_left_in_place(world: World) -> None:
    kept = World(
        world.view, replace(TINY, edge_removal="none", neighbour_dropout=0.0, subset_dropout=0.0), world.relations,
        world.subsets, world.walks, world.contents, world.raw_ids,
    )  # fmt: skip
    batch = next(OmniSageExamples(kept, kept.config, seed=0).epoch(0))
    rows = next(r for r in batch.pairs if (r.anchor_type, r.positive_type) == ("item", "collection"))
    slot = next(s for s in batch.nodes.requests["item"].slots if s.node_type == "collection")
    seen = batch.nodes.distinct["collection"][slot.row[rows.anchor]]
    assert ((seen == rows.positive_id[:, None]) & slot.mask[rows.anchor]).any()


def test_blanked_nodes_look_isolated(world: World) -> None:
    config = replace(TINY, neighbour_dropout=1.0, subset_dropout=0.0)
    batch = next(OmniSageExamples(world, config, seed=0).epoch(0))
    asked = batch.nodes.requests["item"]
    drawn = batch.random["item"].request
    assert not any(slot.mask[drawn].any() for slot in asked.slots)
    assert torch.equal(asked.log_degree[drawn], torch.zeros(len(drawn))) and asked.hidden[drawn].all()


def test_nothing_to_learn_from_is_said(train_view: View, world: World) -> None:
    empty = train_view.narrow(DAY)  # before the first event
    bare = World(
        empty,
        replace(TINY, user_weight=1.0),
        {},
        [],
        _nobody(),
        {"item": world.contents["item"]},
        world.raw_ids,
    )
    with pytest.raises(ConfigError, match="nothing to learn from: libraries shows no edge"):
        OmniSageExamples(bare, bare.config, seed=0)


def _nobody() -> object:
    from bowerbird.represent.world.opening import NoWalks

    return NoWalks()
