"""The limits by which a living bot is judged: what is understood, and what is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.watchdog.parts import one_line
from watchdog import limits, settings
from watchdog.errors import ConfigError
from watchdog.limits import Limits


def parse(**given: str) -> Limits:
    values = {**settings.SETTINGS, **{f"WATCHDOG_{key.upper()}": value for key, value in given.items()}}
    return limits.parse(values, lambda key, what: ConfigError(f"{key}: {values[key]!r} {what}"))


def test_with_nothing_set_the_limits_are_the_defaults() -> None:
    assert parse() == Limits()


@pytest.mark.parametrize(
    ("given", "field", "meant"),
    [
        ({"hang_after": "0"}, "hang_after", 0.0),
        ({"heartbeat": "2.5"}, "heartbeat", 2.5),
        ({"fresh_file": "x.log", "fresh_after": "900"}, "fresh_after", 900.0),
        ({"deaf_bytes": "0"}, "deaf_bytes", 0),
        ({"restart_on": "deaf, stopped"}, "restart_on", ("stopped", "deaf")),
        ({"restart_on": "none"}, "restart_on", ()),
        ({"max_memory": "500M"}, "memory", 500_000_000),
        ({"max_memory": "2gb"}, "memory", 2_000_000_000),
        ({"max_memory": "1048576"}, "memory", 1 << 20),
        ({"max_cpu": "150%"}, "cpu", 150.0),
        ({"max_descriptors": "75"}, "descriptors", 0.75),
        ({"max_descriptors": "0"}, "descriptors", 0.0),
        ({"limit_samples": "3/3"}, "of", (3, 3)),
        ({"sample_every": "0.5"}, "sample_every", 0.5),
    ],
)
def test_what_is_written_is_what_is_meant(given: dict[str, str], field: str, meant: Any) -> None:
    assert getattr(parse(**given), field) == meant


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hang_after": "-1"}, "WATCHDOG_HANG_AFTER"),
        ({"hang_after": "nan"}, "seconds from 1 to 86400, or 0"),
        ({"heartbeat": "0"}, "WATCHDOG_HEARTBEAT"),
        ({"fresh_after": "60"}, "needs WATCHDOG_FRESH_FILE"),
        ({"deaf_after": "soon"}, "WATCHDOG_DEAF_AFTER"),
        ({"deaf_bytes": "-5"}, "whole number"),
        ({"deaf_bytes": "٣"}, "whole number"),
        ({"quiet_hours": "sometimes"}, "WATCHDOG_QUIET_HOURS"),
        ({"restart_on": "stopped,backlogs"}, "not 'backlogs'"),
        ({"restart_on": "none,deaf"}, "or none alone"),
        ({"max_memory": "lots"}, "such as 500M"),
        ({"max_cpu": "-3"}, "WATCHDOG_MAX_CPU"),
        ({"max_descriptors": "101"}, "from 0 to 100"),
        ({"limit_samples": "5/4"}, "such as 4/5"),
        ({"limit_samples": "4"}, "such as 4/5"),
        ({"sample_every": "0"}, "WATCHDOG_SAMPLE_EVERY"),
    ],
)
def test_a_wrong_limit_is_one_line_that_names_it(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(**given)
    assert said in one_line(caught.value)


def test_looks_come_often_enough_for_the_shortest_limit_and_never_too_often() -> None:
    assert Limits().look_every == 15.0
    assert Limits(hang_after=2.0).look_every == 0.25
    assert Limits(heartbeat=0.5).look_every == 0.1
    assert Limits(hang_after=0.0).look_every == 15.0


def test_a_bot_is_told_to_beat_as_is_asked_of_it_or_well_before_it_would_count_as_hung() -> None:
    assert Limits(heartbeat=7.0).promise == 7.0
    assert Limits().promise == 60.0
    assert Limits(hang_after=0.0).promise == 0.0
