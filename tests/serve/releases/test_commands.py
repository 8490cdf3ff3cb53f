"""publish, releases, rollback and verify as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bowerbird.cli.main import app
from bowerbird.serve.releases import Releases
from bowerbird.tables.store import Store


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def at(root: Path, store: Store) -> tuple[object, ...]:
    return ("--store", store.path, "--root", root)


def test_publish_list_roll_back_and_verify(
    at: tuple[object, ...], root: Path, models: tuple[Path, Path], tmp_path: Path, one: str, two: str
) -> None:
    (tmp_path / "report.json").write_text(
        json.dumps(
            {
                "blocks": [
                    {"type": "notes"},
                    {
                        "type": "comparison",
                        "results": [
                            {"is_baseline": True, "metrics": {"ndcg@10": {"mean": 0.5}}},
                            {"is_baseline": False, "metrics": {"ndcg@10": {"mean": 0.125, "low": 0.1}}},
                        ],
                    },
                ]
            }
        )
    )
    made = run(
        "publish", "--artifact", models[1], *at, "--report", tmp_path, "--note", "[b]wide", "--keep", 2
    )
    assert made.exit_code == 0, made.output
    three = made.stdout.strip()
    assert Releases(root).get(three).metrics == {"ndcg@10": 0.125}
    assert f"removed {one}" in made.stderr, "two are kept: the new one and the one before"

    listed = run("releases", *at)
    assert listed.exit_code == 0 and "[b]wide" in listed.stdout and "ndcg@10 0.1250" in listed.stdout
    assert [e["id"] for e in json.loads(run("releases", "--json", *at).stdout) if e["active"]] == [three]
    assert run("rollback", *at).stdout.strip() == two
    assert run("rollback", "--to", three, *at).stdout.strip() == three
    what = [(e["action"], e["id"]) for e in json.loads(run("releases", "--history", "--json", *at).stdout)]
    assert what[-3:] == [("activate", three), ("rollback", two), ("activate", three)]
    assert "rollback" in run("releases", "--history", *at).stdout
    checked = run("verify", "--all", *at)
    assert checked.exit_code == 0 and checked.stdout.count("fits the store") == 2
    assert three in run("verify", *at).stdout


def test_the_store_is_the_root_unless_told(tmp_path: Path, models: tuple[Path, Path]) -> None:
    from serve.world import build

    build(tmp_path / "store")
    made = run("publish", "--artifact", models[0], "--store", tmp_path / "store", "--no-activate")
    assert made.exit_code == 0, made.output
    releases = Releases(tmp_path / "store")
    assert releases.ids() == [made.stdout.strip()] and releases.active() is None
    assert f"--to {made.stdout.strip()}" in made.stderr


def test_damage_is_named(at: tuple[object, ...], root: Path, one: str, two: str) -> None:
    folder = root / "releases" / one
    for name in ("index", "model"):
        (folder / name).chmod(0o755)
    (folder / "index" / "ids.npy").unlink()
    for arguments in (("verify", one), ("rollback",), ("rollback", "--to", one)):
        done = run(*arguments, *at)
        assert done.exit_code == 2 and "index/ids.npy is missing" in done.stderr, done.output
    checked = run("verify", "--all", *at)
    assert checked.exit_code == 2 and two in checked.stdout and one in checked.stderr
    folder.chmod(0o755)
    (folder / "release.json").unlink()
    assert "it has no release.json" in " ".join(run("releases", *at).stdout.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("publish", "--artifact", "nowhere"), "holds no fitted model"),
        (("publish", "--report", "nowhere"), "there is no report"),
        (("publish", "--keep", "0"), "--keep"),
        (("verify", "nowhere"), "there is no release 'nowhere'"),
        (("verify",), "no release is active"),
        (("rollback",), "nothing to go back to"),
        (("rollback", "--to", "../x"), "cannot be the id"),
    ],
)
def test_mistakes_are_explained(
    arguments: tuple[str, ...], says: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, "--store", store.path, "--root", tmp_path)
    assert done.exit_code == 2 and says in " ".join(done.stderr.split()), done.output
    assert "Traceback" not in done.output


def test_a_report_without_a_model_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"blocks": []}')
    done = run("publish", "--report", tmp_path, "--store", store.path, "--root", tmp_path)
    assert done.exit_code == 2 and "not a report with a model" in done.stderr
    listed = run("releases", "--store", store.path, "--root", tmp_path)
    assert listed.exit_code == 0 and "no releases in" in listed.stderr


def test_going_back_loads_no_network_library(at: tuple[object, ...], one: str) -> None:
    """Rolling back is what one does in a hurry."""
    code = (
        "import sys; from bowerbird.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules, 'faiss' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "rollback", *map(str, at)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [one, "0", "False", "False"], done.stderr
