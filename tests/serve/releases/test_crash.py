"""kill -9 at every step of publish, activate, rollback and prune leaves the last good state."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bowerbird.serve.releases import Release
from bowerbird.tables.store import Store


@pytest.mark.processes
def test_every_step_may_be_the_last(
    published: tuple[Path, Release, Release], models: tuple[Path, Path], store: Store, tmp_path: Path
) -> None:
    from bowerbird.learn.artifact import Artifact

    found = Artifact.load(models[0])
    third = Artifact(found.learner, found.config, found.tensors, found.arrays, {**found.facts, "seed": 99})
    third.save(tmp_path / "third")
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("crash.py"),
            published[0],
            tmp_path / "third",
            store.path,
            tmp_path,
        ],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert steps["publish"] > 40 and min(steps["activate"], steps["rollback"], steps["prune"]) >= 5, steps
