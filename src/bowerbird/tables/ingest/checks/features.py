"""Feature columns: each role has its own check."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.ingest.checks.checked import Checked
from bowerbird.tables.ingest.checks.values import as_text, check_number
from bowerbird.tables.ingest.layout import FeatureConfig
from bowerbird.tables.times import TimeRule, Unit, parse_times

NOT_A_LIST = "not a list"
NOT_NUMBERS = "not a list of finite numbers"


def guess_text_role(sample: pl.Series) -> str | None:
    """The role of a column of text whose values are really something else; None where they are just text.

    Args:
        sample: First values of the column.
    """
    given = sample.drop_nulls() if sample.dtype == pl.String else sample.clear()
    given = given.filter(given.str.strip_chars().str.len_bytes() > 0) if len(given) else given
    if not len(given):
        return None
    if given.str.strip_chars().cast(pl.Float64, strict=False).is_finite().fill_null(False).all():
        return "number"
    if given.str.contains(r"^\s*\[.*\]\s*$").all():
        lists = [_json_list(value) for value in given.head(200).to_list()]
        if all(found is not None for found in lists):
            return "vector" if all(_is_number(x) for found in lists for x in found or ()) else "categories"
    return None


def check_feature(values: pl.Series, role: str | None, feature: FeatureConfig) -> Checked:
    """Checks a feature that is not a time.

    Args:
        values: The column.
        role: Its role; None keeps text, numbers, lists and truth values as they are.
        feature: Separator of lists.

    Raises:
        TableError: The type of the column cannot play its role.
    """
    if (role is None and values.dtype.is_numeric()) or role == "number":
        return check_number(values)
    if role in ("text", "title", "category"):
        return Checked(as_text(values, str(role)))
    if role == "categories":
        return _check_categories(values, feature.separator)
    if role == "vector":
        return _check_vector(values, feature.separator)
    if isinstance(values.dtype, (pl.List, pl.Array)):
        return _check_categories(values, feature.separator)
    return Checked(as_text(values, "a feature"))


def check_time_feature(values: pl.Series, unit: Unit, rule: TimeRule) -> Checked:
    """A feature that is a time: Datetime in ms."""
    parsed = parse_times(values, unit, rule)
    return Checked(parsed.values.cast(pl.Datetime("ms")), parsed.problems)


def _check_categories(values: pl.Series, separator: str) -> Checked:
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        if values.dtype.inner.is_nested():
            raise TableError(f"holds {values.dtype}, which is no list of names", column=values.name)
        return Checked(_tidy(values.cast(pl.List(pl.String))))
    text = as_text(values, "a list of names")
    lists = text.str.contains(r"^\s*\[").fill_null(False)
    split = text.str.split(separator)
    if not lists.any():
        return Checked(_tidy(split))
    rows: list[list[str] | None] = split.to_list()
    broken = np.zeros(len(text), dtype=bool)
    for place in lists.arg_true().to_list():
        found = _json_list(text[place])
        broken[place] = found is None
        rows[place] = [str(name) for name in found or () if name is not None]
    checked = Checked(_tidy(pl.Series(values.name, rows, dtype=pl.List(pl.String))))
    checked.refuse(broken, NOT_A_LIST)
    return checked


def _tidy(lists: pl.Series) -> pl.Series:
    """Names without white space around them, without empty ones."""
    element = pl.element().str.strip_chars()
    kept = pl.col("x").list.eval(element.filter(element.str.len_bytes() > 0))
    return lists.rename("x").to_frame().select(kept).to_series().rename(lists.name)


def _check_vector(values: pl.Series, separator: str) -> Checked:
    broken = np.zeros(len(values), dtype=bool)
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        vectors = values.cast(pl.List(pl.Float32), strict=False)
    else:
        rows: list[list[float] | None] = []
        for place, text in enumerate(as_text(values, "a vector").to_list()):
            found = None if text is None else _vector(text, separator)
            broken[place] = text is not None and found is None
            rows.append(found)
        vectors = pl.Series(values.name, rows, dtype=pl.List(pl.Float32))
    checked = Checked(vectors)
    finite = vectors.rename("x").to_frame().select(pl.col("x").list.eval(pl.element().is_finite()).list.all())
    checked.refuse(broken | (~finite.to_series().fill_null(True)).to_numpy(), NOT_NUMBERS)
    checked.refuse(vectors.list.eval(pl.element().is_null()).list.any(), NOT_NUMBERS)
    return checked


def _vector(text: str, separator: str) -> list[float] | None:
    if text.lstrip().startswith("["):
        found = _json_list(text)
        return (
            [float(x) for x in found if isinstance(x, (int, float))]
            if found and all(map(_is_number, found))
            else None
        )
    try:
        return [float(x) for x in text.split(separator)]
    except ValueError:
        return None


def _json_list(text: str) -> list[object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
