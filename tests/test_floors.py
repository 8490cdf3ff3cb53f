"""The floors of the house: a package imports only packages on lower floors, and never a sibling."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _lint(config: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    from importlinter import cli

    monkeypatch.chdir(config.parent)  # the contracts and the package are found from here
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = cli.lint_imports(config_filename=config.name, no_cache=True)
    return code, said.getvalue()


def test_no_package_reaches_up_or_sideways(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = _lint(ROOT / "pyproject.toml", monkeypatch)
    assert code == 0, said
    assert "floors KEPT" in said, "the contract named `floors` is the one that was checked"


def test_a_broken_floor_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"__init__": "", "low": "import house_of_cards.high\n", "high": ""}.items():
        file = tmp_path / "house_of_cards" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    config = tmp_path / "pyproject.toml"
    config.write_text(
        '[tool.importlinter]\nroot_package = "house_of_cards"\n[[tool.importlinter.contracts]]\nname = "floors"\n'
        'type = "layers"\nlayers = ["house_of_cards.high", "house_of_cards.low"]\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    code, said = _lint(config, monkeypatch)
    assert code != 0 and "floors BROKEN" in said
    sys.modules.pop("house_of_cards", None)


def test_the_command_line_answers_without_importing_anything_heavy() -> None:
    import subprocess

    script = (
        "import sys; from bowerbird.cli import main; heavy = "
        "{'torch', 'polars', 'faiss', 'numba', 'scipy', 'matplotlib', 'fastapi', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
