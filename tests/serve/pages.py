"""A browser for tests, servers for it to visit, and what is read off their pages. A test module takes over the fixtures
that it needs by name."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bowerbird.serve.api import Metrics, create_app
from bowerbird.serve.api.server import address, listen
from bowerbird.serve.engine import Engine
from bowerbird.serve.service import Service
from serve import showroom

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu", "--disable-dev-shm-usage"]

in_a_browser = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium installed")]
"""Marks of a module whose tests need one."""


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serves an application from a thread; gives its address."""
    import uvicorn

    found = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [found]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield address(found)
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    """A server whose model does not rank, and which takes no events."""
    with serving(create_app(engine)) as found:
        yield found


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a trained model that ranks, and a history that takes events. Tests use a user each."""
    folder = tmp_path_factory.mktemp("showroom")
    artifact = showroom.fitted(showroom.build(folder / "store"), folder / "model")
    metrics = Metrics()
    service = Service.open(
        folder / "store",
        artifact=artifact,
        history=folder / "online.sqlite",
        observer=metrics.batcher("model"),
    )
    try:
        with serving(create_app(service, events=service, metrics=metrics)) as found:
            yield found
    finally:
        service.close()


@pytest.fixture(scope="module")
def browser():  # type: ignore[no-untyped-def]
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def visit(browser: Any, url: str, fragment: str = "", **options: Any) -> Iterator[Any]:
    """A visitor's page; whatever goes wrong in it fails the test."""
    settings = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **options}
    context = browser.new_context(**settings)
    found = context.new_page()
    found.set_default_timeout(15_000)
    troubles: list[str] = []
    found.on("pageerror", lambda error: troubles.append(str(error)))
    found.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    found.on(
        "request", lambda asked: None if asked.url.startswith(url) else troubles.append(f"asked {asked.url}")
    )
    found.goto(f"{url}console/{fragment}" if fragment else url)
    found.wait_for_selector("body[data-ready]")
    found.wait_for_selector(".card .tile", state="attached")
    yield found
    context.close()
    troubles = [
        text for text in troubles if "status of 500" not in text
    ]  # tests of failures ask for exactly that
    assert troubles == [], "no script error, no refused resource, nothing loaded from elsewhere"


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    with visit(browser, url) as found:
        yield found


def cards(page) -> list[str]:  # type: ignore[no-untyped-def]
    return page.eval_on_selector_all(".card", "nodes => nodes.map(node => node.dataset.item)")


def pick_user(page, user: str) -> None:  # type: ignore[no-untyped-def]
    page.keyboard.press("/")
    page.keyboard.type(user)
    page.wait_for_selector(f".option:has-text('{user}')")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"h2:has-text('For user {user}')")


def titles(page) -> list[str]:  # type: ignore[no-untyped-def]
    return page.locator(".card h3").all_text_contents()


def rows(page) -> int:  # type: ignore[no-untyped-def]
    return page.locator("#history .row").count()
