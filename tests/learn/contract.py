"""The contract every learner keeps, as checks that take any learner class.

``LearnerContract`` is a test class without a learner: a subclass names one (and settings small enough for a
tiny store) and inherits every check. ``test_contract.py`` does so for each name in the registry.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
import torch

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.contract import Evaluation, Learner
from bowerbird.learn.run import Run
from bowerbird.learn.settings import from_dict, override, preset, to_dict
from bowerbird.learn.signals import Signal, read_signal, write_signal
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import Split, time_split

USERS, ITEMS, EVENTS, HOUR = 30, 24, 14, 3_600_000
#: Two moments that split the tiny store's fourteen hours.
VALID_FROM, TEST_FROM = 10 * HOUR, 12 * HOUR


def tiny_store(folder: Path, *, future_seed: int = 0) -> Store:
    """A store of 30 users, 24 items and 420 events over fourteen hours, with words, categories and two
    surfaces.

    Args:
        folder: where to write it.
        future_seed: stores that differ in it are equal before ``VALID_FROM`` and different after it.
    """
    rng, future = np.random.default_rng(1), np.random.default_rng([2, future_seed])
    rows = []
    for user in range(USERS):
        for hour in range(EVENTS):
            source = rng if hour * HOUR < VALID_FROM else future
            # Users like items of their own parity, so there is something to learn.
            item = int(source.integers(ITEMS // 2)) * 2 + user % 2
            action = [["save"], ["click"], ["click", "save"], []][int(source.integers(4))]
            rows.append(
                (f"u{user}", 100 + item, hour * HOUR + user * 1000, ["home", "search"][item % 2], action)
            )
    events = pl.DataFrame(
        rows, schema=["user_id", "item_id", "timestamp", "surface", "actions"], orient="row"
    )
    items = pl.DataFrame(
        {
            "item_id": [100 + i for i in range(ITEMS)],
            "title": [f"{['blue', 'green'][i % 2]} bird {i}" for i in range(ITEMS)],
            "genres": [[["song", "dance"][i % 2], "forest"][: 1 + i % 2] for i in range(ITEMS)],
        }
    )
    return build_store(
        folder,
        {
            "users": pl.DataFrame({"user_id": [f"u{i}" for i in range(USERS)]}),
            "items": items,
            "events": events,
        },
        actions=["click", "save"],
        item_roles={"title": "title", "genres": "categories"},
        slate_rule="none",
        dataset="tiny",
    )


@dataclass
class Case:
    """One learner on one split."""

    learner: Learner[Any]
    store: Store
    split: Split

    def fit(self, seed: int = 0, split: Split | None = None, folder: Path | None = None) -> Artifact:
        used = split or self.split
        run = Run(folder, seed=seed, device="cpu", quiet=True)
        return self.learner.fit(used.train, valid=used.valid, run=run)

    def measure(self, artifact: Artifact) -> dict[str, Any]:
        run = Run(seed=0, device="cpu", quiet=True)
        result = self.learner.evaluate(artifact, self.split.test, since=self.split.valid, run=run)
        assert isinstance(result, Evaluation)
        return without_clocks(json.loads(json.dumps(result.to_dict(), allow_nan=False)))

    def signals(self, artifact: Artifact) -> list[Signal]:
        return list(self.learner.emit(artifact, self.split.test))


def split_of(store: Store) -> Split:
    """The tiny store's three views."""
    return time_split(store, valid_from=VALID_FROM, test_from=TEST_FROM)


def without_clocks(value: Any) -> Any:
    """A JSON value without the entries that hold times: they differ from run to run."""
    clocks = ("seconds", "time", "per_second", "created", "minutes")
    if isinstance(value, dict):
        if isinstance(value.get("columns"), list) and isinstance(value.get("rows"), list):
            kept = [i for i, name in enumerate(value["columns"]) if not str(name).endswith(clocks)]
            value = value | {"rows": [[row[i] for i in kept] for row in value["rows"]]}
        return {k: without_clocks(v) for k, v in value.items() if not str(k).endswith(clocks)}
    return [without_clocks(v) for v in value] if isinstance(value, list) else value


def same_signal(one: Signal, other: Signal) -> bool:
    """Whether two signals say the same."""
    vectors = (one.vectors is None) == (other.vectors is None) and (
        one.vectors is None or np.array_equal(one.vectors, other.vectors)
    )
    scores = one.scores.keys() == other.scores.keys() and all(
        np.array_equal(one.scores[key], other.scores[key]) for key in one.scores
    )
    head = (one.name, one.entity, list(one.ids)) == (other.name, other.entity, list(other.ids))
    return head and vectors and scores


