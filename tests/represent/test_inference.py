"""Batch inference: it resumes, refreshes only what changed, and refuses what does not belong together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.represent.inference.digests import Digests
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.refresh import EmbeddingError, embed_into, embed_kept, read_vectors
from bowerbird.represent.learner import OmniSageLearner
from bowerbird.tables.view import Split, View

from .worlds import TINY, VALID_FROM, library_store


@pytest.fixture(scope="module")
def opened(artifact: Artifact, split: Split) -> OpenOmniSage:
    return OpenOmniSage.open(artifact, split.train)


def test_a_full_pass_is_the_vectors(opened: OpenOmniSage, tmp_path: Path) -> None:
    done = embed_into(tmp_path / "items", opened, "item", part=7)
    assert (done.nodes, done.embedded, done.copied, done.resumed) == (40, 40, 0, 0)
    np.testing.assert_allclose(read_vectors(tmp_path / "items"), opened.items, atol=1e-6)
    embed_into(tmp_path / "lists", opened, "collection")
    np.testing.assert_allclose(read_vectors(tmp_path / "lists"), opened.collections, atol=1e-6)


def test_a_saved_model_gives_the_same_vectors(
    artifact: Artifact, opened: OpenOmniSage, split: Split, tmp_path: Path
) -> None:
    artifact.save(tmp_path / "artifact")
    again = OpenOmniSage.open(Artifact.load(tmp_path / "artifact"), split.train)
    np.testing.assert_array_equal(again.items, opened.items)
    np.testing.assert_array_equal(again.collections, opened.collections)


def test_a_stopped_run_goes_on(opened: OpenOmniSage, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, count: int) -> None:
        if done >= 14:
            raise StoppedError

    with pytest.raises(StoppedError):
        embed_into(tmp_path, opened, "item", part=7, on_progress=stop)
    with pytest.raises(EmbeddingError, match="is not finished"):
        read_vectors(tmp_path)
    done = embed_into(tmp_path, opened, "item", part=7)
    assert (done.resumed, done.embedded) == (14, 26)
    np.testing.assert_allclose(read_vectors(tmp_path), opened.items, atol=1e-6)


def test_only_what_changed_is_embedded_again(
    artifact: Artifact, opened: OpenOmniSage, tmp_path: Path
) -> None:
    embed_into(tmp_path / "before", opened, "item")
    before = read_vectors(tmp_path / "before")
    grown = View(library_store(tmp_path / "grown", extra=2), VALID_FROM)
    later = OpenOmniSage.open(artifact, grown)
    done = embed_into(tmp_path / "after", later, "item", previous=tmp_path / "before")
    after = read_vectors(tmp_path / "after")
    assert 0 < done.embedded < 40 and done.embedded + done.copied == 40
    np.testing.assert_allclose(after, later.items, atol=1e-5)  # identical to a full pass
    same = Digests(opened.world).of("item", np.arange(40)) == Digests(later.world).of("item", np.arange(40))
    assert same.sum() == done.copied
    assert np.array_equal(after[same], before[same])
    assert not same[0] and not np.array_equal(after[0], before[0]), "item 0 was kept by more"


def test_kept_vectors_follow_the_view_and_the_model(
    artifact: Artifact, opened: OpenOmniSage, split: Split, tmp_path: Path
) -> None:
    full = embed_kept(tmp_path / "kept", opened, "item")
    assert (full.embedded, full.copied) == (40, 0)
    grown = View(library_store(tmp_path / "grown", extra=2), VALID_FROM)
    later = OpenOmniSage.open(artifact, grown)

    def stop(done: int, count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_kept(tmp_path / "kept", later, "item", part=7, on_progress=stop)
    assert np.array_equal(read_vectors(tmp_path / "kept" / "item"), opened.items), "the old ones still stand"
    done = embed_kept(tmp_path / "kept", later, "item", part=7)
    assert done.resumed == 7 and done.copied > 0 and done.resumed + done.embedded + done.copied == 40
    np.testing.assert_allclose(read_vectors(tmp_path / "kept" / "item"), later.items, atol=1e-5)
    config = replace(TINY, steps=2, validate_every=2)
    other = OmniSageLearner(config).fit(split.train, run=Run(seed=5, device="cpu", quiet=True))
    new = embed_kept(tmp_path / "kept", OpenOmniSage.open(other, split.train), "item")
    assert new.embedded == new.nodes and sorted(p.name for p in (tmp_path / "kept").iterdir()) == ["item"]


def test_a_folder_changes_nothing_that_is_emitted(artifact: Artifact, split: Split, tmp_path: Path) -> None:
    learner = OmniSageLearner.from_artifact(artifact)
    plain = {s.name: s for s in learner.emit(artifact, split.train)}
    for _ in range(2):
        kept = {s.name: s for s in learner.emit(artifact, split.train, run=Run(tmp_path / "work", quiet=True))}
        assert kept.keys() == plain.keys()
        for name, signal in plain.items():
            np.testing.assert_allclose(kept[name].vectors, signal.vectors, atol=1e-6)


def test_nothing_changed_nothing_embedded(opened: OpenOmniSage, tmp_path: Path) -> None:
    for kind in ("item", "collection"):
        embed_into(tmp_path / kind, opened, kind)
        done = embed_into(tmp_path / f"{kind} again", opened, kind, previous=tmp_path / kind)
        assert (done.embedded, done.share) == (0, 0.0)
        assert np.array_equal(read_vectors(tmp_path / f"{kind} again"), read_vectors(tmp_path / kind))


def test_other_models_and_folders_are_refused(opened: OpenOmniSage, split: Split, tmp_path: Path) -> None:
    embed_into(tmp_path / "one", opened, "item")
    config = replace(TINY, steps=2, validate_every=2)
    other = OmniSageLearner(config).fit(split.train, run=Run(seed=5, device="cpu", quiet=True))
    second = OpenOmniSage.open(other, split.train)
    with pytest.raises(EmbeddingError, match="vectors of another model"):
        embed_into(tmp_path / "two", second, "item", previous=tmp_path / "one")
    with pytest.raises(EmbeddingError, match="its model differs"):
        embed_into(tmp_path / "one", second, "item")
    with pytest.raises(EmbeddingError, match="its part differs"):
        embed_into(tmp_path / "one", opened, "item", part=3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddingError, match="is not empty and holds no vectors"):
        embed_into(tmp_path / "full", opened, "item")
    (tmp_path / "one" / "manifest.json").write_text("{")
    with pytest.raises(EmbeddingError, match="holds no vectors of nodes"):
        read_vectors(tmp_path / "one")


def test_the_manifest_says_what_was_done(opened: OpenOmniSage, tmp_path: Path) -> None:
    embed_into(tmp_path, opened, "item")
    head = json.loads((tmp_path / "manifest.json").read_text())
    assert head["finished"] == {"nodes": 40, "embedded": 40, "copied": 0, "resumed": 0}
    assert head["view"]["wall"] == opened.world.view.wall
