"""What is refused, and that the refusal names the place, the value and what would be accepted."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.online import EventError, OnlineEvent, OnlineHistory
from bowerbird.serve.online.rules import EARLIEST, MAX_EVENTS, SKEW_MS, Rules
from bowerbird.serve.request import RequestError
from serve.online.conftest import ACTIONS, NOW, SURFACES

GOOD = OnlineEvent("e", "ada", "x", NOW, ("click",), "home", "r", 1, "birds")


def rules(user: str = "string", surfaces: tuple[str, ...] | None = SURFACES) -> Rules:
    known = None if surfaces is None else frozenset(surfaces)
    return Rules(frozenset(ACTIONS), known, {"user": user, "item": "string"}, clock=lambda: NOW)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("event_id", "", "1 to 200 characters, got 0 characters"),
        ("event_id", "e" * 201, "got 201 characters"),
        ("event_id", 7, "must be text of 1 to 200 characters, got 7"),
        ("event_id", "a\0b", "NUL"),
        ("user", "", "1 to 512"),
        ("user", "u" * 513, "got 513 characters"),
        ("user", None, "got None"),
        ("user", True, "got True"),
        ("user", 2**63, "64 bits"),
        ("user", 1.5, "got 1.5"),
        ("item", "\ud800", "surrogate"),
        ("item", -(2**63) - 1, "64 bits"),
        ("time", EARLIEST - 1, "milliseconds, not seconds"),
        ("time", NOW + SKEW_MS + 1, "in the future"),
        ("time", 1.7e12, "must be milliseconds UTC"),
        ("time", True, "must be milliseconds UTC"),
        ("actions", ("click", "svae"), "unknown action 'svae'; did you mean 'save'?"),
        ("actions", ("",), "unknown action ''; known: click, hide, save"),
        ("actions", (7,), "unknown action 7"),
        ("surface", "hmoe", "unknown surface 'hmoe'; did you mean 'home'?"),
        ("surface", "", "1 to 512"),
        ("request", "r" * 513, "1 to 512 characters, got 513"),
        ("request", "", "got 0"),
        ("query", "q" * 1001, "1 to 1000"),
        ("query", "\0", "NUL"),
        ("position", -1, "0 to 32767, got -1"),
        ("position", 32768, "0 to 32767"),
        ("position", True, "whole number"),
    ],
)
def test_an_event_that_breaks_a_rule_is_refused(field: str, value: object, says: str) -> None:
    with pytest.raises(EventError) as caught:
        rules().rows([GOOD, dataclasses.replace(GOOD, **{field: value})])  # type: ignore[arg-type]
    assert caught.value.place == 1 and caught.value.field == f"events.1.{field}"
    assert says in str(caught.value) and len(str(caught.value)) < 400


def test_the_bounds_themselves_are_accepted() -> None:
    for fields in (
        {"event_id": "e" * 200, "user": "u" * 512, "item": "\U0001f426" * 512},
        {"time": EARLIEST},
        {"time": NOW + SKEW_MS},
        {"position": 0},
        {"position": 32767},
        {"query": "q" * 1000, "request": "r" * 512},
        {"user": 2**63 - 1, "item": -(2**63)},
        {"actions": (), "surface": None, "request": None, "position": None, "query": None},
    ):
        assert len(rules().rows([dataclasses.replace(GOOD, **fields)])) == 1  # type: ignore[arg-type]
    rules(surfaces=None).rows([dataclasses.replace(GOOD, surface="anything")])
    rules().rows([GOOD] * MAX_EVENTS)
    with pytest.raises(RequestError, match="1001 in one append; at most 1000"):
        rules().rows([GOOD] * (MAX_EVENTS + 1))


def test_ids_of_a_store_of_integers() -> None:
    for text in ("ada", "1.0", "1e3", "", "-", "9" * 19, "٣", "0x1", "1_000"):
        with pytest.raises(EventError, match=r"events\.0\.user"):
            rules("integer").rows([dataclasses.replace(GOOD, user=text)])
        assert rules("integer").key(text, "user") is None
    assert rules("integer").key("007", "user") == rules("integer").key(7, "user") == "7"
    assert rules("string").key("007", "user") == "007" and rules("string").key(7, "user") == "7"


@given(st.one_of(st.text(max_size=600), st.integers(), st.none(), st.floats(), st.binary(max_size=3)))
def test_any_id_is_kept_or_refused_but_never_breaks(value: object) -> None:
    for kind in ("string", "integer"):
        key = rules(kind).key(value, "user")  # type: ignore[arg-type]
        if key is not None:
            assert rules(kind).key(rules(kind).raw(key, "user"), "user") == key
            assert len(key.encode()) <= 2048, (
                "an index entry of PostgreSQL holds no more than about 2700 bytes"
            )


def test_one_bad_event_refuses_its_whole_append(history: OnlineHistory) -> None:
    with pytest.raises(EventError):
        history.append([GOOD, dataclasses.replace(GOOD, event_id="f", actions=("clikc",))])
    assert history.high_water() == 0 and history.tail("ada", 9) == []
    assert history.health().ok, "a client's mistake is no problem of the database"


def test_the_longest_event_fits_the_database(history: OnlineHistory) -> None:
    wide = "\U0001f426"
    longest = OnlineEvent(
        wide * 200, wide * 512, wide * 512, NOW, ACTIONS, "search", wide * 512, 32767, wide * 1000
    )
    assert history.append([longest]).accepted == history.append([longest]).duplicates == 1
    (found,) = history.tail(wide * 512, 9)
    assert (found.event_id, found.item, found.query) == (longest.event_id, longest.item, longest.query)
