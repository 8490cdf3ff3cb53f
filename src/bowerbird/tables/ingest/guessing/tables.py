"""Which table a file is, and what its columns mean."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from bowerbird.tables.ingest.checks.features import guess_text_role
from bowerbird.tables.ingest.checks.values import INTEGER_TEXT
from bowerbird.tables.ingest.guessing.names import RATINGS, flag_action, match, plain, verb_of
from bowerbird.tables.ingest.guessing.samples import Sample
from bowerbird.tables.schema import TABLES, Columns
from bowerbird.tables.store.items import guess_role
from bowerbird.tables.times import TimeRule, infer_unit, parse_times

_BOUNDED = TimeRule(earliest=315_532_800_000, latest=4_102_444_800_000)


@dataclass
class Guess:
    """What a file seems to be.

    Attributes:
        table: Name of the table, or None where it fits none.
        columns: Column of the contract to its TOML value.
        notes: Column of the contract to a remark.
        features: Feature to its TOML value.
        why: Why the file fits no table.
    """

    table: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    features: dict[str, str] = field(default_factory=dict)
    why: str = ""


def guess_table(sample: Sample) -> Guess:
    """Names a table for a file and maps its columns."""
    columns = sample.columns
    user, item, time = (match(columns, name) for name in (Columns.USER, Columns.ITEM, Columns.TIMESTAMP))
    for table in ("links", "labels"):
        if all(name in columns for name in TABLES[table].required):
            return _by_own_names(sample, table)
    clip, collection = match(columns, Columns.CLIP), match(columns, Columns.COLLECTION)
    if clip:
        return _by_own_names(sample, "clips", {Columns.CLIP: clip})
    if collection and item and collection != item and not (user and time and match(columns, Columns.ACTIONS)):
        optional = {Columns.TITLE: match(columns, Columns.TITLE), Columns.USER: user, Columns.TIMESTAMP: time}
        return _by_own_names(
            sample, "collections", {Columns.COLLECTION: collection, Columns.ITEM: item, **optional}
        )
    if user and item:
        if not time:
            return Guess(why="users and items but no column of times")
        return _events(sample, user, item, time)
    if item is None and not user:
        item = next((name for name in columns if plain(name) == "id"), None)
    if item:
        return _items(sample, item)
    if user:
        return _entity(sample, "users", {Columns.USER: user})
    return Guess(why="no column looks like the id of a user or an item")


def _events(sample: Sample, user: str, item: str, time: str) -> Guess:
    values, note = _time(sample.frame[time], time)
    if values is None:
        return Guess(why=f"column {time!r} does not hold possible times")
    guess = Guess(
        "events", {Columns.USER: quoted(user), Columns.ITEM: quoted(item), Columns.TIMESTAMP: values}
    )
    guess.notes[Columns.TIMESTAMP] = note
    for name in (Columns.SURFACE, Columns.REQUEST, Columns.QUERY, Columns.WEIGHT, Columns.POSITION):
        found = match(sample.columns, name)
        if found and (name not in (Columns.WEIGHT, Columns.POSITION) or _numeric(sample.frame[found])):
            guess.columns[name] = quoted(found)
    guess.columns[Columns.ACTIONS], guess.notes[Columns.ACTIONS] = _actions(sample)
    return guess


def _actions(sample: Sample) -> tuple[str, str]:
    """TOML value of the actions, and a remark."""
    column = match(sample.columns, Columns.ACTIONS)
    if column:
        values = sample.frame[column]
        if isinstance(values.dtype, pl.List):
            return quoted(column), "lists of names"
        mark = separator_of(values)
        seen = ", ".join(map(str, values.drop_nulls().unique().sort().head(6).to_list()))
        if mark:
            return f"{{ column = {quoted(column)}, separator = {quoted(mark)} }}", f"seen: {seen}"
        return quoted(column), f"seen: {seen}"
    flags = {action: name for name in sample.columns if (action := flag_action(name))}
    if flags:
        inside = ", ".join(f"{action} = {quoted(name)}" for action, name in flags.items())
        return f"{{ flags = {{ {inside} }} }}", "yes/no columns"
    rating = next((name for name in sample.columns if plain(name) in RATINGS), None)
    if rating and _numeric(sample.frame[rating]):
        most = float(sample.frame[rating].cast(pl.Float64, strict=False).max() or 5)  # type: ignore[arg-type]
        like = f"like = {{ column = {quoted(rating)}, at_least = {0.8 * most:g} }}"
        rate = f"rate = {{ column = {quoted(rating)}, at_least = 0 }}"
        return f"{{ flags = {{ {rate}, {like} }} }}", f"ratings up to {most:g}; a like is 80 % of that"
    verb = verb_of(sample.path.stem)
    note = (
        "the name of the file says so"
        if verb
        else "no column says what people did: every row counts as a click"
    )
    return f"{{ constant = {quoted(verb or 'click')} }}", note


def _items(sample: Sample, item: str) -> Guess:
    columns: dict[str, str | None] = {
        Columns.ITEM: item,
        Columns.CREATOR: match(sample.columns, Columns.CREATOR),
    }
    guess = _entity(sample, "items", columns)
    created = match(sample.columns, Columns.CREATED)
    if created:
        values, note = _time(sample.frame[created], created, bounded=False)
        if values:
            guess.columns[Columns.CREATED], guess.notes[Columns.CREATED] = values, note
            guess.features.pop(created, None)
    return guess


def _entity(sample: Sample, table: str, columns: dict[str, str | None]) -> Guess:
    guess = Guess(table, {name: quoted(found) for name, found in columns.items() if found})
    used = set(columns.values())
    titles = 0
    for name in sample.columns:
        if name not in used and sample.frame[name].dtype != pl.Struct:
            guess.features[name] = _feature(sample.frame[name], name, first_title=not titles)
            titles += guess.features[name] == quoted("title")
    return guess


def _by_own_names(sample: Sample, table: str, columns: dict[str, str | None] | None = None) -> Guess:
    guess = Guess(table)
    for name, found in (columns or {}).items():
        if found:
            guess.columns[name] = quoted(found)
    for spec in TABLES[table].columns:
        if spec.name in sample.columns and spec.name not in guess.columns:
            guess.columns[spec.name] = quoted(spec.name)
    if Columns.TIMESTAMP in guess.columns:
        column = match(sample.columns, Columns.TIMESTAMP) or Columns.TIMESTAMP
        values, note = _time(sample.frame[column], column)
        if values:
            guess.columns[Columns.TIMESTAMP], guess.notes[Columns.TIMESTAMP] = values, note
        else:
            del guess.columns[Columns.TIMESTAMP]
    return guess


def _feature(values: pl.Series, name: str, *, first_title: bool) -> str:
    """TOML value of a feature."""
    if first_title and match([name], Columns.TITLE) and values.dtype == pl.String:
        return quoted("title")
    role = guess_text_role(values) or str(guess_role(values))
    if role == "number" and plain(name).endswith("id"):
        return quoted("category")
    if values.dtype == pl.String and role in ("text", "category"):
        time, _ = _time(values, name, bounded=False)
        if time:
            return quoted("timestamp")
        mark = separator_of(values)
        if mark:
            return f'{{ role = "categories", separator = {quoted(mark)} }}'
    return quoted(role)


def separator_of(values: pl.Series) -> str | None:
    """What separates the values of a list written as text; None where there is none."""
    if values.dtype != pl.String:
        return None
    given = values.drop_nulls()
    for mark in ("|", ";"):
        if len(given) and float(given.str.contains(mark, literal=True).mean() or 0) >= 0.2:  # type: ignore[arg-type]
            return mark
    return None


def _time(values: pl.Series, column: str, *, bounded: bool = True) -> tuple[str | None, str]:
    """TOML value of a column of times and an example; None where most values are no possible times."""
    rule = _BOUNDED if bounded else TimeRule()
    unit = infer_unit(values, rule)
    if (
        unit == "text"
        and values.dtype not in (pl.String, pl.Date)
        and not isinstance(values.dtype, pl.Datetime)
    ):
        return None, ""
    parsed = parse_times(values, unit, rule).values
    known = values.is_not_null() & parsed.is_not_null()
    if not known.any() or known.sum() < 0.9 * (len(values) - values.null_count()):
        return None, ""
    row = int(known.arg_true()[0])
    moment = str(pl.Series([parsed[row]]).cast(pl.Datetime("ms"))[0])
    note = f"{values[row]} = {moment} UTC"
    if unit == "text":
        return quoted(column), note
    return f"{{ column = {quoted(column)}, unit = {quoted(unit)} }}", note


def _numeric(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        return guess_text_role(values) == "number"
    return values.dtype.is_numeric()


def integer_ids(values: pl.Series) -> bool:
    """Whether a column of ids holds plain whole numbers only."""
    if values.dtype != pl.String:
        return values.dtype.is_integer()
    given = values.drop_nulls()
    return bool(len(given)) and bool(given.str.contains(INTEGER_TEXT).all())


def quoted(text: str) -> str:
    """A TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
    return f'"{escaped}"'
