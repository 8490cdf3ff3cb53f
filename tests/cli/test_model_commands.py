"""fit, evaluate, ledger, recommend, similar, serve: with a small model, and with everything a person may mistype."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from bowerbird.learn.artifact import Artifact
from bowerbird.tables.simulate import simulate
from cli.conftest import TINY, Bowerbird
from serve.world import N_ITEMS


def ask(bowerbird: Bowerbird, model: Path, store: Path, *arguments: object) -> dict:  # type: ignore[type-arg]
    done = bowerbird("recommend", "--artifact", model, "--store", store, "--json", *arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_fit_writes_an_artifact_that_says_what_it_was_fitted_on(model: Path, store: Path) -> None:
    artifact = Artifact.load(model)
    assert artifact.learner == "pinrec" and artifact.config["width"] == 16
    assert artifact.facts["data"]["dataset"] == "two circles"
    assert (model.parent / "model.run" / "metrics.jsonl").exists(), "progress is kept beside the model"


def test_several_seeds_make_several_models(bowerbird: Bowerbird, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    done = bowerbird(
        "fit", "pinrec", "--store", store, "--out", out, "--seeds", "1,2", "--protocol", "all", "-q", *TINY
    )
    assert done.exit_code == 0, done.output
    first, second = (Artifact.load(out / f"seed-{seed}") for seed in (1, 2))
    assert (first.facts["seed"], second.facts["seed"]) == (1, 2)
    assert any((first.tensors[name] != second.tensors[name]).any() for name in first.tensors)
    refused = bowerbird("evaluate", out / "seed-1", "--store", store)
    assert refused.exit_code == 2 and "nothing is left to evaluate" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pinrek"], "did you mean 'pinrec'"),
        (["pinrec", "--set", "epoch=1"], "epochs"),
        (["pinrec", "--set", "epochs=many"], "epochs"),
        (["pinrec", "--set", "epochs"], "key=value"),
        (["pinrec", "--seeds", "1,1"], "each once"),
        (["pinrec", "--seeds", "one"], "whole numbers"),
        (["pinrec", "--size", "xl"], "'xl'"),
        (["pinrec", "--device", "tpu"], "device 'tpu'"),
    ],
)
def test_fit_says_what_is_wrong(
    bowerbird: Bowerbird, store: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = bowerbird("fit", *arguments, "--store", store, "--out", tmp_path / "m", "--quiet")
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.stderr.split()) and "Traceback" not in done.output
    assert not (tmp_path / "m").exists()


def test_a_missing_store_or_model_is_named(
    bowerbird: Bowerbird, store: Path, model: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    for arguments in (
        ("fit", "pinrec", "--store", gone, "--out", tmp_path / "m"),
        ("evaluate", model, "--store", gone),
        ("evaluate", gone, "--store", store),
        ("recommend", "--artifact", gone, "--store", store, "--user", "u00"),
        ("similar", "--artifact", model, "--store", gone, "--item", "f01"),
        ("serve", "--artifact", gone, "--store", store, "--port", 0),
        ("serve", "--artifact", model, "--store", store, "--graph", gone, "--port", 0),
    ):
        done = bowerbird(*arguments)
        assert done.exit_code == 2 and "gone" in done.stderr and "Traceback" not in done.output, arguments


def test_evaluate_prints_the_table_and_writes_the_report(
    bowerbird: Bowerbird, store: Path, model: Path, tmp_path: Path
) -> None:
    done = bowerbird("evaluate", model, "--store", store, "--report", tmp_path / "report")
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["dataset"] == "two circles"
    assert "<html" in (tmp_path / "report" / "report.html").read_text()
    for name in ("popularity", "item-kNN", "EASE"):
        assert name.lower() in done.stdout.lower(), name


def test_seeds_of_one_model_are_one_report_and_other_models_have_their_own(
    bowerbird: Bowerbird, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "models"
    fitted = bowerbird("fit", "pinrec", "--store", store, "--out", out, "--seeds", "1,2", "-q", *TINY)
    assert fitted.exit_code == 0, fitted.output
    both = [out / "seed-1", out / "seed-2"]
    done = bowerbird("evaluate", *both, "--store", store, "--report", tmp_path / "one")
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "one" / "report.json").read_text())
    assert report["facts"]["seeds"] == [1, 2]
    other = bowerbird(
        "fit", "pinrec", "--store", store, "--out", out / "plain", "-q", *TINY, "--set", "epochs=1"
    )
    assert other.exit_code == 0, other.output
    done = bowerbird("evaluate", *both, out / "plain", "--store", store, "--report", tmp_path / "two")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"seed-1", "plain"}


def test_what_one_model_emits_another_learns_from(
    bowerbird: Bowerbird, store: Path, model: Path, tmp_path: Path
) -> None:
    own = tmp_path / "store"
    shutil.copytree(store, own)
    done = bowerbird("emit", model, "--store", own, "--release", "first")
    assert done.exit_code == 0 and "pinrec_items" in done.stderr, done.output
    signal_name = "--set=item_signals=pinrec_items/first"
    fitted = bowerbird("fit", "pinrec", "--store", own, "--out", tmp_path / "m", "-q", *TINY, signal_name)
    assert fitted.exit_code == 0, fitted.output
    assert Artifact.load(tmp_path / "m").config["item_signals"] == ["pinrec_items/first"]
    assert bowerbird("emit", model, "--store", own, "--everything", "--release", "late").exit_code == 0
    late = "--set=item_signals=pinrec_items/late"
    refused = bowerbird("fit", "pinrec", "--store", own, "--out", tmp_path / "n", "-q", *TINY, late)
    assert refused.exit_code == 2 and "may learn from data" in refused.stderr


def test_recommend_for_a_user(bowerbird: Bowerbird, store: Path, model: Path) -> None:
    answer = ask(bowerbird, model, store, "--user", "u00", "-k", 5)
    assert (
        len(answer["items"]) == 5 and answer["stage"] == "model" and answer["release"].startswith("pinrec-")
    )
    assert answer["shares"] and {"history", "generate", "retrieve", "guard", "total"} <= set(
        answer["timings_ms"]
    )
    table = bowerbird("recommend", "--artifact", model, "--store", store, "--user", "u00", "-k", 5)
    assert answer["items"][0]["item"]["title"] in table.stdout


def test_recommend_with_outcomes_history_and_filters(bowerbird: Bowerbird, store: Path, model: Path) -> None:
    answer = ask(bowerbird, model, store, "--user", "u00", "--outcome", "save=3", "--outcome", "any=1")
    assert {share["outcome"]: share["weight"] for share in answer["shares"]} == {"save": 0.75, "any": 0.25}
    answer = ask(bowerbird, model, store, "--items", "f01, f02", "-k", 60, "--exclude", "genres=Sea")
    assert answer["history_used"] == 2 and not any(
        "Sea" in entry["item"]["categories"] for entry in answer["items"]
    )
    kept = ask(bowerbird, model, store, "--user", "u00", "-k", 500, "--keep-seen")
    assert len(kept["items"]) == N_ITEMS + 1 and kept["notes"][-1]["code"] == "fewer_items"


def test_recommend_falls_back_and_says_so(bowerbird: Bowerbird, store: Path, model: Path) -> None:
    done = bowerbird("recommend", "--artifact", model, "--store", store, "--user", "zoe", "-k", 3)
    assert done.exit_code == 0 and "'zoe' is unknown" in done.stderr and "popularity" in done.stdout
    assert ask(bowerbird, model, store, "--items", "gone")["stage"] == "popularity"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give a user"),
        (["--user", "u00", "--outcome", "svae=1"], "did you mean 'save'"),
        (["--user", "u00", "--outcome", "save"], "save=0.5"),
        (["--user", "u00", "--outcome", "save=lots"], "no number"),
        (["--user", "u00", "--outcome", "save=-1"], "0 or more"),
        (["--user", "u00", "-k", "0"], "greater than or equal to 1"),
        (["--user", "u00", "--include", "genre=Sea"], "did you mean 'genres'"),
        (["--user", "u00", "--include", "Sea"], "genres=Comedy"),
    ],
)
def test_recommend_says_what_is_wrong(
    bowerbird: Bowerbird, store: Path, model: Path, arguments: list[str], says: str
) -> None:
    done = bowerbird("recommend", "--artifact", model, "--store", store, *arguments)
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.stderr.split()) and "Traceback" not in done.output


def test_similar(bowerbird: Bowerbird, store: Path, model: Path) -> None:
    done = bowerbird("similar", "--artifact", model, "--store", store, "--item", "f10", "-k", 4, "--json")
    answer = json.loads(done.stdout)
    assert len(answer["items"]) == 4 and "f10" not in [entry["item"]["id"] for entry in answer["items"]]
    unknown = bowerbird("similar", "--artifact", model, "--store", store, "--item", "f99")
    assert unknown.exit_code == 0 and "'f99' is unknown" in unknown.stderr


def test_a_model_of_other_data_is_refused(bowerbird: Bowerbird, model: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "other", 1000, seed=0)
    done = bowerbird("recommend", "--artifact", model, "--store", tmp_path / "other", "--user", "u00")
    assert done.exit_code == 2 and "was trained on 'two circles'" in done.stderr


def test_a_damaged_model_is_refused(bowerbird: Bowerbird, store: Path, model: Path, tmp_path: Path) -> None:
    import shutil

    broken = shutil.copytree(model, tmp_path / "broken")
    file = broken / "tensors.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    done = bowerbird("recommend", "--artifact", broken, "--store", store, "--user", "u00")
    assert done.exit_code == 2 and "tensors.safetensors" in done.stderr and "Traceback" not in done.output


def test_serve_opens_everything_and_says_where(
    bowerbird: Bowerbird, store: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bowerbird.serve.api import server

    served = []
    monkeypatch.setattr(
        server, "run", lambda engine, found, **_: served.append((engine.about, server.address(found)))
    )
    done = bowerbird("serve", "--artifact", model, "--store", store, "--port", 0)
    assert done.exit_code == 0, done.output
    about, address = served[0]
    assert (
        about.dataset == "two circles" and address.startswith("http://127.0.0.1:") and address in done.stderr
    )


@pytest.mark.processes
def test_a_served_model_answers_and_stops_when_asked(store: Path, model: Path) -> None:
    command = [
        Path(sys.executable).with_name("bowerbird"),
        "serve",
        "--artifact",
        model,
        "--store",
        store,
        "--port",
        "0",
        "--no-auth",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next(line for line in iter(process.stderr.readline, "") if "http://" in line)
            address = "http://" + said.split("http://")[1].split()[0]
            with urllib.request.urlopen(f"{address}v1/users/u00/history", timeout=60) as answer:
                assert json.load(answer)["total"] == 13
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_serve_says_when_the_port_is_taken(bowerbird: Bowerbird, store: Path, model: Path) -> None:
    from bowerbird.serve.api.server import listen

    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        done = bowerbird("serve", "--artifact", model, "--store", store, "--port", port)
    assert done.exit_code == 2 and f"127.0.0.1:{port}" in done.stderr and "--port" in done.stderr


def test_ledger(bowerbird: Bowerbird, tmp_path: Path) -> None:
    claim = {
        "id": "P1", "paper": "PinRec", "claim": "it finds things", "paper_number": "1", "test": "looked",
        "result": "found", "interval": "", "status": "reproduced",
    }  # fmt: skip
    (tmp_path / "one.json").write_text(json.dumps({"claims": [claim]}))
    stale = bowerbird("ledger", "--results", tmp_path, "--check")
    assert stale.exit_code == 2 and "bowerbird ledger" in stale.stderr
    assert bowerbird("ledger", "--results", tmp_path).exit_code == 0
    assert "it finds things" in (tmp_path / "ledger.md").read_text()
    assert bowerbird("ledger", "--results", tmp_path, "--check").exit_code == 0
    assert bowerbird("ledger", "--results", tmp_path / "none").exit_code == 2
