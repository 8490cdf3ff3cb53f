"""What a release holds, that it is made once, and what is refused before anything is written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from bowerbird.learn.artifact import Artifact
from bowerbird.serve.releases import Release, ReleaseError, Releases, publish
from bowerbird.serve.releases.release import hash_of_file
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Store, Vocabulary, build_store
from serve.world import build, events, items


def test_a_release_holds_everything_and_hashes_of_it(
    published: tuple[Path, Release, Release], models: tuple[Path, Path], store: Store
) -> None:
    root, release, _ = published
    assert release.path == root / "releases" / release.id
    present = {p.relative_to(release.path).as_posix() for p in release.path.rglob("*") if p.is_file()}
    assert present == {*release.files, "release.json"}
    assert {name.split("/")[0] for name in release.files} == {"model", "index", "vocabulary"}
    for name, wanted in release.files.items():
        assert hash_of_file(release.path / name) == wanted
        assert (release.path / name).stat().st_size == release.sizes[name]
    assert release.learner == "pinrec" and release.metrics == {"ndcg@10": 0.25}
    assert release.data == Artifact.load(models[0]).facts["data"]
    assert release.store["content_hash"] == store.manifest.content_hash
    assert release.model_hash == hash_of_file(models[0] / "artifact.json")
    assert release.files["index/index.json"] == release.index_hash
    assert list(Vocabulary.open(release.path / "vocabulary/items.parquet")) == list(store.items)
    assert release.vocabulary["users"]["size"] == store.n_users
    assert Release.read(release.path) == release


def test_a_release_is_read_only(published: tuple[Path, Release, Release]) -> None:
    for path in (published[1].path, *published[1].path.rglob("*")):
        assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH), path


def test_the_copy_of_the_model_is_the_model(
    published: tuple[Path, Release, Release], models: tuple[Path, Path]
) -> None:
    for name in ("artifact.json", "tensors.safetensors", "arrays.safetensors"):
        assert (published[1].path / "model" / name).read_bytes() == (models[0] / name).read_bytes()


def test_equal_content_is_one_release_and_other_metrics_another(
    root: Path, models: tuple[Path, Path], store: Store, one: str, two: str
) -> None:
    again = publish(models[0], store, root, metrics={"ndcg@10": 0.25}, note="once more")
    releases = Releases(root)
    assert again.id == one and again.note == "" and releases.ids() == sorted([one, two])
    active = releases.active()
    assert active is not None and active.id == one, "publishing what exists activates it"
    other = publish(models[0], store, root, metrics={"ndcg@10": 0.26}, activate=False)
    assert other.id not in (one, two) and len(releases.ids()) == 3
    still = releases.active()
    assert still is not None and still.id == one, "activate=False leaves what is active"


def test_a_damaged_release_is_made_again(
    root: Path, models: tuple[Path, Path], store: Store, one: str
) -> None:
    damaged = root / "releases" / one / "model" / "tensors.safetensors"
    damaged.chmod(0o644)
    damaged.write_bytes(b"")
    again = publish(models[0], store, root, metrics={"ndcg@10": 0.25})
    assert again.id != one and again.content == Release.read(root / "releases" / one).content
    assert Releases(root).verify(again.id, store).id == again.id


def test_publishers_at_the_same_time_make_one_release(
    tmp_path: Path, models: tuple[Path, Path], store: Store
) -> None:
    found: list[str] = []
    barrier = threading.Barrier(3)

    def run() -> None:
        barrier.wait()
        found.append(publish(models[0], store, tmp_path).id)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    releases = Releases(tmp_path)
    assert len(found) == 3 and set(found) == set(releases.ids())
    assert not list(releases.folder.glob(".writing-*"))


def _damaged(folder: Path) -> None:
    file = folder / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")


def _named_outside(folder: Path) -> None:
    from bowerbird.learn.storage.folders import write_manifest

    head = json.loads((folder / "artifact.json").read_text())
    (folder.parent / "secret").write_text("key")
    content = {name: head[name] for name in ("kind", "learner", "config", "facts")}
    write_manifest(folder, "artifact.json", content, [*head["files"], "../secret"])


def _of_learner(folder: Path, learner: str) -> None:
    found = Artifact.load(folder)
    Artifact(learner, found.config, found.tensors, found.arrays, found.facts).save(folder)


def _on_data(folder: Path, **changes: Any) -> None:
    found = Artifact.load(folder)
    facts = {**found.facts, "data": {**found.facts["data"], **changes}}
    Artifact(found.learner, found.config, found.tensors, found.arrays, facts).save(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "artifact.json").unlink(), "holds no fitted model"),
        (_damaged, "tensors.safetensors is damaged"),
        (_named_outside, "outside of its folder"),
        (lambda folder: _of_learner(folder, "horoscope"), "'horoscope', which does not retrieve"),
        (lambda folder: _on_data(folder, dataset="elsewhere"), "was trained on 'elsewhere'"),
        (lambda folder: _on_data(folder, content_hash="0" * 32), "fitted on another store"),
        (lambda folder: _on_data(folder, content_hash="0" * 32, generation=99), "fitted on another store"),
    ],
)
def test_what_cannot_be_served_is_refused_and_leaves_nothing(
    spoil: Any, says: str, tmp_path: Path, models: tuple[Path, Path], store: Store
) -> None:
    shutil.copytree(models[0], tmp_path / "model")
    spoil(tmp_path / "model")
    with pytest.raises(BowerbirdError, match=says):
        publish(tmp_path / "model", store, tmp_path)
    releases = Releases(tmp_path)
    assert releases.ids() == [] and releases.active() is None
    assert not list(releases.folder.glob(".writing-*"))


@pytest.mark.parametrize("metrics", [{"ndcg": float("nan")}, {"when": object()}])
def test_metrics_must_be_json(
    metrics: dict[str, Any], tmp_path: Path, models: tuple[Path, Path], store: Store
) -> None:
    with pytest.raises(ReleaseError, match="finite numbers"):
        publish(models[0], store, tmp_path, metrics=metrics)
    assert not (tmp_path / "releases").exists()


def test_a_smaller_store_of_the_same_name_is_refused(tmp_path: Path, models: tuple[Path, Path]) -> None:
    smaller = build_store(
        tmp_path / "store", {"items": items().head(20), "events": events().head(0)},
        actions=["click", "save", "hide"], negative_actions=["hide"], item_roles={"title": "title"},
        dataset="two circles",
    )  # fmt: skip
    with pytest.raises(BowerbirdError, match=r"another store|items, the store only"):
        publish(models[0], smaller, tmp_path)


@pytest.mark.parametrize("step", ["copyfile", "fsync"])
def test_a_full_disk_leaves_what_was(
    step: str, root: Path, models: tuple[Path, Path], store: Store, two: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(*_: object) -> None:
        calls.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil if step == "copyfile" else os, step, full)
    with pytest.raises(OSError, match="No space left"):
        publish(models[0], store, root, metrics={"n": 1})
    monkeypatch.undo()
    releases = Releases(root)
    active = releases.active()
    assert calls and active is not None and active.id == two and len(releases.ids()) == 2
    assert not list(releases.folder.glob(".writing-*"))


def test_a_replaced_model_is_noticed(
    tmp_path: Path, models: tuple[Path, Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bowerbird.serve.releases import publishing

    shutil.copytree(models[0], tmp_path / "model")
    copy = publishing._copy

    def late(source: Path, target: Path) -> None:
        shutil.copytree(models[1], source, dirs_exist_ok=True)  # somebody fits into the same folder
        copy(source, target)

    monkeypatch.setattr(publishing, "_copy", late)
    with pytest.raises(ReleaseError, match="replaced while"):
        publish(tmp_path / "model", store, tmp_path)


def test_a_rebuilt_store_with_equal_rows_still_fits(tmp_path: Path, published: Any) -> None:
    assert Releases(published[0]).open(published[1].id, build(tmp_path / "store")).id == published[1].id
