"""Machine code kept between runs never outlives the sources it was made from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bowerbird.graph.compiled import forget_stale

CALLER = """
from numba import njit
from kernels.callee import twice
from bowerbird.graph.compiled import forget_stale
from pathlib import Path
forget_stale(Path(__file__).parent)

@njit(cache=True)
def more(x):
    return twice(x) + 1

print(more(5))
"""


def run(folder: Path) -> str:
    """What the caller prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", "import kernels.caller"], cwd=folder, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )  # fmt: skip
    return done.stdout.strip()


def test_a_change_of_what_is_called_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "caller.py").write_text(CALLER)
    callee = "from numba import njit\n\n@njit(cache=True)\ndef twice(x):\n    return {} * x\n"
    (folder / "callee.py").write_text(callee.format(2))
    assert run(tmp_path) == "11"
    kept = list(folder.rglob("*.nbi"))
    assert kept, "it is kept"
    assert run(tmp_path) == "11" and list(folder.rglob("*.nbi")) == kept
    (folder / "callee.py").write_text(callee.format(3))
    assert run(tmp_path) == "16"


def test_what_is_current_stays(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "one.py").write_text("x = 1\n")
    compiled = tmp_path / "__pycache__" / "one.f-1.py311.1.nbc"
    compiled.write_bytes(b"old")
    look = forget_stale.__wrapped__
    assert look(tmp_path) and not compiled.exists(), "nobody knows what it was made from"
    compiled.write_bytes(b"new")
    assert not look(tmp_path) and compiled.exists()
    (tmp_path / "one.py").write_text("x = 2\n")
    assert look(tmp_path) and not compiled.exists()
