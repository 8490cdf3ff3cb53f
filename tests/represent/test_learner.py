"""The learner on a world whose right answer is known, old spaces, grown stores, and settings that make no sense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run, read_metrics
from bowerbird.learn.signals import Signal, write_signal
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.recommender import held_out_cases
from bowerbird.represent.learner import OmniSageLearner, validated
from bowerbird.represent.world.subsets import subset_specs
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store import Store
from bowerbird.tables.view import Split, View

from .worlds import TINY, library_store


def _topic_share(vectors: np.ndarray, topics: np.ndarray, k: int = 5) -> float:
    """Share of each node's k nearest others that are of its topic."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1)[:, :k]
    return float((topics[nearest] == topics[:, None]).mean())


def test_it_learns_topics_for_items_collections_and_users(split: Split, artifact: Artifact) -> None:
    signals = {s.name: s for s in OmniSageLearner.from_artifact(artifact).emit(artifact, split.valid)}
    assert set(signals) == {"omnisage_items", "omnisage_collections", "omnisage_users"}
    for name, raw in (
        ("items", lambda i: i),
        ("collections", lambda i: int(i[1:])),
        ("users", lambda i: int(i[1:])),
    ):
        found = signals[f"omnisage_{name}"]
        topics = np.array([raw(i) % 2 for i in found.ids])
        assert found.vectors is not None
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-5)
        assert _topic_share(found.vectors, topics) > 0.9, name


def test_items_nobody_kept_lie_with_their_topic(split: Split, artifact: Artifact) -> None:
    opened = OpenOmniSage.open(artifact, split.valid)
    scores = opened.items @ opened.items[:32].T
    cold = np.arange(32, 40)
    nearest = np.argsort(-scores[cold], axis=1)[:, :5]
    assert (nearest % 2 == cold[:, None] % 2).mean() > 0.9
    cases = held_out_cases(split.test, split.valid)
    assert (~cases.target_warm).any()
    assert validated(opened, cases)["cold recall@20"] > 0.5


def test_the_log_holds_tasks_scales_and_collapse(split: Split, tmp_path: Path) -> None:
    config = replace(TINY, steps=20, validate_every=10)
    OmniSageLearner(config).fit(
        split.train, valid=split.valid, run=Run(tmp_path, seed=0, device="cpu", quiet=True)
    )
    records = read_metrics(tmp_path / "metrics.jsonl")
    trained = [r for r in records if r["kind"] == "train"]
    wanted = {"pair", "feature", "user next", "mean_cosine", "effective_rank", "scale pair", "scale user"}
    assert trained and wanted <= set(trained[-1])
    assert 0 < trained[-1]["scale pair"] <= 100
    assert [r["recall@20"] for r in records if r["kind"] == "validation"]


def test_old_spaces_stay_searchable(artifact: Artifact, split: Split, tmp_path: Path) -> None:
    """A new model's users find in the old index about what the old model's users found there."""
    old = {s.name: s for s in OmniSageLearner(TINY).emit(artifact, split.train)}
    folder = write_signal(tmp_path, old["omnisage_items"], "r1")
    config = replace(TINY, dim=12, old_spaces=(str(folder),), steps=25, validate_every=25)
    second = OmniSageLearner(config).fit(split.train, run=Run(seed=2, device="cpu", quiet=True))
    new = {s.name: s for s in OmniSageLearner(config).emit(second, split.train)}
    assert new["omnisage_items"].vectors.shape[1] == 12
    index, users = old["omnisage_items"], new["omnisage_users_as_omnisage_items-r1"]
    own = split.train.item_ids.encode(index.ids)
    topic_of = {"new": users, "old": old["omnisage_users"]}
    right = {}
    for name, signal in topic_of.items():
        best = np.argsort(-(signal.vectors @ index.vectors.T), axis=1)[:, :10]
        topics = np.array([int(str(i)[1:]) % 2 for i in signal.ids])
        right[name] = float((own[best] % 2 == topics[:, None]).mean())
    assert right["old"] > 0.8
    assert right["new"] > right["old"] - 0.1


