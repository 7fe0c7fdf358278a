"""Quiet hours: what can be written, which moments it means, and that no clock makes them cost time."""

from __future__ import annotations

import calendar
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, attempt, one_line
from watchdog import quiet

HOUR, DAY = 3600, 86_400
STOCKS = "Mon-Fri 20:00-13:30, Sat-Sun, 2026-12-25, 2026-12-24 18:00-24:00"


def at(moment: str) -> float:
    """``2026-12-21 13:30`` as seconds since the epoch."""
    return calendar.timegm(time.strptime(moment, "%Y-%m-%d %H:%M"))


def naive(text: str, moment: datetime) -> bool:
    """The same rules, once more, by the calendar of the standard library."""
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    for part in filter(None, (part.strip() for part in text.split(","))):
        words = part.lower().split()
        begin, end = ([*words[-1].split("-")] if ":" in words[-1] else ["00:00", "24:00"])[:2]
        days = words[0] if ":" not in words[0] else "mon-sun"

        def named(day: datetime, days: str = days) -> bool:
            if days[0].isdigit():
                return day.strftime("%Y-%m-%d") == days
            first, _, last = days.partition("-")
            return (day.weekday() - names.index(first)) % 7 <= (names.index(last or first) - names.index(first)) % 7

        clock = moment.strftime("%H:%M")
        if begin < end and begin <= clock < end and named(moment):
            return True
        if begin > end and named(moment) and (clock >= begin or clock < end):
            return True
        if begin > end and named(moment - timedelta(days=1)) and clock < end:
            return True
    return False


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-12-21 13:29", True), ("2026-12-21 13:30", False), ("2026-12-21 19:59", False),
        ("2026-12-21 20:00", True), ("2026-12-26 09:00", True), ("2026-12-24 18:00", True), ("2026-12-24 17:59", False),
        ("2026-12-25 15:00", True), ("2026-12-28 15:00", False),
    ],
)  # fmt: skip
def test_the_hours_of_a_stock_exchange(moment: str, expected: bool) -> None:
    assert quiet.is_quiet(quiet.parse(STOCKS), at(moment)) is expected


def test_times_over_midnight_count_on_both_sides_of_the_day_that_is_named() -> None:
    hours = quiet.parse("Fri 22:00-06:00")
    quiet_at = {day: quiet.is_quiet(hours, at(f"2026-12-{day} 05:00")) for day in (24, 25, 26, 27)}
    assert quiet_at == {24: False, 25: True, 26: True, 27: False}


def test_a_span_that_begins_on_sunday_reaches_into_monday() -> None:
    hours = quiet.parse("Sun 23:00-01:00")
    assert quiet.is_quiet(hours, at("2026-12-28 00:30")) and not quiet.is_quiet(hours, at("2026-12-28 01:00"))


def test_days_may_go_round_the_end_of_the_week_and_times_alone_mean_every_day() -> None:
    assert quiet.parse("Sat-Mon") == quiet.parse("mon, sun,SAT")
    assert quiet.parse("22:00-24:00") == quiet.parse("Mon-Sun 22:00-24:00")


