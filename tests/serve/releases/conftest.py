"""Two small fitted models and their releases, made once; tests that change a release get a copy."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.serve.releases import Release, Releases, publish
from bowerbird.tables.store import Store
from bowerbird.tables.view import View

TINY = PinRecConfig(
    width=16, item_dim=16, id_dim=16, content_dim=8, layers=1, heads=1, history_length=8, epochs=1,
    random_negatives=16, in_batch_negatives=64, precision="fp32",
)  # fmt: skip


def fitted(store: Store, folder: Path, config: PinRecConfig = TINY, seed: int = 0) -> Path:
    """A model fitted to a store, in a folder."""
    return PinRecLearner(config).fit(View(store), run=Run(quiet=True, seed=seed)).save(folder)


@pytest.fixture(scope="session")
def models(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    one = fitted(store, folder / "one")
    found = Artifact.load(one)
    noise = torch.Generator().manual_seed(0)
    moved = {
        name: tensor + 0.3 * torch.randn(tensor.shape, generator=noise)
        if tensor.is_floating_point() and name != "log_share" else tensor
        for name, tensor in found.tensors.items()
    }  # fmt: skip
    return one, replace(found, tensors=moved).save(folder / "two")


@pytest.fixture(scope="session")
def published(
    store: Store, models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Release, Release]:
    """A root with two releases, the second active. Not to be changed."""
    root = tmp_path_factory.mktemp("published")
    return root, publish(models[0], store, root, metrics={"ndcg@10": 0.25}), publish(models[1], store, root)


@pytest.fixture
def root(published: tuple[Path, Release, Release], tmp_path: Path) -> Path:
    """A copy of `published` that a test may change."""
    copy = tmp_path / "root"
    shutil.copytree(published[0], copy)
    return copy


@pytest.fixture
def releases(root: Path) -> Releases:
    return Releases(root)


@pytest.fixture
def one(published: tuple[Path, Release, Release]) -> str:
    return published[1].id


@pytest.fixture
def two(published: tuple[Path, Release, Release]) -> str:
    return published[2].id


def rewritten(release: Release, **changes: object) -> None:
    """Writes `release.json` again as if another program had made the release, its own hash right."""
    from bowerbird.serve.releases.release import HEAD, json_text

    head = release.path / HEAD
    head.chmod(0o644)
    head.write_text(json_text({**release.facts(), **changes}))
