"""Configurations: JSON and back, strict keys and types, presets, overrides."""

from __future__ import annotations

import contextlib
import enum
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.learn.settings import from_dict, override, preset, resolve, to_dict
from bowerbird.tables.errors import ConfigError


class Mood(enum.Enum):
    CALM = "calm"
    LOUD = "loud"


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    steps: int = 5


@dataclass(frozen=True)
class Settings:
    width: int = 64
    rate: float = 1e-3
    name: str = "x"
    fast: bool = False
    kind: Literal["none", "mean"] = "none"
    limit: int | None = None
    halves: tuple[float, ...] = ()
    pair: tuple[int, str] = (1, "a")
    words: list[str] = field(default_factory=list)
    extra: dict[str, int] = field(default_factory=dict)
    mood: Mood = Mood.CALM
    where: Path = Path("here")
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")

    @classmethod
    def size(cls, size: str) -> Settings:
        return cls(width={"s": 64, "m": 128, "l": 256}[size])


settings_strategy = st.builds(
    Settings,
    width=st.integers(1, 10**9), rate=st.floats(allow_nan=False, allow_infinity=False), name=st.text(),
    fast=st.booleans(), kind=st.sampled_from(["none", "mean"]), limit=st.none() | st.integers(),
    halves=st.lists(st.floats(0, 10)).map(tuple), pair=st.tuples(st.integers(), st.text()),
    words=st.lists(st.text()), extra=st.dictionaries(st.text(), st.integers()), mood=st.sampled_from(Mood),
    inner=st.builds(Inner, rate=st.floats(0, 1)),
)  # fmt: skip


@given(settings_strategy)
def test_round_trip_through_json(settings: Settings) -> None:
    assert from_dict(Settings, json.loads(json.dumps(to_dict(settings)))) == settings


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"widht": 3}, r"pinrec\.widht is not a setting; did you mean 'width'"),
        ({"zzz": 3}, r"pinrec\.zzz is not a setting; known: .*width"),
        ({"inner": {"step": 3}}, r"pinrec\.inner\.step is not a setting; did you mean 'steps'"),
        ({"width": "3"}, r"pinrec\.width must be int, got '3'"),
        ({"width": True}, r"pinrec\.width must be int, got True"),
        ({"width": 2.0}, r"pinrec\.width must be int, got 2\.0"),
        ({"fast": 1}, r"pinrec\.fast must be bool, got 1"),
        ({"rate": None}, r"pinrec\.rate must be float"),
        ({"kind": "median"}, r"pinrec\.kind must be one of none, mean, got 'median'"),
        ({"limit": "many"}, r"pinrec\.limit must be"),
        ({"halves": 3}, r"pinrec\.halves must be"),
        ({"halves": [1, "b"]}, r"pinrec\.halves\[1\] must be float, got 'b'"),
        ({"pair": [1]}, r"pinrec\.pair must have 2 values, got 1"),
        ({"extra": {"a": "b"}}, r"pinrec\.extra\.a must be int"),
        ({"mood": "cross"}, r"pinrec\.mood must be one of calm, loud"),
        ({"inner": 3}, r"pinrec\.inner: expected keys and values"),
        ({"width": 0}, r"pinrec: width must be at least 1, got 0"),
    ],
)
def test_mistakes_are_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(Settings, data, where="pinrec")


def test_integers_are_fine_for_floats() -> None:
    found = from_dict(Settings, {"rate": 1, "halves": [1, 2]})
    assert found.rate == 1.0
    assert type(found.rate) is float
    assert found.halves == (1.0, 2.0)


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("width=128", "width", 128),
        ("width=1_000", "width", 1000),
        ("width=1e6", "width", 10**6),
        ("rate=3e-4", "rate", 3e-4),
        ("rate=1", "rate", 1.0),
        ("fast=yes", "fast", True),
        ("fast=off", "fast", False),
        ("name=a=b", "name", "a=b"),
        ("name=", "name", ""),
        ("kind=mean", "kind", "mean"),
        ("kind=none", "kind", "none"),
        ("limit=none", "limit", None),
        ("limit=7", "limit", 7),
        ("halves=1,6, 24", "halves", (1.0, 6.0, 24.0)),
        ("halves=[0.5]", "halves", (0.5,)),
        ("halves=", "halves", ()),
        ("pair=3,b", "pair", (3, "b")),
        ("words=a,b", "words", ["a", "b"]),
        ('extra={"a": 1}', "extra", {"a": 1}),
        ("mood=loud", "mood", Mood.LOUD),
        ("where=a/b", "where", Path("a/b")),
        ('inner={"steps": 9}', "inner", Inner(steps=9)),
        ("inner.rate=0.5", "inner", Inner(rate=0.5)),
        (" width = 3 ", "width", 3),
    ],
)
def test_overrides_are_read_by_type(assignment: str, key: str, value: Any) -> None:
    start = Settings(limit=1, kind="mean", fast=True, halves=(9.0,), name="y")
    found = override(start, [assignment])
    assert getattr(found, key) == value
    assert type(getattr(found, key)) is type(value)
    assert {k: v for k, v in vars(found).items() if k != key} == {
        k: v for k, v in vars(start).items() if k != key
    }


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("width", "write key=value"),
        ("=3", "write key=value"),
        ("width=many", "width must be int, got 'many'"),
        ("width=1.5", "width must be int"),
        ("fast=maybe", "true or false"),
        ("rate=x", "rate must be float"),
        ("width=inf", "width must be int"),
        ("wdth=3", "did you mean 'width'"),
        ("width.a=3", r"width\.a does not exist"),
        ("inner.stps=3", r"inner\.stps is not a setting; did you mean 'steps'"),
        ("halves=1,b", "halves must be float"),
        ("kind=medain", "one of none, mean"),
        ("extra=3", "takes a JSON object"),
        ("halves=[1", "not valid JSON"),
        ("limit=x", "limit must be"),
        ("width=0", "at least 1"),
        ("pair=1,2,3", "pair must have 2 values, got 3"),
    ],
)
def test_bad_overrides_are_named(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(Settings(), [assignment])


@given(st.text(), st.text())
def test_overrides_never_fail_otherwise(key: str, value: str) -> None:
    for assignment in (f"{key}={value}", *(f"{name}={value}" for name in to_dict(Settings()))):
        with contextlib.suppress(ConfigError):
            override(Settings(), [assignment])


def test_preset_file_and_overrides_in_that_order() -> None:
    found = resolve(
        Settings,
        size="m",
        values={"rate": 0.5, "inner": {"steps": 7}, "name": "file"},
        overrides=["name=line"],
    )
    assert found == Settings(width=128, rate=0.5, name="line", inner=Inner(steps=7))
    with pytest.raises(ConfigError, match="did you mean 'steps'"):
        resolve(Settings, values={"inner": {"stepps": 1}})
    with pytest.raises(ConfigError, match="choose s"):
        preset(Settings, "xl")
    assert preset(Inner, "l") == Inner()


def test_values_without_a_json_form() -> None:
    @dataclass
    class Odd:
        value: Any = None

    for value in (float("nan"), {1}, object()):
        with pytest.raises(ConfigError, match="value"):
            to_dict(Odd(value))
    with pytest.raises(ConfigError, match="dataclass"):
        to_dict({"a": 1})
    with pytest.raises(ConfigError, match="dataclass"):
        from_dict(dict, {"a": 1})