def same_tensors(one: Artifact, other: Artifact) -> bool:
    """Whether two artifacts hold equal tensors and arrays."""
    return (
        one.tensors.keys() == other.tensors.keys()
        and one.arrays.keys() == other.arrays.keys()
        and all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)
        and all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    )


class LearnerContract:
    """Checks of one learner; a subclass sets ``learner_class`` and ``overrides``."""

    learner_class: ClassVar[type[Learner[Any]]]
    overrides: ClassVar[list[str]] = []

    @pytest.fixture(scope="class")
    def case(self, tmp_path_factory: pytest.TempPathFactory) -> Case:
        config = override(preset(self.learner_class.config_class), self.overrides)
        store = tiny_store(tmp_path_factory.mktemp("store") / "tiny")
        return Case(self.learner_class(config), store, split_of(store))

    @pytest.fixture(scope="class")
    def fitted(self, case: Case, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
        return case.fit(folder=tmp_path_factory.mktemp("run"))

    def test_settings_survive_json(self) -> None:
        for size in ("s", "m", "l"):
            config = preset(self.learner_class.config_class, size)
            assert isinstance(config, self.learner_class.config_class)
            assert (
                from_dict(self.learner_class.config_class, json.loads(json.dumps(to_dict(config)))) == config
            )

    def test_unknown_settings_are_refused(self) -> None:
        known = next(iter(to_dict(preset(self.learner_class.config_class))))
        with pytest.raises(ConfigError, match=f"did you mean .*{known}"):
            from_dict(self.learner_class.config_class, {known + "x": 1})
        with pytest.raises(ConfigError, match="zzz is not a setting"):
            override(preset(self.learner_class.config_class), ["zzz=1"])
        with pytest.raises(ConfigError, match=self.learner_class.name):
            self.learner_class(object())

    def test_artifact_says_whose_it_is(self, case: Case, fitted: Artifact) -> None:
        assert fitted.learner == self.learner_class.name
        assert self.learner_class.from_artifact(fitted).config == case.learner.config
        with pytest.raises(ConfigError, match="was made by 'another'"):
            self.learner_class.from_artifact(Artifact("another", {}))
        json.dumps(dict(fitted.facts), allow_nan=False)

    def test_loaded_artifact_gives_the_same_answers(
        self, case: Case, fitted: Artifact, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path / "artifact")
        loaded = Artifact.load(tmp_path / "artifact")
        assert same_tensors(fitted, loaded)
        assert case.measure(loaded) == case.measure(fitted)
        for before, after in zip(case.signals(fitted), case.signals(loaded), strict=True):
            assert same_signal(before, after)

    def test_evaluation_leaves_the_artifact_alone(self, case: Case, fitted: Artifact) -> None:
        before = {name: tensor.clone() for name, tensor in fitted.tensors.items()}
        first = case.measure(fitted)
        case.signals(fitted)
        assert all(torch.equal(before[name], fitted.tensors[name]) for name in before)
        assert case.measure(fitted) == first

    def test_seed_decides(self, case: Case, fitted: Artifact) -> None:
        assert same_tensors(case.fit(seed=0), fitted)
        assert not same_tensors(case.fit(seed=1), fitted)

    def test_without_validation_it_learns_too(self, case: Case) -> None:
        artifact = case.learner.fit(case.split.train, run=Run(seed=0, device="cpu", quiet=True))
        assert all(torch.isfinite(t).all() for t in artifact.tensors.values() if t.is_floating_point())
        assert artifact.tensors or artifact.arrays

    def test_the_future_does_not_change_what_is_learned(
        self, case: Case, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        other = split_of(tiny_store(tmp_path_factory.mktemp("store") / "other", future_seed=1))
        assert other.train.fingerprint["content_hash"] != case.split.train.fingerprint["content_hash"]
        learned = [
            case.learner.fit(split.train, run=Run(seed=0, device="cpu", quiet=True))
            for split in (case.split, other)
        ]
        assert same_tensors(*learned)

    def test_signals_are_about_known_things(self, case: Case, fitted: Artifact, tmp_path: Path) -> None:
        signals = case.signals(fitted)
        assert signals
        assert len({signal.name for signal in signals}) == len(signals)
        vocabularies = {"item": case.store.items, "user": case.store.users}
        for signal in signals:
            assert len(signal) > 0
            if signal.entity in vocabularies:
                assert (np.asarray(vocabularies[signal.entity].encode(list(signal.ids))) >= 0).all()
            write_signal(tmp_path, signal, "r1")
            assert same_signal(read_signal(tmp_path, signal.name, "r1"), signal)
