"""What was searched and where an answer is shown, said on the console in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bowerbird.serve.api import create_app
from bowerbird.serve.engine import Engine
from serve import pages, searches
from serve.models import generator
from serve.pages import in_a_browser, serving, titles, visit

browser, live = pages.browser, pages.live
pytestmark = in_a_browser


@pytest.fixture(scope="module")
def searching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose model reads queries."""
    store = searches.build(tmp_path_factory.mktemp("searching"))
    with serving(create_app(Engine(store, generator(store, mentions=("query",))))) as found:
        yield found


def test_a_search_is_typed_and_answered(browser: Any, searching: str) -> None:
    with visit(browser, searching, "#user=u02") as page:
        before = titles(page)
        field, surface = page.get_by_label("Searched for"), page.get_by_label("Surface")
        page.keyboard.press("q")
        with page.expect_response("**/v1/recommendations") as answered:
            page.keyboard.type("in town")
        body = answered.value.request.post_data_json
        assert (body["query"], body["surface"]) == ("in town", "search"), "where searches are made"
        page.wait_for_function(
            "before => [...document.querySelectorAll('.entry h3')].map(e => e.textContent).join() !== before",
            arg=",".join(before),
        )
        page.reload()
        page.wait_for_selector(".card .tile")
        assert field.input_value() == "in town", "the address holds it"
        with page.expect_response("**/v1/recommendations") as answered:
            surface.select_option("home")
        assert answered.value.request.post_data_json["surface"] == "home"
        with page.expect_response("**/v1/recommendations") as answered:
            field.fill("")
        assert "query" not in answered.value.request.post_data_json


def test_a_model_that_reads_no_queries_offers_none(browser: Any, live: str) -> None:
    with visit(browser, live, "#user=u02&query=lost") as page:
        assert page.get_by_label("Searched for").count() == 0
