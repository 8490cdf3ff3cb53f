"""Times: each row of the table of rules."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from bowerbird.tables.times import TimeRule, infer_unit, parse_times

SECOND = 1_600_000_000
BOUNDED = TimeRule(earliest=315_532_800_000, latest=4_102_444_800_000)


def read(values, rule=BOUNDED):
    series = values if isinstance(values, pl.Series) else pl.Series(values, strict=False)
    parsed = parse_times(series, infer_unit(series, rule), rule)
    reasons = [None] * len(series)
    for mask, reason in parsed.problems:
        for row in mask.nonzero()[0]:
            assert reasons[row] is None
            reasons[row] = reason
    return parsed.values.to_list(), reasons


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("kind", [int, float, str])
def test_units_of_numbers_are_told_by_size(scale, kind):
    values, reasons = read([kind(SECOND * scale), None, kind((SECOND + 7) * scale)])
    assert reasons == [None] * 3
    # A float of nanoseconds has steps of 256 ns, so the last millisecond may round down.
    tolerance = 1 if kind is float else 0
    for found, expected in zip(values, [SECOND * 1000, None, (SECOND + 7) * 1000], strict=True):
        assert found is expected is None or abs(found - expected) <= tolerance


def test_nanoseconds_lose_nothing_above_a_millisecond():
    assert read(["1600000000123999999"])[0] == [1_600_000_000_123]


def test_fractions_of_seconds():
    assert read([1_600_000_000.25, 1_600_000_001.5])[0] == [1_600_000_000_250, 1_600_000_001_500]


def test_a_column_that_mixes_units_keeps_the_majority():
    values, reasons = read([SECOND, SECOND + 1, (SECOND + 2) * 1000, SECOND * 10**6, SECOND + 3])
    assert values == [SECOND * 1000, (SECOND + 1) * 1000, None, None, (SECOND + 3) * 1000]
    assert reasons[2] == "mixed units: looks like milliseconds in a column of seconds"
    assert reasons[3] == "mixed units: looks like microseconds in a column of seconds"


def test_a_declared_unit_is_not_second_guessed():
    values, reasons = read([SECOND], TimeRule(unit="ms", earliest=0, latest=BOUNDED.latest))
    assert (values, reasons) == ([SECOND], [None])


def test_impossible_times():
    values, reasons = read([SECOND, 0, -5, 5_000_000_000, SECOND])
    assert values == [SECOND * 1000, None, None, None, SECOND * 1000]
    assert reasons[1] == reasons[2] == "impossible time: before 1980-01-01"
    assert reasons[3] == "impossible time: after 2100-01-01"
    # Without bounds (the birthday of an old film, say) they are times.
    assert read([SECOND, 0, -5], TimeRule(unit="s"))[0] == [SECOND * 1000, 0, -5000]


@pytest.mark.parametrize("value", [10**18, -(10**18), 2**63 - 1, "9" * 30, "1e300", float("inf")])
def test_overflow_is_a_reason_not_a_wrong_time(value):
    values, reasons = read([value], TimeRule(unit="s"))
    assert values == [None]
    assert "too large" in reasons[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-09-13T12:26:40Z", SECOND * 1000),
        ("2020-09-13 12:26:40 UTC", SECOND * 1000),
        ("2020-09-13T14:26:40+02:00", SECOND * 1000),
        ("2020-09-13T14:26:40+0200", SECOND * 1000),
        ("2020-09-13 14:26:40.5 +02:00", SECOND * 1000 + 500),
        ("2020-09-13T12:26:40", SECOND * 1000),
        ("2020-09-13 12:26:40.123456", SECOND * 1000 + 123),
        ("2020-09-13 12:26", (SECOND - 40) * 1000),
        ("2020-09-13", 1_599_955_200_000),
        ("2020/09/13", 1_599_955_200_000),
        (" 2020-09-13 ", 1_599_955_200_000),
    ],
)
def test_iso_text(text, expected):
    assert read([text]) == ([expected], [None])


def test_forms_of_iso_text_may_mix():
    values, reasons = read(["2020-09-13", "2020-09-13T12:26:40Z", "2020-09-13 12:26:40", "13.9.2020", None])
    assert values == [1_599_955_200_000, SECOND * 1000, SECOND * 1000, None, None]
    assert reasons == [None, None, None, "not an ISO date or time", None]


def test_a_declared_format_and_zone():
    rule = TimeRule(format="%d.%m.%Y %H:%M", zone="Europe/Berlin")
    values, reasons = read(["13.09.2020 14:26", "09/13/2020", "13.01.2020 13:00"], rule)
    assert values == [(SECOND - 40) * 1000, None, 1_578_916_800_000]
    assert "not format %d.%m.%Y %H:%M" in reasons[1]
    assert read(["13/09/20"], TimeRule(format="%d/%m/%y"))[0] == [1_599_955_200_000]


def test_clock_changes():
    rule = TimeRule(zone="Europe/Berlin")
    # 2:30 on 29 March does not exist; 2:30 on 25 October happens twice and means the first.
    values, reasons = read(["2020-03-29 02:30:00", "2020-10-25 02:30:00"], rule)
    assert values == [None, int(datetime(2020, 10, 25, 0, 30, tzinfo=UTC).timestamp() * 1000)]
    assert "Europe/Berlin skips" in reasons[0]


def test_typed_columns():
    moment = datetime(2020, 9, 13, 12, 26, 40)
    assert read(pl.Series([moment]))[0] == [SECOND * 1000]
    assert read(pl.Series([moment]).dt.cast_time_unit("ns"))[0] == [SECOND * 1000]
    assert read(pl.Series([moment]), TimeRule(zone="Europe/Berlin"))[0] == [(SECOND - 7200) * 1000]
    assert read(pl.Series([moment.replace(tzinfo=UTC)]), TimeRule(zone="Europe/Berlin"))[0] == [SECOND * 1000]
    assert read(pl.Series([date(2020, 9, 13)]))[0] == [1_599_955_200_000]


def test_words_in_a_column_of_numbers():
    values, reasons = read([str(SECOND), "yesterday", str(SECOND)])
    assert values == [SECOND * 1000, None, SECOND * 1000]
    assert "not a number" in reasons[1]
