"""Activating, going back, history, cleaning up; several at the same time."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.releases import ReleaseError, Releases
from bowerbird.serve.releases.pointer import Active, Pointer, following
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store import Store


def active_id(releases: Releases) -> str:
    found = releases.active()
    assert found is not None
    return found.id


def test_going_back_and_forth(releases: Releases, one: str, two: str, store: Store) -> None:
    assert active_id(releases) == two
    assert releases.rollback(store=store).id == one == active_id(releases)
    with pytest.raises(ReleaseError, match="nothing to go back to"):
        releases.rollback()
    assert releases.activate(two).id == two == active_id(releases)
    assert releases.rollback().id == one
    assert [(line["action"], line["id"]) for line in releases.history()] == [
        ("activate", one), ("activate", two), ("rollback", one), ("activate", two), ("rollback", one),
    ]  # fmt: skip
    assert [line["sequence"] for line in releases.history()] == [1, 2, 3, 4, 5]


def test_an_empty_root_has_nothing(tmp_path: Path) -> None:
    releases = Releases(tmp_path / "nowhere")
    assert releases.all() == [] and releases.active() is None and releases.history() == []
    with pytest.raises(ReleaseError, match="nothing to go back to"):
        releases.rollback()
    assert not (tmp_path / "nowhere").exists(), "looking makes no folders"


@given(steps=st.lists(st.one_of(st.sampled_from("abc"), st.just("back")), max_size=15))
def test_going_back_retraces_the_activations(steps: list[str]) -> None:
    """Against a plain stack: activating pushes what was active, going back pops."""
    now: Active | None = None
    stack: list[str] = []
    for number, step in enumerate(steps):
        if step != "back":
            if now is None or now.id != step:
                stack.append(step)
            now = following(now, step, "activate", 0, number)
        elif now is not None and now.before:
            stack.pop()
            now = following(now, now.before[-1], "rollback", 0, number)
        assert (None if now is None else [*now.before, now.id]) == (stack or None)


def test_activating_the_active_release_again_is_seen_by_watchers(releases: Releases, two: str) -> None:
    mark, before = releases.pointer.mark(), releases.pointer.read()
    releases.activate(two)
    after = releases.pointer.read()
    assert releases.pointer.mark() != mark and before is not None and after is not None
    assert after.before == before.before, "nothing else to go back to"


def test_going_back_skips_what_was_removed(releases: Releases, one: str, two: str, tmp_path: Path) -> None:
    releases.activate(one)
    releases.activate(two)
    (releases.folder / one).rename(tmp_path / "elsewhere")
    with pytest.raises(ReleaseError, match="nothing to go back to"):
        Releases(releases.folder.parent).rollback()
    assert active_id(releases) == two


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": "x"}', b'{"before": 3}', b"\xff"])
def test_a_damaged_pointer_is_told_and_mended_by_choosing(
    content: bytes, releases: Releases, one: str
) -> None:
    releases.pointer.path.write_bytes(content)
    for attempt in (releases.active, releases.rollback, lambda: releases.prune(1)):
        with pytest.raises(ReleaseError, match=r"active.json is damaged.\n  Fix: choose"):
            attempt()
    releases.activate(one)
    assert active_id(releases) == one
    assert [line["sequence"] for line in releases.history()] == [1, 2, 3]


def test_the_history_mends_itself(releases: Releases, one: str, two: str) -> None:
    path = releases.folder / "history.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for torn in (lines[0] + lines[1][:7], lines[0], b"", lines[0] + lines[1][:-1]):
        path.write_bytes(torn)
        assert releases.history()[-1]["id"] == two, "the pointer's own line is always there"
        assert releases.history()[-1]["sequence"] == 2
    path.write_bytes(lines[0] + lines[1][:7])
    releases.activate(one)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["sequence"], line["id"]) for line in written] == [(1, one), (2, two), (3, one)]


def test_many_at_the_same_time_leave_a_true_history(releases: Releases, one: str, two: str) -> None:
    """Each through its own `Releases`, as processes would: the lock is on the file."""
    failures: list[BaseException] = []

    def change(id: str) -> None:
        try:
            for _ in range(5):
                Releases(releases.folder.parent).activate(id)
                Releases(releases.folder.parent).rollback()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=change, args=(id,)) for id in (one, two, one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # a rollback may find that others went back before it, as far as there is anything
    assert all("nothing to go back to" in str(error) for error in failures)
    history, pointer = releases.history(), releases.pointer.read()
    assert pointer is not None and history[-1] == pointer.line()
    assert [line["sequence"] for line in history] == list(range(1, len(history) + 1))
    now: Active | None = None
    for line in history:
        now = following(now, line["id"], line["action"], line["since"], line["sequence"])
    assert now == pointer, "replaying the history gives the pointer"


def test_cleaning_up_keeps_what_is_needed(
    releases: Releases, one: str, two: str, store: Store, models: tuple[Path, Path]
) -> None:
    from bowerbird.serve.releases import publish

    root = releases.folder.parent
    three = publish(models[0], store, root, metrics={"n": 3}, activate=False).id
    four = publish(models[0], store, root, metrics={"n": 4}, activate=False).id
    opened = releases.open(one, store)
    assert releases.prune(1) == [three], "one and two are the previous and the active one"
    releases.activate(four)
    assert releases.prune(2) == [one]
    assert releases.ids() == sorted([two, four]) and not list(releases.folder.glob(".writing-*"))
    assert releases.rollback().id == two
    assert len(opened.index.search(opened.index.vectors([0]), 3).ids[0]) == 3, "what is open stays readable"
    assert releases.prune(1) == [] and releases.prune(5) == []
    with pytest.raises(ConfigError, match="at least 1"):
        releases.prune(0)


def test_leftovers_of_the_dead_are_swept_and_work_in_progress_is_not(releases: Releases, one: str) -> None:
    from bowerbird.serve.releases.pointer import in_use

    dead, alive = (releases.folder / f".writing-1-{name}" for name in ("dead", "alive"))
    for folder in (dead, alive):
        (folder / "index").mkdir(parents=True)
        (folder / "index" / "x").write_text("x")
        (folder / "index").chmod(0o555)
    (releases.folder / ".writing-1-active.json").write_text("half")
    with in_use(alive):
        releases.activate(one)
        assert sorted(path.name for path in releases.folder.glob(".writing-*")) == [alive.name]
    releases.activate(one)
    assert not list(releases.folder.glob(".writing-*"))


def test_a_pointer_that_was_never_written_has_no_mark(tmp_path: Path) -> None:
    assert Pointer(tmp_path).mark() is None
