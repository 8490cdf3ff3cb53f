"""The frame around the commands: help, versions, errors, and results that are kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bowerbird as package
from bowerbird.cli import main
from bowerbird.cli.commands import data
from bowerbird.cli.kept import content_of, kept, key_of
from cli.conftest import TINY, Bowerbird

COMMANDS = (
    "init",
    "ingest",
    "dataset",
    "simulate",
    "fit",
    "evaluate",
    "emit",
    "ledger",
    "recommend",
    "similar",
    "serve",
    "publish",
    "releases",
    "rollback",
    "verify",
    "demo",
)


def test_every_command_has_help_with_an_example(bowerbird: Bowerbird) -> None:
    listed = bowerbird("--help").stdout
    for name in COMMANDS:
        assert f" {name} " in listed
        done = bowerbird(name, "--help")
        assert done.exit_code == 0 and f"bowerbird {name}" in " ".join(
            done.stdout.split("Examples")[1].split()
        ), name


def test_version_and_unknown_commands(bowerbird: Bowerbird) -> None:
    assert bowerbird("--version").stdout.strip() == f"bowerbird {package.__version__}"
    wrong = bowerbird("recomend")
    assert wrong.exit_code == 2 and "recomend" in wrong.stderr
    assert bowerbird().exit_code == 2, "without a command: the help"


def _fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    from bowerbird.tables import datasets

    monkeypatch.setattr(datasets, "load_dataset", broken)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (RuntimeError("the unforeseen"), 1, "this should not have happened: RuntimeError: the unforeseen"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 2, "x.csv: No such file or directory"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (MemoryError(), 2, "out of memory"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_no_error_shows_a_traceback_unless_asked(
    bowerbird: Bowerbird, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    _fails_with(monkeypatch, error)
    done = bowerbird("dataset", "movielens", "--store", "unused")
    assert done.exit_code == code and says in done.stderr and "Traceback" not in done.output


def test_debug_shows_the_traceback_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fails_with(monkeypatch, RuntimeError("the unforeseen"))
    for line in (["--debug", "dataset", "movielens"], ["dataset", "movielens", "--debug"]):
        with pytest.raises(RuntimeError, match="the unforeseen"):
            main.main(line)
    with pytest.raises(SystemExit) as ended:
        main.main(["dataset", "movielens"])
    assert ended.value.code == 1


def test_the_installed_command_prints_help(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("bowerbird")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "recommend" in done.stdout


def test_kept_results_are_made_once_for_each_key(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.mkdir()
        (path / "result").write_text("x")

    first, found = kept(tmp_path, "model", "a", make)
    assert not found and (first / "result").exists()
    assert kept(tmp_path, "model", "a", make) == (first, True) and len(made) == 1
    second, found = kept(tmp_path, "model", "b", make)
    assert not found and not first.exists(), "the earlier result makes room once the new one is complete"
    (second / ".complete").unlink()
    kept(tmp_path, "model", "b", make)
    assert len(made) == 3, "a result that was cut off is made again"


def test_keys_depend_on_content_and_names_only(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("same")
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")
    (tmp_path / "two" / "file").write_text("other")
    assert content_of(tmp_path / "one") != content_of(tmp_path / "two")
    assert key_of("a", {"x": 1, "y": 2}) == key_of("a", {"y": 2, "x": 1}) != key_of("a", {"x": 2, "y": 1})


def test_demo_makes_everything_then_finds_it(
    bowerbird: Bowerbird, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "ml-tiny"
    files.mkdir()
    ratings = [
        f"{u},{u * 7 % 5 + m},{(u * m) % 5 + 1},{10**9 + u * 86_400 + m * 3_600}"
        for u in range(30)
        for m in range(12)
    ]
    (files / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(ratings) + "\n")
    movies = [f"{m},Film {m} (1999),{'Drama' if m % 2 else 'War'}" for m in range(20)]
    (files / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(movies) + "\n")
    (files / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,9,slow,1000009999\n")
    from bowerbird.tables import datasets

    monkeypatch.setattr(datasets, "bundled", lambda name: files)
    first = bowerbird("demo", "--folder", tmp_path / "demo", "--no-serve", *TINY)
    assert first.exit_code == 0, first.output
    assert "popularity" in first.stdout.lower() and first.stderr.count("found:") == 0
    second = bowerbird("demo", "--folder", tmp_path / "demo", "--no-serve", *TINY)
    assert second.exit_code == 0 and second.stderr.count("found:") == 3 and second.stdout == first.stdout


def test_commands_are_plain_functions() -> None:
    assert callable(data.init) and data.init.__doc__, "documented and usable without the command line"
