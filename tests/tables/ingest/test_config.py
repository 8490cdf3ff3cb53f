"""The configuration: every mistake is named with what was meant."""

import pytest

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.ingest import load_config, parse_config

COLUMNS = {"user_id": "u", "item_id": "i", "timestamp": "t"}
GOOD = {
    "events": {"files": "e.csv", "columns": COLUMNS},
    "items": {"files": ["i.csv"], "columns": {"item_id": "i"}, "features": ["title"]},
}


def events(**changes):
    return {**GOOD, "events": {**GOOD["events"], **changes}}


def columns(**changes):
    return events(columns={**COLUMNS, **changes})


def test_short_and_long_forms_mean_the_same():
    long = {
        "events": [
            {"files": ["e.csv"], "columns": {name: {"column": column} for name, column in COLUMNS.items()}}
        ],
        "items": [{"files": ["i.csv"], "columns": {"item_id": {"column": "i"}}, "features": {"title": {}}}],
    }
    assert parse_config(GOOD) == parse_config(long)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, ["[events] is missing", "[items] is missing"]),
        ({**GOOD, "evnts": {}}, ["unknown key 'evnts'", "did you mean 'events'"]),
        ({**GOOD, "max_rejected_shar": 0.1}, ["did you mean 'max_rejected_share'"]),
        ({**GOOD, "max_rejected_share": 2}, ["max_rejected_share = 2", "less than or equal to 1"]),
        ({**GOOD, "max_rejected_share": "few"}, ["max_rejected_share = 'few'", "valid number"]),
        ({**GOOD, "tie_rule": "slates"}, ["tie_rule", "did you mean 'slate'"]),
        ({**GOOD, "times": {"zone": "Europe/Berln"}}, ["times.zone", "did you mean 'Europe/Berlin'"]),
        ({**GOOD, "actions": {"unknown": "rejct"}}, ["actions.unknown = 'rejct'", "did you mean 'reject'"]),
        ({**GOOD, "ids": {"usr": "integer"}}, ["unknown key 'usr' in [ids]", "did you mean 'user'"]),
        (events(colums={}), ["unknown key 'colums' in [events]", "did you mean 'columns'"]),
        (events(format="cvs"), ["events.format = 'cvs'", "did you mean 'csv'"]),
        (events(files=[]), ["events", "no files given"]),
        (events(delimiter="::"), ["must be one character"]),
        (events(header=False), ["header = false needs names"]),
        (events(features={"x": "text"}), ["[events] takes no features"]),
        (events(columns={"user_id": "u", "item_id": "i"}), ["[events.columns] must say", "'timestamp'"]),
        (columns(itm="x"), ["no column 'itm'", "did you mean 'item_id'"]),
        (columns(timestamp={"column": "t", "unit": "sec"}), ["timestamp.unit = 'sec'", "Allowed: s, ms"]),
        (columns(timestamp={"colum": "t"}), ["unknown key 'colum'", "did you mean 'column'"]),
        (columns(surface={}), ["exactly one of column, constant and flags"]),
        (columns(surface={"column": "a", "constant": "b"}), ["column and constant"]),
        ({**columns(actions={"constant": "clck"}), "actions": {"names": ["click"]}}, ["did you mean 'click'"]),
        ({**GOOD, "items": {**GOOD["items"], "features": {"x": "catgory"}}}, ["did you mean 'category'"]),
        ({**GOOD, "folder": "x"}, ["unknown key 'folder'"]),
    ],
)  # fmt: skip
def test_mistakes(content, words):
    with pytest.raises(ConfigError) as error:
        parse_config(content, where="my.toml")
    for word in ["my.toml", *words]:
        assert word in str(error.value)


def test_files_that_are_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="bowerbird init"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[events\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(tmp_path / "bad.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "bytes.toml")
