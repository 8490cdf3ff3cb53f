"""`bowerbird keys`, and what `bowerbird serve` shows and refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from bowerbird.cli.commands import serving
from bowerbird.cli.commands.serving import Door, House, open_page
from bowerbird.cli.main import app
from bowerbird.serve.api import server
from bowerbird.serve.api.keys import ALL_SCOPES, Key, KeyFile
from bowerbird.serve.engine import Engine
from bowerbird.serve.service import Service


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOWERBIRD_KEYS", raising=False)


@pytest.fixture
def keys(tmp_path: Path):  # type: ignore[no-untyped-def]
    store = tmp_path / "store"

    def call(*words: Any) -> Result:
        return CliRunner().invoke(app, ["keys", *map(str, words), "--store", str(store)])

    return call


def test_make_list_revoke(keys, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = keys("create", "--name", "shop", "--scope", "read", "--scope", "write")
    assert made.exit_code == 0
    key = Key.parse(made.stdout.strip())
    assert key is not None and key.secret not in made.stderr and key.id in made.stderr
    file = KeyFile(tmp_path / "keys.json")
    assert file.read()[0].digest == key.digest and file.read()[0].scopes == ("read", "write")
    assert Key.parse(keys("create").stdout.strip()) is not None
    assert file.read()[1].scopes == ("read",), "the least by default"

    listed = keys("list", "--json")
    assert [entry["name"] for entry in json.loads(listed.stdout)] == ["shop", "unnamed"]
    table = keys("list").stdout
    assert key.id in table and "shop" in table
    for said in (listed.output, table):
        assert key.secret not in said and key.digest.hex() not in said

    assert keys("revoke", key.id).exit_code == 0
    assert [record.name for record in file.read()] == ["unnamed"]
    again = keys("revoke", key.text)
    assert again.exit_code == 2 and "give the id alone" in again.output and key.secret not in again.output


def test_mistakes_are_told(keys, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    wrong = keys("create", "--scope", "wirte")
    assert wrong.exit_code == 2 and "did you mean 'write'" in wrong.stderr
    (tmp_path / "keys.json").write_text("{")
    damaged = keys("list")
    assert damaged.exit_code == 2 and "damaged" in damaged.stderr and "Traceback" not in damaged.output


# --- serve


@pytest.fixture
def serve(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    served: list[dict[str, Any]] = []
    said: list[str] = []
    monkeypatch.setattr(server, "run", lambda engine, found, **options: served.append(options))
    monkeypatch.setattr(Service, "open", lambda store, **_: Service(engine))
    monkeypatch.setattr(Engine, "close", lambda self: None)  # the engine is every test's
    monkeypatch.setattr(Engine, "start_batching", lambda self, **_: None)
    monkeypatch.setattr(serving, "say", said.append)

    def call(*, terminal: bool, host: str = "127.0.0.1", **door: Any) -> tuple[dict[str, Any], str]:
        said.clear()
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
        open_page(House(tmp_path / "store", tmp_path / "model"), host, 0, Door(**door))
        return served[-1], "\n".join(said)

    return call


def test_the_first_start_makes_a_key_and_shows_it_once(serve, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    options, said = serve(terminal=True)
    record = KeyFile(tmp_path / "keys.json").read()[0]
    assert record.scopes == ALL_SCOPES
    shown = [key for key in map(Key.parse, said.replace("#key=", " ").split()) if key is not None]
    assert len(shown) == 2, "the key of the API, and that of the page"
    ring = options["access"].keys
    found = [ring.check(key.text) for key in shown]
    assert found[0].id == record.id and found[1].scopes == ("read", "write"), "the page changes no release"
    assert f"console/#key={shown[1].text}" in said

    options, said = serve(terminal=True)
    again = [key for key in map(Key.parse, said.replace("#key=", " ").split()) if key is not None]
    assert len(again) == 1 and again[0] != shown[1]
    assert options["access"].keys.check(shown[0].text), "the key of the API is the same"
    assert options["access"].keys.check(shown[1].text) is None, "the link of the page has ended"


def test_where_nobody_looks_no_secret_is_shown(serve, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    options, said = serve(terminal=False)
    assert "bb_" not in said and "bowerbird keys create --keys" in said
    assert not (tmp_path / "keys.json").exists()
    key = KeyFile(tmp_path / "keys.json").create("made later", ["read"])
    assert options["access"].keys.check(key.text), "a running server takes it"


def test_no_auth_is_for_this_machine_alone(serve) -> None:  # type: ignore[no-untyped-def]
    options, said = serve(terminal=True, open=True)
    assert options["access"].keys is None and "bb_" not in said
    with pytest.raises(server.AddressError, match=r"--no-auth on 0\.0\.0\.0"):
        serve(terminal=True, host="0.0.0.0", open=True)
    options, said = serve(terminal=True, host="0.0.0.0")
    assert options["access"].keys is not None and "TLS proxy" in said


def test_options_arrive(serve, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = KeyFile(tmp_path / "elsewhere" / "k.json")
    key = file.create("x", ["read"])
    options, _ = serve(terminal=False, keys=file.path, rate=1.0, timeout=3.0, drain=4.0, access_log=True)
    assert options["access"].keys.check(key.text)
    assert [options["access"].per_key.take("x") > 0 for _ in range(3)] == [False, False, True]
    assert options["load"].timeout_s == 3.0 and options["drain_s"] == 4.0 and options["access_log"] is True


def test_a_damaged_key_file_stops_the_start(serve, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from bowerbird.serve.api.keys import KeyFileError

    (tmp_path / "keys.json").write_text("[]")
    with pytest.raises(KeyFileError, match="damaged"):
        serve(terminal=True)
