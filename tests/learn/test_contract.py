"""Every learner of the registry keeps the contract; so does a toy, which shows what the contract asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from bowerbird.learn import registry
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.contract import Learner
from bowerbird.learn.registry import LEARNERS, learner
from bowerbird.learn.run import Run
from bowerbird.learn.settings import to_dict
from bowerbird.learn.signals import Signal
from bowerbird.learn.train import ShuffledRows, StepOutput, TrainConfig, train
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import View

from .contract import LearnerContract

#: Settings that make each learner small enough for the tiny store.
SMALL: dict[str, list[str]] = {
    "omnisage": [
        "steps=6", "validate_every=3", "width=16", "heads=2", "dim=16", "feature_dim=8", "user_width=16",
        "history_length=8", "pairs=32", "features=16", "sequences=4", "random_nodes=16", "frequency_draws=500",
        "budget=200", "saved_items=4", "saved_collections=0", "linked_items=4",
    ],
    "pinrec": [
        "epochs=2", "width=16", "item_dim=16", "id_dim=16", "content_dim=8", "layers=1", "history_length=8",
        "random_negatives=8", "batch_positions=64", "precision=fp32", "warmup_steps=0",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class ToyConfig:
    """Settings of the toy."""

    epochs: int = 3
    learning_rate: float = 0.1
    parities: bool = True

    @classmethod
    def size(cls, size: str) -> ToyConfig:
        return cls(epochs={"s": 3, "m": 5, "l": 9}[size])


@dataclass
class ToyReport:
    """Mean log loss of the held-out items."""

    loss: float
    cases: int

    def to_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "cases": self.cases}


class ToyLearner(Learner[ToyConfig]):
    """A score per item for even and for odd users, learned by softmax."""

    name: ClassVar[str] = "toy"
    config_class: ClassVar[type] = ToyConfig

    def fit(self, view: View, *, valid: View | None = None, run: Run | None = None) -> Artifact:
        run = run or Run(quiet=True)
        run.seed_everything()
        scores = nn.Embedding(2, view.n_items)
        user, item = (
            torch.from_numpy(a.astype(np.int64)) for a in (view.positives.user, view.positives.item)
        )

        def step(rows: np.ndarray, rng: torch.Generator) -> StepOutput:
            loss = nn.functional.cross_entropy(scores(user[rows] % 2), item[rows], reduction="sum")
            return StepOutput(loss, len(rows), len(rows))

        validate = None
        if valid is not None:
            later = valid.held_out(view)

            def validate() -> dict[str, float]:
                return {"loss": _loss(scores.weight, later.user, later.item)}

        result = train(
            scores, ShuffledRows(len(user), 32, lambda rows, _: rows, seed=run.seed), step,
            TrainConfig(epochs=self.config.epochs, learning_rate=self.config.learning_rate), run,
            validate=validate, monitor="loss", mode="min", identity={"data": view.fingerprint},
        )  # fmt: skip
        return Artifact(
            self.name, to_dict(self.config), scores.state_dict(), {"seen": view.known_items()},
            {"training": result.to_dict()},
        )  # fmt: skip

    def evaluate(
        self,
        artifact: Artifact,
        view: View,
        *,
        since: View,
        run: Run | None = None,
        seeds: Sequence[Artifact] = (),
    ) -> ToyReport:
        later = view.held_out(since)
        return ToyReport(_loss(artifact.tensors["weight"], later.user, later.item), len(later))

    def emit(self, artifact: Artifact, view: View) -> Iterator[Signal]:
        known = np.flatnonzero(view.known_items()).astype(np.int32)
        weight = artifact.tensors["weight"].numpy()
        ids = view.item_ids.decode(known)
        yield Signal("toy_items", "item", ids, weight[:, known].T, {"liking": weight.mean(axis=0)[known]})


def _loss(weight: torch.Tensor, user: np.ndarray, item: np.ndarray) -> float:
    logits = weight[torch.from_numpy(user.astype(np.int64)) % 2]
    return float(nn.functional.cross_entropy(logits, torch.from_numpy(item.astype(np.int64))))


class TestToy(LearnerContract):
    """The contract's own checks, on a learner simple enough to see that they can pass."""

    learner_class = ToyLearner

    def test_it_learns(self, case, fitted) -> None:
        # Users like items of their own parity: half the catalogue, so log 24 falls towards log 12.
        assert case.measure(fitted)["loss"] < np.log(24) - 0.2


class TestRegistered:
    """One class of checks per registered learner is made below; the registry itself is checked here."""

    def test_every_name_leads_to_its_learner(self) -> None:
        for name in LEARNERS:
            assert learner(name).name == name

    def test_unknown_name(self) -> None:
        with pytest.raises(ConfigError, match=r"no learner is called 'pinrek'; did you mean 'pinrec'"):
            learner("pinrek")

    @pytest.mark.parametrize("entry", ["collections:OrderedDict", "learn.test_contract:ToyLearner"])
    def test_wrong_entries_are_refused(self, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
        module = __name__ if entry.startswith("learn") else entry.partition(":")[0]
        monkeypatch.setitem(registry.LEARNERS, "odd", f"{module}:{entry.partition(':')[2]}")
        with pytest.raises(ConfigError, match="is not a Learner with that name"):
            learner("odd")


class _Lazy:
    """The class of a registered learner, imported when a test first asks for it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> type[Learner[Any]]:
        return learner(self.name)


for _name in LEARNERS:
    _class = f"Test{_name.title()}"
    globals()[_class] = type(
        _class, (LearnerContract,), {"learner_class": _Lazy(_name), "overrides": SMALL.get(_name, [])}
    )
