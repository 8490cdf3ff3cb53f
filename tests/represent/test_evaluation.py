"""The report: floors beside the model, warm and cold apart, pairs with their own floors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bowerbird.evaluate.compare import Comparison
from bowerbird.evaluate.report import Report, Table
from bowerbird.learn.artifact import Artifact
from bowerbird.represent.evaluation import inner_view, report
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.recommender import OmniSageRecommender, held_out_cases
from bowerbird.represent.measuring.cold import Among, cold_cases
from bowerbird.represent.measuring.pairs import new_pairs
from bowerbird.tables.store import Store
from bowerbird.tables.view import Split, leave_last_out

GRIDS = {
    "itemknn": {"shrink": (1.0,)},
    "pagerank": {"restart": (0.2,)},
    "content": {"decay": (1.0,)},
}


@pytest.fixture(scope="module")
def made(artifact: Artifact, split: Split) -> Report:
    floors = ("popularity", "itemknn", "pagerank", "content")
    return report(
        [artifact], split.test, since=split.valid, tuning=split.train, baselines=floors, grids=GRIDS
    )


def test_the_model_stands_beside_the_floors(made: Report) -> None:
    everything, cold = (block for block in made.blocks if isinstance(block, Comparison))
    names = {"OmniSage", "Popularity", "Item-kNN", "Personalised PageRank", "Content cosine"}
    assert {found.name for found in everything.results} == names == {found.name for found in cold.results}
    assert {"warm", "cold"} <= set(everything.result("OmniSage").segments["warmth"])
    assert everything.value("OmniSage", "recall@20").mean > 0.5
    assert cold.value("Item-kNN", "recall@20").mean == 0.0, "it cannot know them"
    assert cold.value("OmniSage", "recall@5").mean > cold.value("Popularity", "recall@5").mean
    json.dumps(made.to_dict(), allow_nan=False)


def test_pairs_are_measured_against_floors(made: Report) -> None:
    table = next(b for b in made.blocks if isinstance(b, Table) and b.title.startswith("Pairs"))
    assert [row[0] for row in table.rows] == ["item to item, kept by one user", "item to collection"]
    for row in table.rows:
        assert row[1] > 0 and all(0 <= value <= 1 for value in row[2:])


def test_new_pairs_are_new(artifact: Artifact, split: Split) -> None:
    world = OpenOmniSage.open(artifact, split.valid).world
    pairs = next(
        p for p in new_pairs(world, split.test, split.valid, limit=1000) if p.positive_type == "collection"
    )
    assert not world.has_edge("item", pairs.anchor, "collection", pairs.positive).any()
    later = OpenOmniSage.open(artifact, split.test).world
    assert later.has_edge("item", pairs.anchor, "collection", pairs.positive).all()


def test_cold_items_are_ranked_among_themselves(artifact: Artifact, split: Split) -> None:
    cases = held_out_cases(split.test, split.valid)
    cold = cold_cases(cases)
    assert cold.n_targets == int((~cases.target_warm).sum()) and not cold.target_warm.any()
    allowed = split.valid.item_counts() == 0
    opened = OpenOmniSage.open(artifact, split.valid)
    listed = Among(OmniSageRecommender(opened), allowed).recommend(cold, 5).items
    assert allowed[listed[listed >= 0]].all() and (listed >= 0).any()


def test_the_inner_view_is_earlier(split: Split, store: Store) -> None:
    assert 0 < len(inner_view(split.valid).positives) < len(split.valid.positives)
    last_out = leave_last_out(store)
    assert len(inner_view(last_out.valid).positives) == len(last_out.train.positives)


def test_leave_last_out_works_too(artifact: Artifact, store: Store) -> None:
    last_out = leave_last_out(store)
    cases = held_out_cases(last_out.test, last_out.valid)
    assert np.array_equal(np.diff(cases.target_offsets), np.ones(len(cases)))
    found = OmniSageRecommender(OpenOmniSage.open(artifact, last_out.valid)).recommend(cases, 5)
    assert found.items.shape == (len(cases), 5)
