"""Knobs: derived sizes, bounds, and the way through JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.simulate import ACTIONS, SimulationConfig


@given(st.integers(1_000, 10_000_000))
def test_sizes_follow_from_the_number_of_events(n_events: int) -> None:
    config = SimulationConfig(n_events)
    assert 50 <= config.n_users <= n_events
    assert config.n_items >= 4 * config.n_topics
    assert 20 <= config.n_topics <= 200
    assert config.slate_size <= config.n_topics


def test_a_given_size_is_not_derived() -> None:
    config = SimulationConfig(200_000, n_users=123, n_items=456, n_topics=17, n_creators=9)
    assert (config.n_users, config.n_items, config.n_topics, config.n_creators) == (123, 456, 17, 9)


def test_json_brings_back_the_same_configuration() -> None:
    rates = {"click": 0.2, "long_click": 0.05, "save": 0.02, "hide": 0.01}
    config = SimulationConfig(5_000, seed=3, policy_home=(0.2, 0.3, 0.5), rates=rates)
    assert SimulationConfig.from_json(config.to_json()) == config


def test_every_knob_is_explained() -> None:
    explained = SimulationConfig.explain()
    assert list(explained) == [knob.name for knob in dataclasses.fields(SimulationConfig)]
    assert all(len(text) > 5 for text in explained.values())


def test_an_unknown_knob_names_the_closest_one() -> None:
    with pytest.raises(ConfigError, match="slate_size"):
        SimulationConfig.of(n_events=1_000, slate_siez=4)


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"n_events": 999}, "n_events"),
        ({"n_events": 10_000_001}, "n_events"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"start": "yesterday"}, "start"),
        ({"spam_share": 0.6}, "spam_share"),
        ({"slate_size": 0}, "slate_size"),
        ({"slate_size": 21}, "slate_size"),
        ({"policy_home": (0.5, 0.5, 0.5)}, "policy_home"),
        ({"policy_search": (0.5, 0.5, 0.0)}, "policy_search"),
        ({"n_items": 160, "n_topics": 50}, "n_topics"),
        ({"n_users": 5_000}, "n_users"),
        ({"rates": {"click": 0.1}}, "rates"),
        ({"rates": dict.fromkeys(ACTIONS, 0.1)}, "long_click"),
    ],
)
def test_a_bad_value_names_its_knob(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        SimulationConfig.of(**({"n_events": 1_000} | knobs))
