"""No secret in anything the server says: logs at every level, streams, answers, errors, documents."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bowerbird.serve.api import Access, create_app
from bowerbird.serve.api.keys import Key, KeyFile, KeyFileError, KeyRing
from bowerbird.serve.engine import Engine
from bowerbird.serve.traffic import Rates
from serve.api.fakes import MemoryReleases, MemorySink


class Everything(logging.Handler):
    """Keeps all there is in every record of every logger, formatted with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("httpx"):  # the client of this test, not the server
            return
        self.said += [self.format(record), repr(record.__dict__)]


@pytest.fixture
def everything():  # type: ignore[no-untyped-def]
    root, handler = logging.getLogger(), Everything()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_session_with_good_and_bad_keys_says_no_secret(
    engine: Engine, tmp_path: Path, everything: Everything, capfd: pytest.CaptureFixture[str]
) -> None:
    file = KeyFile(tmp_path / "keys.json")
    ring = KeyRing(file)
    good = [file.create(scope, [scope]) for scope in ("read", "write", "admin")]  # type: ignore[list-item]
    issued, revoked, unknown = (
        ring.issue("console", ["read", "write"]),
        file.create("old", ["read"]),
        Key.new(),
    )
    file.revoke(revoked.id)
    keys = [*good, issued, revoked, unknown]

    class Fails:
        """An engine that fails with what it was given."""

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def similar(self, item: str, k: int) -> Any:
            raise RuntimeError("fails here")

    sink = MemorySink()
    access = Access(ring, per_key=Rates(0.01, 12), attempts=Rates(0.01, 30))
    app = create_app(Fails(), access=access, events=sink, releases=MemoryReleases())  # type: ignore[arg-type]
    bodies: list[str] = []
    statuses: set[int] = set()
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        for key in keys:
            headers = {"authorization": f"Bearer {key.text}"}
            event = {"event_id": "e", "user": "u00", "item": "f01", "time": 1_700_000_000_000}
            for method, path, body in (
                ("GET", "/v1/about", None),
                ("GET", "/v1/similar/f01", None),
                ("POST", "/v1/recommendations", {"user": "u00"}),
                ("POST", "/v1/recommendations", {"user": 1.5}),
                ("POST", "/v1/events", {"events": [event]}),
                ("POST", "/v1/admin/rollback", None),
                ("GET", "/v1/metrics", None),
                ("GET", "/v1/release", None),
                ("GET", "/v1/ready", None),
            ):
                answer = client.request(method, path, json=body, headers=headers)
                statuses.add(answer.status_code)
                bodies.append(answer.text + repr(answer.headers))
            # By mistake in other places: half a key, another scheme, the address, the request id, the host.
            for mistake in (
                {"authorization": key.text},
                {"authorization": f"Basic {key.text}"},
                {"authorization": f"Bearer {key.text}x"},
                {"authorization": f"Bearer {key.secret}"},
                {"x-api-key": key.text},
                {"host": f"{key.secret}.example"},
            ):
                bodies.append(client.get("/v1/about", headers=mistake).text)
            bodies.append(client.get(f"/v1/about?key={key.text}", headers=headers).text)
        bodies.append(client.get("/openapi.json").text)
    assert {200, 401, 403, 422, 429, 500} <= statuses, (
        f"the session should meet every kind of answer: {statuses}"
    )
    out, err = capfd.readouterr()
    logged = "\n".join(
        text for text in everything.said if "/v1/about?key=" not in text
    )  # the test's own client
    assert "fails here" in logged and "key=" + good[0].id in logged, "it was listening"
    for said in (logged, out, err, *bodies):
        for key in keys:
            assert key.secret not in said and key.digest.hex() not in said
            assert repr(key.digest) not in said


def test_keys_as_request_ids_are_not_taken_over(engine: Engine) -> None:
    key = Key.new()
    client = TestClient(create_app(engine), base_url="http://localhost")
    assert (
        key.text not in client.get("/v1/health", headers={"x-request-id": key.text}).headers["x-request-id"]
    )


def test_the_document_has_no_example_key(engine: Engine) -> None:
    ring = KeyRing()
    ring.issue("x", ["read"])
    text = json.dumps(create_app(engine, access=Access(ring)).openapi())
    assert "bb_" not in text and "Bearer bb" not in text


def test_errors_of_the_file_have_no_secret(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key = file.create("x", ["read"])
    mistakes = [
        lambda: file.revoke(key.text),
        lambda: file.create("x", [key.text]),  # type: ignore[list-item]
        lambda: KeyFile(tmp_path / "keys.json" / "x").create("x", ["read"]),
    ]
    for broken in mistakes:
        with pytest.raises(KeyFileError) as raised:
            broken()
        assert key.secret not in str(raised.value)
