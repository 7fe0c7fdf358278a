"""Quiet hours: when silence is normal, in UTC, as in ``Mon-Fri 20:00-13:30, Sat-Sun, 2026-12-25``.

Plain arithmetic on seconds: the guard need not load ``datetime``. The work does not grow with the length of a span, so
a clock that is years off costs nothing.
"""

from __future__ import annotations

import time
from typing import NamedTuple

_DAY = 86_400
_WEEK = 7 * _DAY
_MONDAY = 4 * _DAY  # 1970-01-05, the first Monday of the epoch
_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_Span = tuple[int, int]


class Hours(NamedTuple):
    """Spans of seconds, in order and apart: ``week`` from Monday 00:00 UTC, ``dates`` from the epoch."""

    week: tuple[tuple[int, int], ...] = ()
    dates: tuple[tuple[int, int], ...] = ()


NONE = Hours()
"""Never quiet."""


def parse(text: str) -> Hours:
    """Read a setting; empty is never quiet. Raises ValueError with one sentence about the first part that is wrong.

    A part is days, times, or days and times. Times that end before they begin go over midnight, and count on both
    sides of the days that are named: ``Mon-Fri 20:00-13:30`` holds Monday's morning and Saturday's.
    """
    week: list[_Span] = []
    dates: list[_Span] = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        words = part.split()
        times = words.pop() if ":" in words[-1] else "00:00-24:00"
        if len(words) > 1:
            raise ValueError(f"{part!r} is not days, times, or days and times, as in 'Mon-Fri 20:00-13:30'")
        spans = _times(times, part)
        if words and words[0][0].isdigit():
            begin = _date(words[0], part)
            dates += [(begin + first, begin + last) for first, last in spans]
            continue
        for day in _days(words[0], part) if words else range(7):
            for first, last in spans:
                begin, end = day * _DAY + first, day * _DAY + last
                week += [(begin, min(end, _WEEK)), (0, end - _WEEK)]
    return Hours(_merged(week), _merged(dates))


def awake(hours: Hours, since: float, until: float) -> float:
    """Seconds between two moments (UTC, since the epoch) that are not quiet; 0 when they stand the wrong way round."""
    found = _wakeful(hours.week, since, until)
    for first, last in hours.dates:
        found -= _wakeful(hours.week, max(first, since), min(last, until))
    return found


def is_quiet(hours: Hours, utc: float) -> bool:
    """Whether silence is normal at this moment."""
    second = (utc - _MONDAY) % _WEEK
    return any(first <= second < last for first, last in hours.week) or any(
        first <= utc < last for first, last in hours.dates
    )


def _wakeful(week: tuple[_Span, ...], since: float, until: float) -> float:
    if until <= since:
        return 0.0
    return until - since - (_slept(week, until) - _slept(week, since))


def _slept(week: tuple[_Span, ...], utc: float) -> float:
    """Quiet seconds from the first Monday of the epoch until ``utc``, negative before it."""
    weeks, second = divmod(utc - _MONDAY, _WEEK)
    within = sum(max(0.0, min(last, second) - first) for first, last in week)
    return weeks * sum(last - first for first, last in week) + within


def _merged(spans: list[_Span]) -> tuple[_Span, ...]:
    found: list[_Span] = []
    for first, last in sorted(span for span in spans if span[0] < span[1]):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def _times(text: str, part: str) -> list[_Span]:
    """Seconds of a day, beyond its end where they reach into the next one."""
    first, _, last = text.partition("-")
    begin, end = _clock(first, part), _clock(last, part)
    if begin in (end, _DAY):
        raise ValueError(f"{part!r} names no span of time: it must end at another time than it begins")
    return [(begin, end)] if begin < end else [(0, end), (begin, _DAY + end)]


def _clock(text: str, part: str) -> int:
    hour, _, minute = text.partition(":")
    if not (_digits(hour, 2) and _digits(minute, 2)) or int(minute) > 59 or int(hour) * 60 + int(minute) > 24 * 60:
        raise ValueError(f"{part!r}: {text!r} is no time of day from 00:00 to 24:00; write both, as in 20:00-13:30")
    return int(hour) * 3600 + int(minute) * 60


def _days(text: str, part: str) -> list[int]:
    first, dash, last = text.lower().partition("-")
    if first not in _NAMES or (dash and last not in _NAMES):
        raise ValueError(f"{part!r}: {text!r} names no days: use Mon Tue Wed Thu Fri Sat Sun, Mon-Fri or 2026-12-25")
    begin, end = _NAMES.index(first), _NAMES.index(last or first)
    return [(begin + number) % 7 for number in range((end - begin) % 7 + 1)]


def _date(text: str, part: str) -> int:
    """Seconds from the epoch to the beginning of a day (Gregorian, as gmtime(3) reckons)."""
    year, month, day = [*text.split("-"), "", "", ""][:3]
    if _digits(year, 4) and _digits(month, 2) and _digits(day, 2) and len(text) == 10 and int(year) >= 1970:
        y, m = (int(year), int(month)) if int(month) > 2 else (int(year) - 1, int(month) + 12)
        days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * m - 457) // 5 + int(day) - 719_469
        if time.gmtime(days * _DAY)[:3] == (int(year), int(month), int(day)):
            return days * _DAY
    raise ValueError(f"{part!r}: {text!r} is no day of the calendar from 1970 on, as in 2026-12-25")


def _digits(text: str, count: int) -> bool:
    return len(text) == count and text.isascii() and text.isdigit()