@pytest.mark.parametrize("text", ["", "  ", ",", " , "])
def test_nothing_said_is_never_quiet(text: str) -> None:
    assert quiet.parse(text) == quiet.NONE
    assert quiet.awake(quiet.NONE, 1000.0, 1500.5) == 500.5


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Mon-Xxx", "'Mon-Xxx' names no days"), ("Mon-", "'Mon-' names no days"), ("whenever", "'whenever' names no"),
        ("Mon 9:00-17:00", "'9:00' is no time of day"), ("Mon 09:00-24:01", "'24:01' is no time"),
        ("Mon 09:60-10:00", "'09:60' is no time"), ("20:00", "'' is no time"), ("Mon 10:00-10:00", "no span of time"),
        ("24:00-01:00", "no span of time"), ("2026-02-29", "'2026-02-29' is no day of the calendar"),
        ("2026-13-01", "is no day"), ("2026-12-00", "is no day"), ("2026-12-31-05", "is no day"), ("2026-1-1", "is no"),
        ("1969-12-31", "is no day"), ("Mon Tue 10:00-11:00", "is not days, times, or days and times"),
        ("Sat, Sun 7-9", "is not days, times"), ("\u0662\u0660:00-21:00", "is no time of day"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_sentence_that_names_it(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        quiet.parse(text)
    assert wrong in one_line(refused.value)


@PROPERTY
@given(st.text(alphabet="MonFriSatxyz0123456789:-, \u00e9", max_size=30))
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    hours, refusal = attempt(lambda: quiet.parse(text), ValueError)
    if not refusal:
        assert list(hours.week) == sorted(hours.week) and all(0 <= a < b <= 7 * DAY for a, b in hours.week)


DAYS = st.sampled_from(["", "Mon", "Sat-Sun", "Fri-Mon", "Wed", "2026-11-29", "2026-12-01", "2026-02-28"])
TIMES = st.sampled_from(["", "00:00-24:00", "22:00-06:00", "20:00-13:30", "09:15-09:45", "23:00-00:00"])
PARTS = st.tuples(DAYS, TIMES).map(" ".join).map(str.strip).filter(bool)
TEXTS = st.lists(PARTS, max_size=4).map(", ".join)
BEGIN = int(datetime(2026, 11, 25, tzinfo=UTC).timestamp())


@PROPERTY
@given(TEXTS, st.integers(0, 14 * 24 * 60))
def test_every_moment_is_quiet_as_the_calendar_says(text: str, minutes: int) -> None:
    moment = BEGIN + minutes * 60
    expected = naive(text, datetime.fromtimestamp(moment, UTC))
    assert quiet.is_quiet(quiet.parse(text), moment) is expected


@PROPERTY
@given(TEXTS, st.integers(0, 14 * 24 * 60), st.integers(0, 3 * 24 * 60))
def test_the_time_awake_is_the_sum_of_the_minutes_that_are_not_quiet(text: str, minutes: int, length: int) -> None:
    hours, since = quiet.parse(text), BEGIN + minutes * 60
    expected = 60 * sum(not quiet.is_quiet(hours, since + 60 * minute) for minute in range(length))
    assert quiet.awake(hours, since, since + 60 * length) == pytest.approx(expected)


@pytest.mark.parametrize("length", [HOUR, 365 * DAY, 1e6 * DAY, 1e15])
def test_a_span_of_any_length_is_answered_without_walking_through_it(length: float) -> None:
    hours = quiet.parse(STOCKS)
    calls = 0

    class Counted(tuple):  # type: ignore[type-arg]
        def __iter__(self):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            return super().__iter__()

    counted = quiet.Hours(Counted(hours.week), Counted(hours.dates))
    found = quiet.awake(counted, at("2026-12-01 00:00"), at("2026-12-01 00:00") + length)
    assert 0 <= found <= length and calls < 30


@pytest.mark.parametrize("utc", [-1e12, -1.0, 0.0, 1e18])
def test_a_broken_clock_gets_an_answer(utc: float) -> None:
    assert quiet.is_quiet(quiet.parse(STOCKS), utc) in (True, False)
    assert quiet.awake(quiet.parse(STOCKS), utc, utc - 10) == 0


def test_a_weeks_worth_of_stocks() -> None:
    since = at("2026-11-30 00:00")
    assert quiet.awake(quiet.parse(STOCKS), since, since + 7 * DAY) == 5 * 6.5 * HOUR


def test_a_date_on_a_day_that_is_quiet_anyway_counts_once() -> None:
    hours = quiet.parse("Fri 12:00-24:00, 2026-12-25")
    assert quiet.awake(hours, at("2026-12-25 00:00"), at("2026-12-26 00:00")) == 0
    assert quiet.awake(hours, at("2026-12-24 00:00"), at("2026-12-27 00:00")) == 2 * DAY
