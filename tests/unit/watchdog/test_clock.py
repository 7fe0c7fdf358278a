"""Time for people, and time that does not jump."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY
from watchdog import clock

UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 ms"), (0, "0 ms"), (0.012, "12 ms"), (0.5, "500 ms"), (1, "1.0 s"), (4.2, "4.2 s"), (10, "10 s"),
        (59, "59 s"), (60, "1 min"), (185, "3 min 5 s"), (3600, "1 h"), (7800, "2 h 10 min"), (3661, "1 h 1 min"),
        (86400, "1 d"), (3 * 86400 + 4 * 3600 + 59, "3 d 4 h"), (400 * 86400, "400 d"),
    ],
)  # fmt: skip
def test_durations_for_people(seconds: float, text: str) -> None:
    assert clock.human(seconds) == text


def value(text: str) -> float:
    """Seconds in a duration for people."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+) (ms|s|min|h|d)", text))


@PROPERTY
@given(st.floats(0, 1e8))
def test_a_duration_for_people_is_within_a_few_percent(seconds: float) -> None:
    text = clock.human(seconds)
    assert value(text) == pytest.approx(seconds, rel=0.05, abs=0.001)
    assert len(text) < 16


@PROPERTY
@given(st.floats(0, 1e8))
@example(0.9996)
@example(9.97)
@example(59.7)
def test_no_unit_is_filled_to_the_brim(seconds: float) -> None:
    assert not re.search(r"\b(1000 ms|10\.0 s|60 s|60 min|24 h)\b", clock.human(seconds))


@PROPERTY
@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)))  # noqa: DTZ001 - the zone is set below
def test_a_stamp_is_what_datetime_writes(when: datetime) -> None:
    aware = when.replace(tzinfo=UTC, microsecond=when.microsecond // 1000 * 1000 + 500)
    expected = aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert clock.stamp(aware.timestamp()) == expected


def test_stamps_sort_by_time_and_are_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = clock.stamp()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert abs(datetime.fromisoformat(found).timestamp() - time.time()) < 5


def test_the_boot_clock_is_the_kernels_and_the_boot_has_a_name() -> None:
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert clock.now() == pytest.approx(uptime, abs=1)
    assert clock.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip() != ""
