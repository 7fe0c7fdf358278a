"""What samples tell: thresholds, growth and the suggestion for deaf bots."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY
from watchdog import quiet
from watchdog.growth import ENOUGH, Trend, over, suggestion, trend
from watchdog.limits import Limits
from watchdog.model import Sign
from watchdog.samples import Sample

START = 1_795_996_800
MINUTES_A_WEEK = 7 * 1440
MEGABYTE = 1_000_000


def sample(minute: float = 0, **changes: float) -> Sample:
    """A sample of a bot that is well."""
    plain = Sample(START + round(minute * 60), 3.0, 100 * MEGABYTE, 31, 256, 5, 2, 0, 60_000)
    return plain._replace(**changes)  # type: ignore[arg-type]


def series(kind: str, values: Sequence[float]) -> tuple[Sample, ...]:
    """Samples, one a minute, with these values."""
    return tuple(sample(minute, **{kind: value}) for minute, value in enumerate(values))


# Thresholds -----------------------------------------------------------------------------------------------------------

LIMITS = Limits(memory=500 * MEGABYTE, cpu=95.0)


def test_a_bot_below_its_limits_gives_no_sign() -> None:
    assert over((), LIMITS, 0.0) == ()
    assert over(tuple(sample(minute) for minute in range(5)), LIMITS, 0.0) == ()


@pytest.mark.fault("F55")
@pytest.mark.parametrize(
    ("kind", "values", "measured", "limit", "text"),
    [
        (
            "memory", [600e6, 100e6, 610e6, 611e6, 612.3e6], 612.3e6, 500e6,
            "used more than 500.0 MB of memory in 4 of the last 5 samples, now 612.3 MB",
        ),
        (
            "cpu", [96.0, 3.0, 97.0, 98.0, 99.75], 99.75, 95.0,
            "used more than 95 % of a core in 4 of the last 5 samples, now 99.8 %",
        ),
        (
            "descriptors", [233, 31, 231, 231, 231], 231, 230.4,
            "had more than 90 % of its descriptors open in 4 of the last 5 samples, now 231 of 256",
        ),
    ],
)  # fmt: skip
def test_four_of_five_samples_above_a_limit_are_a_sign(
    kind: str, values: list[float], measured: float, limit: float, text: str
) -> None:
    recent = series(kind, values)
    assert over(recent, LIMITS, 5_000.0) == (Sign(kind, False, text, 5_000.0 - 240, measured, limit),)
    chosen = LIMITS._replace(restart_on=frozenset({kind, "stopped"}))
    assert over(recent, chosen, 5_000.0)[0].proof
    others = chosen._replace(restart_on=frozenset({"memory", "cpu", "descriptors"} - {kind}))
    assert not over(recent, others, 5_000.0)[0].proof


def test_samples_before_the_last_five_do_not_count() -> None:
    values = [600e6, 600e6, 600e6, 100e6, 100e6, 600e6]
    assert over(series("memory", values), LIMITS, 0.0) == ()
    assert over(series("memory", [*values, 600e6, 600e6, 600e6]), LIMITS, 9_000.0)[0].since == 9_000.0 - 180


def test_fewer_samples_than_are_needed_give_no_sign() -> None:
    assert over(series("memory", [600e6] * 3), LIMITS, 0.0) == ()
    (sign,) = over(series("memory", [600e6] * 4), LIMITS, 0.0)
    assert "in 4 of the last 4 samples" in sign.text


def test_a_bot_that_has_recovered_is_not_restarted() -> None:
    eager = LIMITS._replace(restart_on=frozenset({"memory"}))
    values = [600e6, 600e6, 600e6, 600e6, 499e6]
    (sign,) = over(series("memory", values), eager, 0.0)
    assert not sign.proof and sign.measured == 499e6
    assert over(series("memory", [*values, 499e6]), eager, 0.0) == ()


def test_exactly_the_limit_is_not_above_it() -> None:
    assert over(series("memory", [500e6] * 5), LIMITS, 0.0) == ()
    assert over(series("cpu", [95.0] * 5), LIMITS, 0.0) == ()


def test_limits_that_are_off_and_unlimited_descriptors_give_no_sign() -> None:
    none = Limits(descriptors=0.0)
    assert over(series("memory", [1e15] * 5), none, 0.0) == ()
    assert over(series("cpu", [6_400.0] * 5), none, 0.0) == ()
    assert over(series("descriptors", [256] * 5), none, 0.0) == ()
    for ceiling in (0, -1, (1 << 64) - 1):
        recent = tuple(sample(minute, descriptors=100_000, ceiling=ceiling) for minute in range(5))
        assert over(recent, Limits(), 0.0) == ()


def test_one_sign_of_each_kind_at_once() -> None:
    bad = tuple(sample(minute, memory=600 * MEGABYTE, cpu=100.0, descriptors=256) for minute in range(5))
    assert [sign.kind for sign in over(bad, LIMITS, 0.0)] == ["memory", "cpu", "descriptors"]


@PROPERTY
@given(
    st.lists(st.sampled_from([100.0, 600.0]), max_size=20),
    st.integers(1, 8).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of))),
)
def test_m_of_the_last_n_whatever_they_are(values: list[float], of: tuple[int, int]) -> None:
    above = [value > 500 for value in values[-of[1] :]]
    found = over(series("cpu", values), Limits(cpu=500.0, of=of), 0.0)
    assert bool(found) == (sum(above) >= of[0])
    if found:
        assert found[0].since == -60.0 * (len(above) - 1 - above.index(True))


# Growth ---------------------------------------------------------------------------------------------------------------


def test_memory_that_grows_evenly_is_measured_whatever_its_peaks() -> None:
    chance = random.Random(4)
    grown = [
        sample(minute, memory=100 * MEGABYTE + 2 * MEGABYTE * minute // 60 + (chance.random() < 0.1) * 50 * MEGABYTE)
        for minute in range(10 * 60)
    ]
    found = trend(grown)
    assert found is not None
    assert found.seconds == pytest.approx(4.5 * 3600, abs=120)
    assert found.gained == pytest.approx(9 * MEGABYTE, abs=0.5 * MEGABYTE)
    assert found.now == pytest.approx(118 * MEGABYTE, abs=2 * MEGABYTE)


def test_the_words_of_a_trend() -> None:
    assert Trend(12_040_000, 16_200, 132 * MEGABYTE).text == "grew 12.0 MB in 4 h 30 min, to 132.0 MB"
    assert Trend(-12_040_000, 3_600, 88 * MEGABYTE).text == "shrank 12.0 MB in 1 h, to 88.0 MB"


def test_a_bot_that_needs_what_it_needed_has_not_grown() -> None:
    found = trend([sample(minute, memory=100 * MEGABYTE + minute % 7 * MEGABYTE) for minute in range(360)])
    assert found is not None and abs(found.gained) <= MEGABYTE


def test_an_hour_of_samples_is_needed() -> None:
    assert trend([]) is None
    assert trend([sample(minute) for minute in range(60)]) is None
    assert trend([sample(minute) for minute in range(61)]) is not None
    assert trend([sample(minute * 30) for minute in range(7)]) is None


def test_samples_from_before_a_jump_of_the_clock_are_left_out() -> None:
    ahead = [sample(1_000_000 + minute, memory=900 * MEGABYTE) for minute in range(100)]
    found = trend([*ahead, *(sample(minute) for minute in range(100))])
    assert found is not None and found.gained == 0


# The suggestion -------------------------------------------------------------------------------------------------------


def week(silence: tuple[int, int] = (0, 0), minutes: int = MINUTES_A_WEEK, **in_silence: float) -> list[Sample]:
    """A week of data every minute, but for one stretch of minutes."""
    first, last = silence
    quiet_minute = {"received": 0, **in_silence}
    return [sample(minute, **(quiet_minute if first <= minute < last else {})) for minute in range(minutes)]


def test_the_longest_silence_three_times_in_whole_minutes_and_five_minutes_at_least() -> None:
    assert suggestion(week(), 200) == 300
    assert suggestion(week((5_000, 5_001)), 200) == 300
    assert suggestion(week((5_000, 5_020)), 200) == 3_600
    slower = [entry._replace(utc=START + (entry.utc - START) // 60 * 61) for entry in week((5_000, 5_007))]
    assert suggestion(slower, 200) == 22 * 60, "7 x 61 s three times, rounded up"


def test_keep_alives_are_silence_and_so_is_a_trickle() -> None:
    assert suggestion(week((5_000, 5_020), received=400), 200) == 3_600
    assert suggestion(week((5_000, 5_020), received=401), 200) == 300
    twice_as_far = week((5_000, 5_020), received=800)[::2]
    assert suggestion(twice_as_far, 200) == 3_600, "the rate counts, not the pace of the samples"


def test_a_silence_without_a_connection_counts_once_there_was_one() -> None:
    assert suggestion(week((5_000, 5_020), connections=0), 200) == 3_600
    assert suggestion(week((0, 500), connections=0), 200) == 300
    assert suggestion([entry._replace(connections=0) for entry in week()], 200) is None


def test_a_day_of_samples_is_needed() -> None:
    assert suggestion([], 200) is None
    assert suggestion([sample()], 200) is None
    assert suggestion(week(minutes=ENOUGH), 200) is None
    assert suggestion(week(minutes=ENOUGH + 1), 200) == 300


def test_only_the_last_week_counts() -> None:
    month = week((5_000, 5_500), 30 * 1440)
    assert suggestion(month, 200) == 300
    assert suggestion(month[: MINUTES_A_WEEK + 5_400], 200) == 100 * 60 * 3


def test_gaps_and_jumps_of_the_clock_are_no_silence() -> None:
    silent = week((5_000, 5_040))
    assert suggestion([*silent[:5_020], *silent[5_900:]], 200) == 20 * 60 * 3
    slow = [*silent[:5_020], *(entry._replace(utc=entry.utc - 600) for entry in silent[5_020:])]
    assert suggestion(slow, 200) == 20 * 60 * 3


def test_quiet_hours_are_no_silence() -> None:
    nights = [
        entry if 6 <= entry.utc // 3600 % 24 < 22 else entry._replace(received=0) for entry in week((5_000, 5_020))
    ]
    assert suggestion(nights, 200) == 8 * 3600 * 3
    assert suggestion(nights, 200, quiet.parse("22:00-06:00")) == 3_600


def test_samples_that_are_far_apart_suggest_no_less_than_five_of_them() -> None:
    rare = [entry for entry in week() if entry.utc % 540 == 0]
    assert len(rare) > ENOUGH
    assert suggestion(rare, 200) == 5 * 540


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 500_000), st.integers(0, 10**9), st.integers(0, 3)), max_size=30))
def test_whatever_the_samples_a_suggestion_is_whole_minutes(items: list[tuple[int, int, int]]) -> None:
    odd = [sample(0, utc=START + utc, received=received, connections=count) for utc, received, count in items]
    found = suggestion([*week(minutes=1_200), *odd], 200)
    assert found is None or (found >= 300 and found % 60 == 0)
    assert trend(odd) is None or isinstance(trend(odd), Trend)
