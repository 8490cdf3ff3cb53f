"""The server on a socket: keys by default, no request dropped when it stops, readiness before it does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from bowerbird.serve.api import Access, create_app
from bowerbird.serve.api.keys import KeyRing
from bowerbird.serve.api.server import AddressError, address, is_local, listen, run
from bowerbird.serve.engine import Engine

LONG = 20.0


def fetch(url: str, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=LONG) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@contextmanager
def running(app: Any) -> Iterator[str]:
    """The application on a free port, on a thread."""
    found = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [found]}, daemon=True)
    thread.start()
    ended = time.monotonic() + LONG
    while not server.started and thread.is_alive() and time.monotonic() < ended:
        time.sleep(0.01)
    yield address(found)
    server.should_exit = True
    thread.join(LONG)


@pytest.mark.parametrize("access", [None, Access()])
def test_without_keys_only_this_machine_is_served(engine: Engine, access: Access | None) -> None:
    with listen("0.0.0.0", 0) as found:
        assert not is_local(found)
        with pytest.raises(AddressError, match="needs keys"):
            run(engine, found, access=access)
    with listen("127.0.0.1", 0) as found:
        assert is_local(found)


def test_keys_and_ids_on_a_real_connection(engine: Engine) -> None:
    ring = KeyRing()
    key = ring.issue("x", ["read"])
    with running(create_app(engine, access=Access(ring))) as url:
        assert fetch(f"{url}v1/about")[0] == 401
        status, body = fetch(f"{url}v1/about", authorization=f"Bearer {key.text}", x_request_id="abc")
        assert status == 200 and body["dataset"] == "two circles"
        assert fetch(f"{url}v1/health")[0] == 200


# A stand-in for `bowerbird serve` with an engine that can be held in the middle of a request.
_PROGRAM = """
    import sys, threading
    from types import SimpleNamespace
    from bowerbird.serve.api.server import address, listen, run
    from bowerbird.serve.response import ItemCard

    class Engine:
        about = SimpleNamespace(release="r")
        def item(self, id):
            print("inside", flush=True)
            sys.stdin.readline()
            return ItemCard(id, "done")

    found = listen("127.0.0.1", 0)
    print(address(found), flush=True)
    run(Engine(), found, drain_s=float(sys.argv[1]))
    print("closed in order", flush=True)
"""


@pytest.mark.processes
@pytest.mark.parametrize("drain", [0.0, 3600.0])
def test_stopping_finishes_what_has_begun(drain: float) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_PROGRAM), str(drain)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None and process.stdout is not None
            url = process.stdout.readline().strip()
            answers: list[Any] = []
            asking = threading.Thread(target=lambda: answers.append(fetch(f"{url}v1/items/7")))
            asking.start()
            assert process.stdout.readline() == "inside\n"
            process.send_signal(signal.SIGTERM)
            if drain:
                ended = time.monotonic() + LONG
                while fetch(f"{url}v1/ready")[0] != 503 and time.monotonic() < ended:
                    time.sleep(0.02)
                status, body = fetch(f"{url}v1/ready")
                assert status == 503 and body["checks"]["accepting"] is False
                process.send_signal(signal.SIGTERM)  # the second one ends the drain
            process.stdin.write("\n")
            process.stdin.flush()
            asking.join(LONG)
            assert answers == [
                (200, {"id": "7", "title": "done", "categories": [], "facts": {}, "events": 0})
            ]
            assert process.stdout.read() == "closed in order\n" and process.wait(LONG) == 0
        finally:
            process.kill()


# --- the console in a browser

CHROMIUM = next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None
)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium installed")
def test_the_link_opens_the_console_and_leaves_no_key_in_the_address(engine: Engine) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    ring = KeyRing()
    key = ring.issue("console", ["read", "write"])
    with running(create_app(engine, access=Access(ring))) as url, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{url}console/")
        page.wait_for_selector("[role=alert]:has-text('needs a key')")
        page.goto(
            f"{url}console/#key={key.text}&user=u07"
        )  # the same page, only the part behind the # differs
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector("h2:has-text('For user u07')")
        assert key.secret not in page.url and "user=u07" in page.url
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert page.evaluate("Object.values(localStorage).join()").find(key.secret) == -1
        other = context.new_page()
        other.goto(f"{url}console/")
        other.wait_for_selector("[role=alert]:has-text('needs a key')")
        browser.close()