def test_old_spaces_must_be_item_vectors_of_this_store(split: Split, tmp_path: Path) -> None:
    learner = OmniSageLearner(replace(TINY, old_spaces=(str(tmp_path),)))
    with pytest.raises(ConfigError, match="no signal folder"):
        learner.fit(split.train)
    users = write_signal(tmp_path, Signal("people", "user", ["u0"], np.ones((1, 4))), "r1")
    with pytest.raises(ConfigError, match="holds no item vectors but user"):
        OmniSageLearner(replace(TINY, old_spaces=(str(users),))).fit(split.train)
    strangers = write_signal(tmp_path, Signal("things", "item", [9999], np.ones((1, 4))), "r1")
    with pytest.raises(ConfigError, match="none of the ids"):
        OmniSageLearner(replace(TINY, old_spaces=(str(strangers),))).fit(split.train)
    narrow = write_signal(tmp_path, Signal("narrow", "item", [0, 1], np.ones((2, 4))), "r1")
    config = replace(TINY, old_spaces=(str(narrow),), adapter="identity")
    with pytest.raises(ConfigError, match="has 4 dimensions, this model 16; set adapter=linear"):
        OmniSageLearner(config).fit(split.train)


def test_a_grown_store_gets_vectors_for_new_items(artifact: Artifact, tmp_path: Path) -> None:
    grown = View(library_store(tmp_path / "grown", items=44))
    opened = OpenOmniSage.open(artifact, grown)
    assert opened.items.shape == (44, TINY.dim) and np.isfinite(opened.items).all()
    small = View(library_store(tmp_path / "small", items=36))
    with pytest.raises(ConfigError, match="knows 40 items, the store only 36"):
        OpenOmniSage.open(artifact, small)


def test_another_seed_another_model_the_same_seed_the_same(split: Split) -> None:
    config = replace(TINY, steps=5, validate_every=5)
    fits = [
        OmniSageLearner(config).fit(split.train, run=Run(seed=s, device="cpu", quiet=True)) for s in (0, 0, 1)
    ]
    key = "nodes.types.item.head.0.weight"
    assert fits[0].tensors[key].equal(fits[1].tensors[key]) and not fits[0].tensors[key].equal(
        fits[2].tensors[key]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pair_weight": 0.0, "feature_weight": 0.0, "user_weight": 0.0}, "every task is off"),
        ({"width": 30}, "divisible by heads"),
        ({"pairs": 0}, "pairs must be at least 1"),
        ({"neighbour_dropout": 0.8, "subset_dropout": 0.4}, "add up to at most 1"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OmniSageConfig(**changes)  # type: ignore[arg-type]


class Ends:
    """A relation that has only ends."""

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target


def _relations(*pairs: tuple[str, str, str]) -> tuple[dict[str, Ends], dict[str, str]]:
    found, reverse = {}, {}
    for name, source, target in pairs:
        back = f"{target}-{source}" if source != target else name
        found |= {name: Ends(source, target), back: Ends(target, source)}
        reverse |= {name: back, back: name}
    return found, reverse


class TestSubsets:
    def test_lists_and_links(self) -> None:
        relations, reverse = _relations(
            ("item-collection", "item", "collection"), ("user-item", "user", "item"), ("cites", "item", "item"),
            ("item-item", "item", "item"),
        )  # fmt: skip
        saved, linked = subset_specs(OmniSageConfig(), relations, reverse)
        assert (
            set(saved.relations) == {"item-collection", "collection-item"} and saved.keep["collection"] == 16
        )
        assert linked.relations == ("cites",), "links come before who was engaged with next"

    def test_users_stand_in_for_lists(self) -> None:
        relations, reverse = _relations(("user-item", "user", "item"), ("item-item", "item", "item"))
        saved, linked = subset_specs(OmniSageConfig(), relations, reverse)
        assert saved.keep == {"item": 24} and linked.relations == ("item-item",)

    def test_written_out(self) -> None:
        relations, reverse = _relations(("tagged", "item", "tag"))
        config = OmniSageConfig(subsets=("tags=tagged:item=5",))
        (tags,) = subset_specs(config, relations, reverse)
        assert tags.relations == ("tagged", "tag-item") and tags.keep == {"item": 5}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("tags", "cannot read the subset 'tags'"),
            ("tags=taged:item=5", "no relation 'taged'; did you mean 'tagged'"),
            ("tags=tagged:tag=5", "'tag=5' says nothing to keep"),
            ("tags=tagged:item=0", "'item=0' says nothing to keep"),
        ],
    )
    def test_mistakes(self, text: str, message: str) -> None:
        relations, reverse = _relations(("tagged", "item", "tag"))
        with pytest.raises(ConfigError, match=message):
            subset_specs(OmniSageConfig(subsets=(text,)), relations, reverse)


def test_the_store_of_the_tests_is_as_described(store: Store, split: Split) -> None:
    counts = split.train.item_counts()
    assert (counts[32:] == 0).all() and (counts[:32] > 0).any()
