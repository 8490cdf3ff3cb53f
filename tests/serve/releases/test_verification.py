"""Every way of damaging a release is refused with the file's name; what does not fit, with reason and fix."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from bowerbird.serve.releases import Release, ReleaseError, Releases
from bowerbird.serve.releases import verification as checks
from bowerbird.tables.store import Store, build_store
from serve.releases.conftest import rewritten
from serve.world import events, items

FILES = (
    "release.json",
    "model/artifact.json",
    "model/tensors.safetensors",
    "model/arrays.safetensors",
    "index/index.json",
    "index/vectors.npy",
    "index/ids.npy",
    "vocabulary/items.parquet",
    "vocabulary/users.parquet",
    "vocabulary/actions.parquet",
    "vocabulary/surfaces.parquet",
)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def link(path: Path) -> None:
    aside = path.parent.parent / "aside"
    path.rename(aside)
    path.symlink_to(aside)


def writable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)


def test_the_list_of_files_is_complete(published: tuple[Path, Release, Release]) -> None:
    assert sorted(FILES) == sorted([*published[1].files, "release.json"])


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink, link])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_nothing_changes(
    name: str, damage: Callable[[Path], None], releases: Releases, store: Store, one: str, two: str
) -> None:
    folder = releases.folder / one
    writable(folder)
    damage(folder / name)
    for attempt in (
        lambda: releases.open(one, store),
        lambda: releases.verify(one),
        lambda: releases.activate(one),
        lambda: releases.rollback(),
    ):
        with pytest.raises(ReleaseError, match=Path(name).name.replace(".", r"\.")):
            attempt()
    active = releases.active()
    assert active is not None and active.id == two
    assert [line["id"] for line in releases.history()] == [one, two]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "model" / "extra.py").write_text("x"), "model/extra.py does not belong"),
        (lambda folder: (folder / ".hidden").write_text("x"), ".hidden does not belong"),
        (lambda folder: (folder / "more").mkdir(), "the folder more does not belong"),
        (lambda folder: (folder / "pipe").symlink_to("/dev/null"), "pipe is not a plain file"),
    ],
)
def test_what_was_added_is_named(
    spoil: Callable[[Path], None], says: str, releases: Releases, store: Store, one: str
) -> None:
    writable(releases.folder / one)
    spoil(releases.folder / one)
    with pytest.raises(ReleaseError, match=says):
        releases.open(one, store)


def test_several_damages_are_listed(releases: Releases, one: str) -> None:
    writable(releases.folder / one)
    for name in FILES[1:]:
        (releases.folder / one / name).unlink()
    with pytest.raises(ReleaseError, match=r"artifact.json is missing.*\(and 5 more\)"):
        releases.verify(one)


def test_a_file_that_cannot_be_read_is_named(
    releases: Releases, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(checks, "hash_of_file", broken)
    with pytest.raises(ReleaseError, match=r"index/ids\.npy cannot be read \(Input/output error\)"):
        releases.verify(one)
    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(ReleaseError, match=r"release\.json cannot be read: Input/output error"):
        releases.get(one)
    assert releases.all() == [], "listing goes on"


def test_a_head_without_what_it_needs_is_damaged(releases: Releases, one: str) -> None:
    found = releases.get(one)
    rewritten(found, surprise=1)
    with pytest.raises(ReleaseError, match=r"release\.json is damaged: it does not describe a release"):
        releases.get(one)


def test_large_files_are_compared_by_size_until_everything_is_asked_for(
    releases: Releases, store: Store, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "SMALL", 10)
    writable(releases.folder / one)
    flip(releases.folder / one / "index" / "vectors.npy")
    releases.open(one, store)
    with pytest.raises(ReleaseError, match=r"index/vectors\.npy was changed"):
        releases.open(one, store, verify=True)
    with pytest.raises(ReleaseError, match=r"index/vectors\.npy was changed"):
        releases.activate(one)
    flip(releases.folder / one / "model" / "tensors.safetensors")
    with pytest.raises(ReleaseError, match=r"tensors\.safetensors"):
        releases.open(one, store)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"learner": "horoscope"}, r"'horoscope', which this Bowerbird does not know.*\n.*Fix: upgrade"),
        ({"version": "99.1.0"}, r"made by Bowerbird 99.1.0.*\n.*Fix: upgrade"),
        ({"store": {"dataset": "two circles", "schema_version": 99}}, r"version 99.*\n.*Fix: upgrade"),
        ({"store": {"dataset": "two circles", "schema_version": 0}}, r"version 0.*\n.*Fix: publish"),
        ({"store": {"dataset": "other", "schema_version": 1}}, r"made from 'other'.*\n.*Fix: give the store"),
        ({"id": "20200101-other"}, "the folder was renamed or copied"),
    ],
)
def test_a_release_of_another_world_is_refused_with_reason_and_fix(
    changes: dict[str, object], says: str, releases: Releases, store: Store, one: str
) -> None:
    if "store" in changes and changes["store"]["schema_version"] == 1:  # type: ignore[index]
        changes = {"store": {"dataset": "other", "schema_version": store.manifest.schema_version}}
    rewritten(releases.get(one), **changes)
    with pytest.raises(ReleaseError, match=says):
        releases.open(one, store)


def test_a_newer_format_is_refused_with_a_fix(
    releases: Releases, store: Store, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bowerbird.serve.releases import release as module

    found = releases.get(one)
    monkeypatch.setattr(module, "FORMAT", 2)
    rewritten(found)
    monkeypatch.undo()
    with pytest.raises(ReleaseError, match=r"release.json has format 2, .* reads up to 1.\n  Fix: upgrade"):
        releases.open(one, store)


def test_a_model_with_settings_of_another_version_is_refused(
    tmp_path: Path, models: tuple[Path, Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bowerbird.learn.artifact import Artifact
    from bowerbird.serve.generators import opening
    from bowerbird.serve.releases import publish

    found = Artifact.load(models[0])
    config = {**found.config, "astrology": True}
    Artifact(found.learner, config, found.tensors, found.arrays, found.facts).save(tmp_path / "model")
    real = opening.generator_of
    monkeypatch.setattr(opening, "generator_of", lambda artifact, *rest, **named: real(found, *rest, **named))
    made = publish(tmp_path / "model", store, tmp_path)
    with pytest.raises(ReleaseError, match=r"cannot be opened .*astrology.*\n  Fix: fit and publish"):
        Releases(tmp_path).open(made.id, store)


def _store(folder: Path, catalogue: pl.DataFrame, log: pl.DataFrame, actions: list[str]) -> Store:
    return build_store(
        folder, {"items": catalogue, "events": log}, actions=actions, negative_actions=["hide"],
        item_roles={"title": "title"}, dataset="two circles",
    )  # fmt: skip


ACTIONS = ["click", "save", "hide"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda f: _store(f, items().reverse(), events(), ACTIONS), "place 0 of its items is"),
        (lambda f: _store(f, items(), events().reverse(), ACTIONS), "place 0 of its (items|users) is"),
        (lambda f: _store(f, items(), events(), ["save", "click", "hide"]), "place 0 of its actions is 'click'"),
        (lambda f: _store(f, items().head(5), events().head(5), ACTIONS), "built on 61 items, the store has"),
        (
            lambda f: _store(f, items(), events().with_columns(surface=pl.lit("shelf")), ACTIONS),
            "place 0 of its surfaces is 'home', in the store it is 'shelf'",
        ),
        (
            lambda f: _store(f, items(), events().with_columns(user_id=pl.int_range(pl.len())), ACTIONS),
            "users with string ids, the store has integer ids",
        ),
    ],
)  # fmt: skip
def test_another_store_is_refused_with_the_first_difference(
    make: Callable[[Path], Store], says: str, releases: Releases, one: str, two: str, tmp_path: Path
) -> None:
    other = make(tmp_path / "store")
    for attempt in (
        lambda: releases.open(one, other),
        lambda: releases.activate(one, store=other),
        lambda: releases.rollback(store=other),
    ):
        with pytest.raises(ReleaseError, match=says):
            attempt()
    active = releases.active()
    assert active is not None and active.id == two


@pytest.mark.parametrize("id", ["../two", "", ".lock", "a/b", "x" * 300, "nowhere"])
def test_a_name_never_leads_out_of_the_folder(id: str, releases: Releases, store: Store) -> None:
    with pytest.raises(ReleaseError, match=r"cannot be the id|there is no release"):
        releases.open(id, store)
