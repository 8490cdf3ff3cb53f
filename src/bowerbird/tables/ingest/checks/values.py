"""Checks of single values: ids, text, whole numbers, numbers.

| kind | accepted | rejected |
|---|---|---|
| integer id | whole numbers that fit 64 bits; as text without leading zeros; `12.0` in a float column | the rest |
| text id | any text, taken as it is; numbers become their text | lists |
| text | any text; empty = missing | lists |
| position | whole numbers from 0 to 32767, also as text | the rest |
| number | finite numbers, also as text | the rest |
"""

from __future__ import annotations

import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.ingest.checks.checked import Checked
from bowerbird.tables.schema import IdType

INTEGER_TEXT = r"^(?:0|-?[1-9][0-9]*)$"
NOT_WHOLE = "id is not a plain whole number"
ID_TOO_LARGE = "id does not fit 64 bits"
BAD_POSITION = "not a whole number from 0 to 32767"
NOT_A_NUMBER = "not a number"
NOT_FINITE = "number is not finite or too large"
_LARGEST_POSITION = 32767


def check_integer_id(values: pl.Series) -> Checked:
    """Ids of an integer vocabulary."""
    if values.dtype == pl.String:
        values = blank_to_null(values)
        plain = values.str.contains(INTEGER_TEXT)
        whole = values.cast(pl.Int64, strict=False)
        checked = Checked(whole)
        checked.refuse(~plain, NOT_WHOLE)
        checked.refuse(plain & whole.is_null(), ID_TOO_LARGE)
        return checked
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        checked = Checked(whole)
        # NaN stands for a missing value in many exports; the caller rejects it as empty.
        checked.refuse(values.is_not_nan() & (values != values.floor()), NOT_WHOLE)
        checked.refuse(values.is_infinite() | (values.is_not_nan() & whole.is_null()), ID_TOO_LARGE)
        return checked
    if not values.dtype.is_integer() and values.dtype != pl.Null:
        raise _unfit(values, "an id")
    whole = values.cast(pl.Int64, strict=False)
    checked = Checked(whole)
    checked.refuse(values.is_not_null() & whole.is_null(), ID_TOO_LARGE)
    return checked


def check_text_id(values: pl.Series) -> Checked:
    """Ids of a text vocabulary."""
    return Checked(as_text(values, "an id"))


def check_id(values: pl.Series, kind: IdType) -> Checked:
    """Ids of the user or item vocabulary."""
    return check_integer_id(values) if kind == "integer" else check_text_id(values)


def check_text(values: pl.Series) -> Checked:
    """Plain text."""
    return Checked(as_text(values, "text"))


def check_position(values: pl.Series) -> Checked:
    """Places in a slate."""
    numbers = _floats(values)
    checked = Checked(numbers.cast(pl.Int64, strict=False))
    good = (numbers == numbers.floor()) & (numbers >= 0) & (numbers <= _LARGEST_POSITION)
    checked.refuse(_present(values) & ~good.fill_null(False), BAD_POSITION)
    return checked


def check_number(values: pl.Series, dtype: type[pl.Float32] | type[pl.Float64] = pl.Float64) -> Checked:
    """Finite numbers of a width. NaN in a float column is a missing value."""
    numbers = _floats(values)
    narrow = numbers.cast(dtype, strict=False)
    checked = Checked(narrow)
    checked.refuse(_present(values) & numbers.is_null(), NOT_A_NUMBER)
    checked.refuse(narrow.is_infinite(), NOT_FINITE)
    return checked


def as_text(values: pl.Series, wanted: str) -> pl.Series:
    """A column as text; empty text is null, whole floats lose their `.0`.

    Raises:
        TableError: The column holds lists or other things that are no text.
    """
    if values.dtype in (pl.String, pl.Categorical, pl.Enum):
        return blank_to_null(values.cast(pl.String))
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        text = values.cast(pl.String)
        is_whole = values.is_not_nan() & (whole.cast(pl.Float64) == values.cast(pl.Float64))
        picked = pl.DataFrame({"text": text, "whole": whole.cast(pl.String), "is": is_whole.fill_null(False)})
        column = picked.select(pl.when("is").then("whole").otherwise("text")).to_series().rename(values.name)
        return column.set(values.is_nan().fill_null(False), None)
    if values.dtype.is_integer() or values.dtype in (pl.Boolean, pl.Null) or values.dtype.is_temporal():
        return values.cast(pl.String)
    raise _unfit(values, wanted)


def blank_to_null(values: pl.Series) -> pl.Series:
    """Text in which empty and white values are null; nothing else changes."""
    blank = values.str.strip_chars().str.len_bytes() == 0
    return values.set(blank.fill_null(False), None) if blank.any() else values


def _floats(values: pl.Series) -> pl.Series:
    """Float64, null where the text is no number."""
    if values.dtype == pl.String:
        return values.str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None)
    if values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null):
        return values.cast(pl.Float64).fill_nan(None)
    raise _unfit(values, "a number")


def _present(values: pl.Series) -> pl.Series:
    """bool (n,): whether a value was given."""
    if values.dtype == pl.String:
        return values.is_not_null() & (values.str.strip_chars().str.len_bytes() > 0)
    return values.is_not_null() & values.is_not_nan() if values.dtype.is_float() else values.is_not_null()


def _unfit(values: pl.Series, wanted: str) -> TableError:
    return TableError(
        f"holds {values.dtype}, which cannot be {wanted}",
        column=values.name,
        fix="map another column, or convert this one first",
    )
