"""Keys: made once, kept as hashes, checked whole, revoked at once."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.api.keys import ALL_SCOPES, Key, KeyFile, KeyFileError, KeyRing


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "deep" / "keys.json")


def test_a_key_spells_itself_and_hides_its_secret() -> None:
    key = Key.new()
    assert Key.parse(key.text) == key
    assert len(bytes.fromhex(key.secret)) == 32 and key != Key.new()
    record = key.record("shop", ["write", "read", "write"])
    assert record.scopes == ("read", "write")
    for shown in (repr(key), str(key), f"{key}", repr(record), repr([record])):
        assert key.secret not in shown and key.digest.hex() not in shown and repr(key.digest) not in shown


@pytest.mark.parametrize(
    "text",
    ["", "bb__", "bb_abcd_", "bb_abcd_" + "0" * 63, "bb_abcd_" + "0" * 65, "bb_abcd_" + "G" * 64, "xx_abcd_" + "0" * 64,
     "bb_ab_cd_" + "0" * 64, "bb_abcd_" + "0" * 64 + "\n", " bb_abcd_" + "0" * 64, "bb_abcd_" + "\u0660" * 64],
)  # fmt: skip
def test_what_is_no_key(text: str) -> None:
    assert Key.parse(text) is None and KeyRing().check(text) is None


def test_the_file_has_hashes_and_is_the_owners_alone(file: KeyFile) -> None:
    assert not file.exists() and file.read() == []
    before = os.umask(0)  # the most careless of umasks
    try:
        keys = [file.create("shop", ["read"]), file.create("Großer Laden", ALL_SCOPES)]
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    content = file.path.read_text()
    assert all(key.secret not in content for key in keys)
    assert [entry["sha256"] for entry in json.loads(content)["keys"]] == [key.digest.hex() for key in keys]
    assert [(record.id, record.name, record.scopes) for record in file.read()] == [
        (keys[0].id, "shop", ("read",)), (keys[1].id, "Großer Laden", ALL_SCOPES),
    ]  # fmt: skip
    assert not list(file.path.parent.glob(".writing-*"))


def test_a_running_ring_follows_the_file(file: KeyFile) -> None:
    ring = KeyRing(file)
    first = file.create("first", ["read"])
    found = ring.check(first.text)
    assert found is not None and found.id == first.id and found.scopes == ("read",)
    second = file.create("second", ["write"])
    assert ring.check(second.text) and ring.check(first.text)
    assert file.revoke(first.id).name == "first"
    assert ring.check(first.text) is None and ring.check(second.text)
    issued = ring.issue("console", ["read"])
    file.path.unlink()
    assert ring.check(second.text) is None, "no file, no keys"
    assert ring.check(issued.text), "those in memory go on"
    assert KeyRing(file).check(issued.text) is None, "and end with their server"


def test_every_digit_of_the_secret_counts(file: KeyFile) -> None:
    key = file.create("x", ["read"])
    other = file.create("y", ["read"])
    ring = KeyRing(file)
    for place in range(64):
        wrong = list(key.secret)
        wrong[place] = "0" if wrong[place] != "0" else "1"
        assert ring.check(Key(key.id, "".join(wrong)).text) is None
    assert ring.check(Key(other.id, key.secret).text) is None, (
        "the secret of one is not the secret of another"
    )
    assert ring.check(Key("nobody", key.secret).text) is None
    assert ring.check(Key("nobody", "0" * 64).text) is None
    assert ring.check(Key(key.id, key.digest.hex()).text) is None, "what is kept opens nothing"


@given(st.text(max_size=90))
def test_no_text_opens_an_empty_ring(text: str) -> None:
    assert KeyRing().check(text) is None


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return real(a, b)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    ring = KeyRing()
    key = ring.issue("x", ["read"])
    assert ring.check(key.text) and ring.check(Key("nobody", key.secret).text) is None
    assert [len(b) for _, b in compared] == [32, 32], "an unknown id is compared all the same"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"kind": "api keys"}', '{"kind": "x", "format": 1, "keys": []}',
     '{"kind": "api keys", "format": 2, "keys": []}', '{"kind": "api keys", "format": 1, "keys": [{}]}',
     '{"kind": "api keys", "format": 1, "keys": [{"id": "a", "name": "a", "scopes": ["read"], "created": 1, '
     '"sha256": "00"}]}',
     '{"kind": "api keys", "format": 1, "keys": [{"id": "a", "name": "a", "scopes": ["root"], "created": 1, '
     '"sha256": "' + "00" * 32 + '"}]}', "\udcff"],
)  # fmt: skip
def test_a_damaged_file_opens_nothing(file: KeyFile, content: str, caplog: pytest.LogCaptureFixture) -> None:
    key = file.create("x", ["read"])
    ring = KeyRing(file)
    assert ring.check(key.text)
    file.path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert ring.check(key.text) is None and ring.check(key.text) is None
    assert len(caplog.records) == 1 and "no key is accepted" in caplog.text and key.secret not in caplog.text
    with pytest.raises(KeyFileError, match="bowerbird keys create"):
        file.create("y", ["read"])


def test_a_file_others_can_change_opens_nothing(file: KeyFile) -> None:
    key = file.create("x", ["read"])
    file.path.chmod(0o620)
    with pytest.raises(KeyFileError, match="chmod 600"):
        file.read()
    assert KeyRing(file).check(key.text) is None
    file.path.chmod(0o600)
    assert KeyRing(file).check(key.text)


@pytest.mark.parametrize("name", ["", "x" * 81, "two\nlines", "\x1b[2J"])
def test_bad_names(file: KeyFile, name: str) -> None:
    with pytest.raises(KeyFileError, match="name"):
        file.create(name, ["read"])


def test_bad_scopes_and_ids(file: KeyFile, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="did you mean 'read'"):
        file.create("x", ["raed"])  # type: ignore[list-item]
    with pytest.raises(KeyFileError, match="at least one scope"):
        file.create("x", [])
    key = file.create("x", ["read"])
    with pytest.raises(KeyFileError, match="no key with the id 'nobody'"):
        file.revoke("nobody")
    with pytest.raises(KeyFileError, match="give the id alone") as refused:
        file.revoke(key.text)
    assert key.secret not in str(refused.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="--keys"):
        KeyFile(tmp_path / "file" / "keys.json").create("x", ["read"])


def test_writers_take_turns(file: KeyFile) -> None:
    made: list[Key] = []
    refused: list[KeyFileError] = []

    def make() -> None:
        for n in range(5):
            try:
                made.append(file.create(f"key {n}", ["read"]))
            except KeyFileError as error:
                refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) + len(refused) == 20 and made
    assert {record.id for record in file.read()} == {key.id for key in made}, (
        "none that was handed out is lost"
    )
    assert all("another process" in str(error) for error in refused)
