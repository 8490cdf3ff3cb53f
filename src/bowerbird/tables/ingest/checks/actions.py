"""Actions: from a text, a list, or yes/no columns to names.

Checked actions are one text a row, names joined by `JOINT`; the writer turns each distinct text into a bit mask once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.ingest.checks.checked import Checked
from bowerbird.tables.ingest.config import ActionsConfig
from bowerbird.tables.ingest.layout import ColumnConfig, FlagConfig
from bowerbird.tables.schema import JOINT

UNKNOWN = "action is not declared"
NOT_A_LIST = "not a list of action names"
NOT_YES_OR_NO = "not a yes/no value or a number"
_YES = ("true", "t", "yes", "y")
_NO = ("false", "f", "no", "n", "none", "null", "")


def check_action_column(values: pl.Series, column: ColumnConfig, actions: ActionsConfig) -> Checked:
    """A column of lists, JSON lists, separated names or single names; empty = shown only."""
    if isinstance(values.dtype, (pl.List, pl.Array)):
        if isinstance(values.dtype, pl.Array):
            values = values.arr.to_list()
        text = values.cast(pl.List(pl.String)).list.join(JOINT, ignore_nulls=True)
        separator: str | None = JOINT
    elif values.dtype.is_nested():
        raise TableError(f"holds {values.dtype}, which is no list of names", column=values.name)
    else:
        text, separator = values.cast(pl.String), column.separator
    distinct = text.unique().drop_nulls()
    joined: list[str] = []
    reasons: dict[str, list[str]] = {}
    for value in distinct.to_list():
        names, reason = _names(value, separator, actions)
        joined.append(JOINT.join(names))
        if reason:
            reasons.setdefault(reason, []).append(value)
    checked = Checked(
        text.replace_strict(distinct, pl.Series(joined, dtype=pl.String), return_dtype=pl.String)
    )
    for reason, refused in reasons.items():
        checked.refuse(text.is_in(refused), reason)
    return checked


def _names(value: str, separator: str | None, actions: ActionsConfig) -> tuple[list[str], str | None]:
    if value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except ValueError:
            return [], NOT_A_LIST
        if not all(isinstance(name, (str, int)) or name is None for name in found):
            return [], NOT_A_LIST
        names = [str(name) for name in found if name is not None]
    else:
        names = value.split(separator) if separator else [value]
    names = [actions.rename.get(name.strip(), name.strip()) for name in names]
    names = [name for name in dict.fromkeys(names) if name]
    if actions.policy == "ignore":
        return [name for name in names if name in actions.names or not actions.names], None
    if actions.policy == "reject" and any(name not in actions.names for name in names):
        return [], UNKNOWN
    return names, None


def check_flags(columns: Mapping[str, pl.Series], flags: Mapping[str, FlagConfig]) -> dict[str, Checked]:
    """Yes/no columns, one an action.

    Args:
        columns: Action name to its column.
        flags: Action name to how the column is read.

    Returns:
        Action name to a Boolean column.
    """
    return {name: _check_flag(values, flags[name]) for name, values in columns.items()}


def _check_flag(values: pl.Series, flag: FlagConfig) -> Checked:
    if values.dtype == pl.Boolean:
        return Checked(values.fill_null(False))
    if values.dtype.is_numeric() or values.dtype == pl.Null:
        return Checked(_happened(values.cast(pl.Float64), flag))
    if values.dtype != pl.String:
        raise TableError(f"holds {values.dtype}, which is no yes/no value", column=values.name)
    text = values.fill_null("").str.strip_chars().str.to_lowercase()
    numbers = text.cast(pl.Float64, strict=False)
    checked = Checked(_happened(numbers, flag) | text.is_in(_YES))
    checked.refuse(numbers.is_null() & ~text.is_in([*_YES, *_NO]), NOT_YES_OR_NO)
    return checked


def _happened(numbers: pl.Series, flag: FlagConfig) -> pl.Series:
    numbers = numbers.fill_nan(None)
    return ((numbers >= flag.at_least) if flag.at_least is not None else (numbers != 0)).fill_null(False)


def join_flags(flags: Mapping[str, pl.Series]) -> pl.Series:
    """One text a row with the names of the flags that are set."""
    names = list(flags)
    codes = np.zeros(len(next(iter(flags.values()))), dtype=np.uint64)
    for bit, name in enumerate(names):
        codes |= flags[name].to_numpy().astype(np.uint64) << np.uint64(bit)
    distinct, inverse = np.unique(codes, return_inverse=True)
    texts = [JOINT.join(name for bit, name in enumerate(names) if int(code) >> bit & 1) for code in distinct]
    return pl.Series(texts, dtype=pl.String).gather(inverse)
