"""The console in a real browser: what a visitor does, and what they should see.

Skipped where no Chromium is installed. With BOWERBIRD_SCREENSHOT=docs/images/console.png the page is photographed; with
BOWERBIRD_URL=http://127.0.0.1:8000/ the photograph is taken of a server that is already running (`make demo`).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serve import pages
from serve.pages import cards, in_a_browser, pick_user

browser, live, page, url = pages.browser, pages.live, pages.page, pages.url
pytestmark = in_a_browser


def test_pick_a_user_weigh_outcomes_and_look_at_an_item(page) -> None:  # type: ignore[no-untyped-def]
    pick_user(page, "u07")
    assert page.locator("#history .row").count() == 13, "the whole history, hidden items included"
    assert page.locator("#history .row.dim").count() == 1
    before = cards(page)
    assert len(before) == 24

    slider = page.get_by_role("slider", name="Weight of save")
    with page.expect_response("**/v1/recommendations") as answered:
        page.get_by_role("button", name="save", exact=True).click()
    assert answered.value.request.post_data_json["outcomes"] == {"save": 100}
    page.wait_for_selector(".move")
    assert cards(page) != before
    assert page.locator(".why b").first.text_content() == "save"

    with page.expect_response("**/v1/recommendations") as answered:
        slider.focus()
        page.keyboard.press("ArrowLeft")
        page.get_by_role("slider", name="Weight of click").fill("50")
    assert set(answered.value.request.post_data_json["outcomes"]) == {"save", "click"}
    assert "w.click=50" in page.url, "the address says what is shown"

    page.locator(".card").nth(2).click()
    chosen = cards(page)[2]
    page.wait_for_selector("#drawer .row")
    assert page.locator("#drawer .facts").get_by_text(f"id {chosen}").count() == 1
    assert page.locator("#drawer .row").count() == 12
    first = page.locator("#drawer .row .title").first.text_content()
    page.locator("#drawer .row").first.click()
    page.wait_for_selector(f"#drawer h2:has-text('{first}')")
    page.get_by_role("button", name="Back").click()
    page.wait_for_selector(f"#drawer .facts:has-text('id {chosen}')")
    page.keyboard.press("Escape")
    assert page.locator("#drawer").is_hidden()


def test_build_a_history_by_hand(page) -> None:  # type: ignore[no-untyped-def]
    page.keyboard.press("b")
    page.keyboard.type("town 31")
    page.wait_for_selector(".option:has-text('Town 31')")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2:has-text('For your history')")
    assert page.locator("#history select").count() == 1
    with page.expect_response("**/v1/recommendations") as answered:
        page.locator("#history select").select_option("save")
    sent = answered.value.request.post_data_json
    assert sent["history"][0]["action"] == "save" and "user" not in sent
    page.reload()
    page.wait_for_selector("h2:has-text('For your history')")
    assert page.locator("#history select").count() == 1, "a reloaded page shows the same history"
    page.get_by_role("button", name="Clear").click()
    page.wait_for_selector("h2:has-text('Popular now')")
    assert page.locator(".banner").count() >= 1, "and says why"


def test_a_copy_of_a_history_can_be_changed(page) -> None:  # type: ignore[no-untyped-def]
    pick_user(page, "u02")
    page.locator(".card").first.click()
    page.get_by_role("button", name="What if they liked this?").click()
    page.wait_for_selector("h2:has-text('For your history')")
    assert page.locator("#history select").count() == 13, "twelve positive events and the new one"


def test_filters_take_three_turns(page) -> None:  # type: ignore[no-untyped-def]
    pick_user(page, "u01")
    chip = page.get_by_role("button", name="Sea", exact=True)
    for filters in ({"include": {"genres": ["Sea"]}}, {"exclude": {"genres": ["Sea"]}}, {}):
        with page.expect_response("**/v1/recommendations") as answered:
            chip.click()
        assert answered.value.request.post_data_json["filters"] == filters


def test_the_keyboard_is_enough(page) -> None:  # type: ignore[no-untyped-def]
    pick_user(page, "u04")
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.dataset.item")
    assert focused in cards(page) and cards(page).index(focused) >= 2
    page.keyboard.press("Enter")
    page.wait_for_selector("#drawer .row")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.item") == focused, "the cursor comes back"
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    theme = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
    page.keyboard.press("t")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") != theme


def test_titles_are_text_whatever_they_hold(page, url: str) -> None:  # type: ignore[no-untyped-def]
    card = {
        "id": "<i>",
        "title": "<img src=x onerror=alert(1)>",
        "categories": ["<b>"],
        "facts": {},
        "events": 1,
    }
    why = {"stage": "model", "outcome": "any", "step": 1, "offset": "now"}
    body = {
        "items": [{"rank": 1, "item": card, "score": 1.0, "why": why}], "notes": [], "stage": "model", "shares": [],
        "history_used": 1, "timings_ms": {"total": 1.0}, "release": "x",
    }  # fmt: skip
    page.route("**/v1/recommendations", lambda route: route.fulfill(json=body))
    pick_user(page, "u03")
    assert page.locator(".card h3").text_content() == card["title"]
    assert page.locator(".card img, .card i:not(.bar i), .card b:not(.why b)").count() == 0


def test_a_server_that_is_gone_is_told_and_can_be_tried_again(page) -> None:  # type: ignore[no-untyped-def]
    pick_user(page, "u05")
    page.route("**/v1/recommendations", lambda route: route.fulfill(status=500, json={"errors": [
        {"code": "internal", "field": None, "message": "something went wrong here"}]}))  # fmt: skip
    page.get_by_role("button", name="click", exact=True).click()
    page.wait_for_selector(".banner.error:has-text('something went wrong here')")
    assert len(cards(page)) == 24, "the last answer stays"
    page.unroute("**/v1/recommendations")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".banner.error", state="detached")


@pytest.mark.parametrize("width", [320, 390, 780, 1024])
def test_nothing_runs_out_of_the_page(browser, url: str, width: int) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(viewport={"width": width, "height": 800}, has_touch=width < 800)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".card .tile")
    page.locator(".card").first.click()
    page.wait_for_selector("#drawer .row")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#drawer").bounding_box()["width"] <= width
    context.close()


@pytest.mark.skipif("BOWERBIRD_SCREENSHOT" not in os.environ, reason="no photograph asked for")
def test_photograph(browser, live: str) -> None:  # type: ignore[no-untyped-def]
    target = Path(os.environ["BOWERBIRD_SCREENSHOT"])
    target.parent.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1440, "height": 900}, device_scale_factor=1.5)
    page = context.new_page()
    page.goto(os.environ.get("BOWERBIRD_URL", f"{live}console/#user=u26"))
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector(".card .tile")
    if page.locator("button.act").count() > 4:  # a live event, of a server that takes some
        page.locator("button.act").nth(4).click()
        page.wait_for_selector(".changes.event")
    page.locator(".card").nth(1).click()
    page.wait_for_selector("#drawer .looked, #drawer .looked-list p")
    page.wait_for_selector("#drawer .row")
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(600)  # the cards glide to their places
    page.screenshot(path=target)
    context.close()
