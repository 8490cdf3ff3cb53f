"""Run by `test_crash.py` in its own process: dies at every step of an operation in turn, and looks at what is left.

Every step that reaches the disk (flush, rename, change of mode, new folder, copy, cut) is counted; a forked child ends
at the n-th with `os._exit`, without any clean-up, and another child checks the root it left. The children fork from a
process that has only imported, so that no thread pool is lost in between.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bowerbird.index import Index
from bowerbird.learn.artifact import Artifact
from bowerbird.serve.generators import opening
from bowerbird.serve.releases import Release, Releases, publish
from bowerbird.tables.store import Store

KILLED = 9
_STAGED = 60
"""Steps of publishing that only fill a folder nobody looks at: every sixth is tried, and few publish again after."""


class FakeGenerator:
    """Has an index and no network: what dies here is the writing."""

    index = Index.build(np.eye(4, dtype=np.float32))


def die_at(step: int) -> None:
    """Makes this process end in front of its n-th step."""
    left = step

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(KILLED)
            return function(*arguments, **named)

        return call

    for owner, names in (
        (os, ("fsync", "truncate")),
        (Path, ("rename", "replace", "chmod", "mkdir", "write_text", "unlink")),
        (shutil, ("copyfile", "rmtree")),
    ):
        for name in names:
            setattr(owner, name, counted(getattr(owner, name)))


def in_child(work: Callable[[], object]) -> int:
    """Exit code of a forked child that does some work: 0, what it ended itself with, or 1 with a traceback."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def check(root: Path, artifact: Path, store: Path, base: set[str], again: bool) -> None:
    """What must hold wherever a process died, and that the next one finds everything in order."""
    releases, opened = Releases(root), Store.open(store)
    ids = set(releases.ids())
    for id in ids:
        releases.verify(id, opened)
    active = releases.active()
    assert active is not None and active.id in ids
    history = releases.history()
    assert history[-1]["id"] == active.id
    sequences = [line["sequence"] for line in history]
    assert sequences == list(range(1, len(sequences) + 1)), sequences
    made = ids - base
    assert len(made) <= 1
    if again:
        new = publish(artifact, opened, root)
        assert made <= {new.id}, "a release that was finished is found again"
        assert len(set(releases.ids()) - base) == 1
    else:
        new = releases.activate(max(ids))
    back = releases.active()
    assert back is not None and back.id == new.id
    if new.id != active.id:
        assert releases.rollback().id == active.id
    assert [p.name for p in releases.folder.iterdir() if p.name.startswith(".writing-")] == []
    stored = [json.loads(line) for line in (releases.folder / "history.jsonl").read_text().splitlines()]
    assert stored == releases.history()


def steps_of(
    name: str, operation: Callable[[Path], object], base: Path, scratch: Path, artifact: Path, store: Path
) -> int:
    """Dies at every step of an operation on a copy of `base`; how many steps there were."""
    known = set(Releases(base).ids())
    step = 0
    while True:
        staging = name == "publish" and step + 6 < _STAGED
        step += 6 if staging else 1
        root = scratch / "root"
        shutil.copytree(base, root)

        def work(root: Path = root, step: int = step) -> None:
            die_at(step)
            operation(root)

        code = in_child(work)
        if code not in (0, KILLED):
            raise SystemExit(f"{name}, step {step}: exit code {code}")
        again = name == "publish" and (step % 12 == 0 or step > _STAGED)
        if in_child(lambda root=root, again=again: check(root, artifact, store, known, again)):  # type: ignore[misc]
            raise SystemExit(f"{name}, killed at step {step}: the next process finds a broken state")
        shutil.rmtree(root)
        if code == 0:
            return step - 1


def main(base: Path, artifact: Path, store: Path, scratch: Path) -> None:
    opening.generator_of = lambda *_, **__: FakeGenerator()  # type: ignore[assignment, return-value]
    Artifact.load(artifact)
    one, two = sorted(release.id for release in map(Release.read, (base / "releases").glob("2*")))
    operations: dict[str, Callable[[Path], object]] = {
        "publish": lambda root: publish(artifact, Store.open(store), root),
        "activate": lambda root: Releases(root).activate(one),
        "rollback": lambda root: Releases(root).rollback(),
        "prune": lambda root: (Releases(root).activate(two), Releases(root).prune(1)),
    }
    found = {}
    for name, operation in operations.items():
        found[name] = steps_of(name, operation, base, scratch, artifact, store)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
