"""Times in, milliseconds UTC out.

| given | becomes |
|---|---|
| a whole or decimal number | s, ms, us or ns since 1970: as declared, or the unit in which most values are possible |
| ISO text with `Z` or an offset | that moment |
| ISO text or a date without a zone | local time of the declared zone, UTC by default; a date is its midnight |
| text in a declared format | the same, read with that format |
| a datetime or date column | that moment; without a zone, local time of the declared zone |
| a number that only fits another unit | rejected: the column mixes units |
| before `earliest` or after `latest` | rejected: impossible time |
| local time skipped by a clock change | rejected; one that happens twice is the earlier one |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

Unit = Literal["s", "ms", "us", "ns", "text"]

PER_MILLISECOND: Final[dict[str, float]] = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}
"""How many of a unit make one millisecond."""

_NAMES: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_NAIVE: Final = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d",
)
_ZONED: Final = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
)
_HAS_ZONE: Final = r"(?i)\d\s*(?:z|utc|[+-]\d{2}:?\d{2})$"
_NONE: Final = int(np.iinfo(np.int64).min)
_LARGEST: Final = 9.2e18
_TOO_LARGE: Final = "impossible time: the number is too large"


@dataclass(frozen=True)
class TimeRule:
    """How a column of times is read.

    Attributes:
        unit: Declared unit of numbers, `"text"`, or None to infer it.
        zone: IANA zone of times that name none.
        format: `strftime` format of text, or None for ISO.
        earliest: First possible moment, ms UTC; None = no bound.
        latest: Last possible moment, ms UTC; None = no bound.
    """

    unit: Unit | None = None
    zone: str = "UTC"
    format: str | None = None
    earliest: int | None = None
    latest: int | None = None


Problem = tuple[np.ndarray, str]


@dataclass(frozen=True)
class ParsedTimes:
    """Parsed column.

    Attributes:
        values: Int64 (n,) ms UTC; null where the input was null or rejected.
        problems: bool (n,) mask of rejected values, with the reason; no value is in two of them.
    """

    values: pl.Series
    problems: list[Problem]


def infer_unit(values: pl.Series, rule: TimeRule) -> Unit:
    """The unit of a column: the declared one, else the one in which most of these values are possible times.

    Args:
        values: The first values of the column (text or numbers).
        rule: The rule; its bounds say what is possible (1980 to 2100 where it has none).
    """
    if rule.unit:
        return rule.unit
    if rule.format or values.dtype.is_temporal():
        return "text"
    numbers = _numbers(values)
    known = ~np.isnan(numbers)
    if not known.any() or 2 * known.sum() < len(values) - values.null_count():
        return "text"
    fits = {unit: int(_possible(numbers[known], unit, rule).sum()) for unit in ("s", "ms", "us", "ns")}
    best = max(fits, key=lambda unit: fits[unit])
    return best if fits[best] else "ms"  # type: ignore[return-value]


def parse_times(values: pl.Series, unit: Unit, rule: TimeRule) -> ParsedTimes:
    """Parses a column whose unit is known.

    Args:
        values: Text, numbers, datetimes or dates; nulls stay null without a reason.
        unit: From `infer_unit`.
        rule: Zone, format and bounds.
    """
    if values.dtype.is_temporal():
        milliseconds, problems = _from_temporal(values, rule)
    elif unit == "text":
        milliseconds, problems = _from_text(values.cast(pl.String), rule)
    else:
        milliseconds, problems = _from_numbers(values, unit, rule)
    good = milliseconds != _NONE
    for bound, bad, words in (
        (rule.earliest, lambda limit: milliseconds < limit, "impossible time: before"),
        (rule.latest, lambda limit: milliseconds > limit, "impossible time: after"),
    ):
        if bound is not None:
            outside = good & bad(bound)
            day = str(np.datetime64(bound, "ms").astype("datetime64[D]"))
            _refuse(problems, milliseconds, outside, f"{words} {day}")
            good &= ~outside
    parsed = pl.Series(values.name, milliseconds)
    if not good.all():
        parsed = parsed.set(pl.Series(~good), None)
    return ParsedTimes(parsed, problems)


def _refuse(problems: list[Problem], milliseconds: np.ndarray, rows: np.ndarray, reason: str) -> None:
    """Notes a problem and forgets the values it is about."""
    if rows.any():
        problems.append((rows, reason))
        milliseconds[rows] = _NONE


def _numbers(values: pl.Series) -> np.ndarray:
    """float64 (n,), NaN where a value is null or no number."""
    if values.dtype == pl.String:
        values = values.str.strip_chars().cast(pl.Float64, strict=False)
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _possible(numbers: np.ndarray, unit: str, rule: TimeRule) -> np.ndarray:
    earliest = rule.earliest if rule.earliest is not None else 315_532_800_000
    latest = rule.latest if rule.latest is not None else 4_102_444_800_000
    scale = PER_MILLISECOND[unit]
    return (numbers >= earliest * scale) & (numbers <= latest * scale)


def _from_numbers(values: pl.Series, unit: str, rule: TimeRule) -> tuple[np.ndarray, list[Problem]]:
    problems: list[Problem] = []
    exact = values.str.strip_chars() if values.dtype == pl.String else values
    # Whole numbers stay integers: nanoseconds have more digits than a float holds.
    whole = (
        exact.cast(pl.Int64, strict=False)
        if not exact.dtype.is_float()
        else pl.Series([None], dtype=pl.Int64)
    )
    milliseconds = np.full(len(values), _NONE, dtype=np.int64)
    if len(whole) == len(values) and whole.null_count() == 0:
        given = whole.to_numpy()
        numbers = given.astype(np.float64)
        milliseconds = _scale_integers(given, unit)
        usable = np.abs(numbers / PER_MILLISECOND[unit]) < _LARGEST
        _refuse(problems, milliseconds, ~usable, _TOO_LARGE)
    else:
        numbers = _numbers(values)
        usable = np.isfinite(numbers) & (np.abs(numbers / PER_MILLISECOND[unit]) < _LARGEST)
        milliseconds[usable] = np.floor(numbers[usable] / PER_MILLISECOND[unit]).astype(np.int64)
        if len(whole) == len(values):
            filled = whole.is_not_null().to_numpy() & usable
            milliseconds[filled] = _scale_integers(whole.fill_null(0).to_numpy()[filled], unit)
        present = values.is_not_null().to_numpy()
        wrong = present & np.isnan(numbers)
        _refuse(problems, milliseconds, wrong, "not a number, though the column holds times as numbers")
        _refuse(problems, milliseconds, present & ~np.isnan(numbers) & ~usable, _TOO_LARGE)
    fits = _possible(numbers, unit, rule)
    if not fits.all():
        for other in ("s", "ms", "us", "ns"):
            if other != unit:
                mixed = ~fits & (milliseconds != _NONE) & _possible(numbers, other, rule)
                words = f"mixed units: looks like {_NAMES[other]} in a column of {_NAMES[unit]}"
                _refuse(problems, milliseconds, mixed, words)
    return milliseconds, problems


def _scale_integers(whole: np.ndarray, unit: str) -> np.ndarray:
    if unit == "s":
        # The caller rejects what does not fit; clipping only keeps the product from wrapping around.
        return np.clip(whole, -(2**53), 2**53) * 1000
    return whole // int(PER_MILLISECOND[unit])


def _from_text(values: pl.Series, rule: TimeRule) -> tuple[np.ndarray, list[Problem]]:
    problems: list[Problem] = []
    milliseconds = np.full(len(values), _NONE, dtype=np.int64)
    present = values.is_not_null().to_numpy()
    values = values.str.strip_chars()
    zoned = values.str.contains(_HAS_ZONE).fill_null(False).to_numpy()
    if rule.format:
        zoned &= "z" in rule.format.lower()
    text = values
    if zoned.any() and not rule.format:
        text = values.str.replace(r"(?i)\s*(?:z|utc)$", "+00:00").str.replace(r"\s+([+-]\d{2}:?\d{2})$", "$1")
    for rows, formats in ((zoned, _ZONED), (~zoned, _NAIVE)):
        for form in (rule.format,) if rule.format else formats:
            pending = np.flatnonzero(rows & present & (milliseconds == _NONE))
            if not len(pending):
                break
            chosen = text if len(pending) == len(values) else text.gather(pending)
            parsed = _parse(chosen, form, rule, zoned=rows is zoned)
            milliseconds[pending] = parsed.fill_null(_NONE).to_numpy()
    failed = present & (milliseconds == _NONE)
    expected = f"format {rule.format}" if rule.format else "an ISO date or time"
    skipped = f", or a local time that {rule.zone} skips" if rule.zone != "UTC" else ""
    _refuse(problems, milliseconds, failed, f"not {expected}{skipped}")
    return milliseconds, problems


def _parse(values: pl.Series, form: str, rule: TimeRule, *, zoned: bool) -> pl.Series:
    """Int64 ms, null where the text does not have this format."""
    if zoned:
        return values.str.to_datetime(form, time_unit="us", strict=False).dt.epoch("ms")
    if "%H" not in form and "%I" not in form:
        parsed = values.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    else:
        parsed = values.str.to_datetime(form, time_unit="us", strict=False)
    return _localise(parsed, rule)


def _localise(naive: pl.Series, rule: TimeRule) -> pl.Series:
    if rule.zone != "UTC":
        naive = naive.dt.replace_time_zone(rule.zone, ambiguous="earliest", non_existent="null")
    return naive.dt.epoch("ms")


def _from_temporal(values: pl.Series, rule: TimeRule) -> tuple[np.ndarray, list[Problem]]:
    problems: list[Problem] = []
    if values.dtype == pl.Date:
        moments = _localise(values.cast(pl.Datetime("us")), rule)
    elif isinstance(values.dtype, pl.Datetime):
        moments = values.dt.epoch("ms") if values.dtype.time_zone else _localise(values, rule)
    else:
        moments = pl.Series([None] * len(values), dtype=pl.Int64)
    milliseconds = moments.fill_null(_NONE).to_numpy().copy()
    failed = values.is_not_null().to_numpy() & (milliseconds == _NONE)
    _refuse(problems, milliseconds, failed, f"not a moment in time, or a local time that {rule.zone} skips")
    return milliseconds, problems
