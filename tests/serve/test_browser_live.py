"""The console of a model that ranks, with live events and the traffic view, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from serve import pages
from serve.pages import cards, in_a_browser, rows, titles, visit

browser, live, page, url = pages.browser, pages.live, pages.page, pages.url
pytestmark = in_a_browser


def test_an_action_is_posted_and_changes_the_next_answer(browser: Any, live: str) -> None:
    with visit(browser, live, "#user=u12") as page:
        before, events = titles(page), rows(page)
        item = cards(page)[0]
        first = page.locator(".act[data-action=save]").first
        assert first.get_attribute("aria-label").startswith(f"Record save on {before[0]}, ")
        with page.expect_response("**/v1/events") as posted, page.expect_response("**/v1/recommendations"):
            first.click()
        sent = posted.value.request.post_data_json["events"][0]
        assert (sent["user"], sent["item"], sent["actions"]) == ("u12", item, ["save"])
        assert posted.value.json()["accepted"] == 1
        page.wait_for_selector(f".changes.event:has-text('Recorded save on {before[0]}')")
        after = titles(page)
        assert before[0] not in after, "what was just met is not shown again"
        fresh, gone = set(after) - set(before), set(before) - set(after)
        assert set(page.locator(".entry.fresh h3").all_text_contents()) == fresh
        assert page.locator(".entry.fresh .move.new").count() == len(fresh) > 0, "said in words, too"
        moved = sum(title in before and before.index(title) != place for place, title in enumerate(after))
        assert page.locator(".move.up, .move.down").count() == moved > 0
        assert page.locator(".changes .gone s").all_text_contents() == [t for t in before if t in gone]
        said = page.locator("#spoken").text_content()
        assert f"{len(fresh)} new, {moved} moved, {len(gone)} gone" in said and "Recorded save" in said
        page.wait_for_selector("#history .row.fresh:has-text('just now')")
        assert rows(page) == events + 1 and before[0] in page.locator("#history .row").first.text_content()
        page.reload()
        page.wait_for_selector(".card .tile")
        assert titles(page) == after, "it was no trick of the page"


def test_an_event_that_cannot_be_kept_is_told_and_nothing_pretends(browser: Any, live: str) -> None:
    with visit(browser, live, "#user=u13") as page:
        before, events = titles(page), rows(page)
        body = {"errors": [{"code": "internal", "field": None, "message": "the disk is full"}]}
        page.route("**/v1/events", lambda route: route.fulfill(status=500, json=body))
        page.locator(".act").first.click()
        page.wait_for_selector(".banner.error:has-text('the disk is full')")
        assert titles(page) == before and rows(page) == events and page.locator(".changes.event").count() == 0
        page.unroute("**/v1/events")
        page.locator(".act").first.click()
        page.wait_for_selector(".changes.event")
        assert page.locator(".banner.error").count() == 0


def test_everything_about_an_item_is_there_by_keyboard(browser: Any, live: str) -> None:
    with visit(browser, live, "#user=u14") as page:
        assert page.locator(".why").first.text_content().endswith("ranked by worth")
        page.keyboard.press("r")
        chosen = titles(page)[0]
        with page.expect_response(
            lambda answer: (
                answer.url.endswith("/v1/recommendations") and answer.request.post_data_json.get("explain")
            )
        ) as explained:
            page.keyboard.press("Enter")
        page.wait_for_selector("#drawer .looked")
        looked = explained.value.json()["items"][0]["looked_at"]
        assert page.locator("#drawer h2").text_content() == chosen
        assert page.locator("#drawer .looked .title").all_text_contents() == [
            e["item"]["title"] for e in looked
        ]
        assert f"{looked[0]['weight'] * 100:.0f} %" in page.locator("#drawer .looked").first.text_content()
        own = explained.value.json()["items"][0]
        score = sum(
            own["probabilities"][name] * worth for name, worth in explained.value.json()["values"].items()
        )
        shown = page.locator("#drawer .sum tfoot td").text_content().replace("\u2212", "-")
        assert float(shown) == pytest.approx(score, abs=0.006), "probability times worth, summed"
        assert page.evaluate("document.activeElement.id") == "drawer", "the cursor goes along"
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.querySelector('h3').textContent") == chosen
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.action") == "click", "its actions come next"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector(f".changes.event:has-text('Recorded save on {chosen}')")
        assert page.evaluate("document.activeElement.dataset.action") == "save", (
            "the cursor stays at its place"
        )


def test_worth_decides_the_order_and_outcomes_what_is_found(browser: Any, live: str) -> None:
    with visit(browser, live, "#user=u16") as page:
        before = titles(page)
        with page.expect_response("**/v1/recommendations") as answered:
            page.get_by_role("slider", name="Worth of click").fill("0")
        sent = answered.value.request.post_data_json
        assert sent["values"]["click"] == 0 and sent["values"]["save"] > 0 > sent["values"]["hide"]
        page.wait_for_selector(".move")
        assert titles(page) != before
        with page.expect_response("**/v1/recommendations") as answered:
            page.get_by_role("slider", name="Worth of save").fill("0")
        page.wait_for_selector("#drawer", state="hidden")
        items = answered.value.json()["items"]
        hide = [entry["probabilities"]["hide"] for entry in items]
        assert hide == sorted(hide), "only not being hidden counts"
        page.wait_for_function(
            "ids => [...document.querySelectorAll('.card')].every((card, i) => card.dataset.item === ids[i])",
            arg=[entry["item"]["id"] for entry in items],
        )
        slider = page.get_by_role("slider", name="Worth of hide")
        assert slider.get_attribute("aria-valuetext") == "against an item, as much as usual"
        with page.expect_response("**/v1/recommendations"):
            slider.fill("0")
        assert slider.input_value() == "0.25", "something has to count"
        assert "v.click=0" in page.url
        with page.expect_response("**/v1/recommendations") as answered:
            page.get_by_role("button", name="Reset worths").click()
        assert "values" not in answered.value.request.post_data_json, "as usual needs no asking"
        page.wait_for_function(
            "title => document.querySelector('.card h3').textContent === title", arg=before[0]
        )
        assert titles(page) == before


def test_a_history_is_built_by_the_same_buttons_without_posting(browser: Any, live: str) -> None:
    with visit(browser, live) as page:
        posted: list[str] = []
        page.on(
            "request", lambda asked: posted.append(asked.url) if asked.url.endswith("/v1/events") else None
        )
        page.get_by_role("button", name="Build a history").click()
        page.wait_for_selector("h2:has-text('Popular now')")
        first = titles(page)[0]
        page.get_by_role("button", name=f"Add to the history as save: {first}").first.click()
        page.wait_for_selector("h2:has-text('For your history')")
        assert page.locator("#history select").input_value() == "save" and posted == []


def test_a_hundred_items_and_every_note(browser: Any, live: str) -> None:
    with visit(browser, live, "#user=u18&k=100") as page:
        assert 24 < len(cards(page)) < 61
        assert page.locator(".banner[data-code=fewer_items]").is_visible()
        popular = page.locator(".entry", has_text="recently popular")
        assert popular.count() == 0 or popular.first.locator(".number", has_text="%").count() == 0


def test_a_model_that_does_not_rank_and_a_server_without_events(page) -> None:  # type: ignore[no-untyped-def]
    assert page.locator("#worth").is_hidden() and page.locator(".acts").count() == 0
    page.keyboard.press("v")
    page.wait_for_selector("#traffic:has-text('This server takes no events.')")
    assert page.locator("#traffic", has_text="This model keeps none.").count() == 1


def test_the_traffic_view_shows_what_happened_and_rests_when_hidden(browser: Any, live: str) -> None:
    with visit(browser, live, "#user=u20") as page:
        page.keyboard.press("v")
        page.wait_for_selector(".histogram .column")
        assert page.locator("#page").is_hidden() and "view=traffic" in page.url
        told = page.evaluate("() => fetch('/v1/traffic').then((answer) => answer.json())")
        asked = {one["route"]: one for one in told["total"]["routes"]}
        assert asked["/v1/recommendations"]["requests"] >= 1
        table = page.locator("#traffic section[aria-label=Routes] tbody")
        assert set(table.locator("th").all_text_contents()) == set(asked)
        shown = page.locator(".histogram title").all_text_contents()
        held = [
            bucket["requests"] for bucket in asked["/v1/recommendations"]["buckets"] if bucket["requests"]
        ]
        assert [int(text.split(": ")[1]) for text in shown] == held
        assert "half within" in page.locator(".histogram").get_attribute("aria-label")
        for word in ("encode", "rank", "in between"):
            assert page.locator("section[aria-label='Time by stage'] th", has_text=word).count() == 1, word
        assert told["serving"] in page.locator("section[aria-label=Release]").text_content()
        assert page.locator("section[aria-label='Memory for histories']", has_text="misses").count() == 1
        page.get_by_role("button", name="Last minute").click()
        page.get_by_role("combobox", name="Route").select_option("/v1/about")
        page.wait_for_selector(".histogram")
        page.get_by_role("tab", name="Traffic").focus()
        page.keyboard.press("ArrowLeft")
        assert page.locator("#traffic").is_hidden() and page.locator("#page").is_visible()
        assert page.get_by_role("tab", name="Answers").get_attribute("aria-selected") == "true"


def test_the_traffic_view_looks_again_only_while_it_is_on_show(browser: Any, live: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    looks: list[str] = []
    page.on("request", lambda asked: looks.append(asked.url) if asked.url.endswith("/v1/traffic") else None)
    page.clock.install()
    page.goto(f"{live}console/#view=traffic")
    page.wait_for_selector(".histogram .column")
    assert len(looks) == 1
    with page.expect_response("**/v1/traffic"):
        page.clock.run_for(3_100)
    assert len(looks) == 2
    page.get_by_role("tab", name="Answers").click()
    page.clock.run_for(30_000)
    page.evaluate(
        "() => fetch('/v1/health').then((answer) => answer.json())"
    )  # whatever was under way is through
    assert len(looks) == 2
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser: Any, live: str, scheme: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "color_scheme": scheme}
    with visit(browser, live, "#user=u22", **phone) as page:

        def fits() -> bool:
            return page.evaluate("document.documentElement.scrollWidth") <= 390

        assert fits() and page.locator("#outcomes").is_hidden(), "folded away, so that the answer is in sight"
        assert page.locator(".card").first.bounding_box()["y"] < 844
        page.locator("#steering summary").tap()
        assert page.get_by_role("slider", name="Worth of save").is_visible() and fits()
        page.locator(".act").first.tap()
        page.wait_for_selector(".changes.event")
        assert fits()
        page.locator(".card").first.tap()
        page.wait_for_selector("#drawer .looked")
        assert fits() and page.locator("#drawer").bounding_box()["width"] <= 390
        page.get_by_role("button", name="Close").tap()
        page.get_by_role("tab", name="Traffic").tap()
        page.wait_for_selector(".histogram .column")
        assert fits()


def test_every_control_has_a_name(browser: Any, live: str) -> None:
    with visit(browser, live, "#user=u24") as page:
        for view in ("answer", "traffic"):
            nameless = page.evaluate("""() => [...document.querySelectorAll("button, input, select, [role=img], a")]
                .filter((node) => node.checkVisibility())
                .filter((node) => !node.getAttribute("aria-label") && !node.textContent.trim())
                .map((node) => node.outerHTML)""")
            assert nameless == [], view
            page.get_by_role("tab", name="Traffic").click()
            page.wait_for_selector(".histogram")
        assert page.locator("#spoken[aria-live=polite]").count() == 1
