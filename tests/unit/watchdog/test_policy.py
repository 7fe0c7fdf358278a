"""The policy's transition table: when a bot is started, when it is not, and who is told of it."""

from __future__ import annotations

import pytest

from tests.unit.watchdog.story import Story
from watchdog import model
from watchdog.policy import BREAKER, HEALTHY, LADDER, WINDOW
from watchdog.states import State

HOUR = 3600.0


# The ladder -----------------------------------------------------------------------------------------------------------


def test_the_delays_are_those_of_the_design_and_never_end() -> None:
    delays = Story().crash_loop(13)
    assert delays == pytest.approx([0, 1, 2, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300])


def test_the_first_death_of_a_running_bot_is_followed_by_a_start_at_once() -> None:
    story = Story()
    story.run(3 * HOUR)
    assert story.die(3 * HOUR) == 0
    assert story.is_in(State.BACKOFF)
    assert story.vacant()


def test_no_start_before_the_delay_has_passed() -> None:
    story = Story()
    story.crash_loop(4)
    story.start()
    delay = story.die(0.1, verified=False)
    assert delay == 10
    story.now += delay - 0.001
    assert not story.vacant()
    story.now += 0.002
    assert story.vacant()


def test_the_ladder_begins_anew_after_600_healthy_seconds() -> None:
    story = Story()
    story.crash_loop(4)
    story.run(HEALTHY + 3)
    assert story.die(HEALTHY + 3) == 0


def test_599_seconds_of_running_are_not_enough_for_the_ladder_to_begin_anew() -> None:
    story = Story()
    story.crash_loop(4)
    story.run(HEALTHY - 1)
    assert story.die(HEALTHY - 1) == LADDER[4]


def test_a_death_after_600_seconds_resets_the_ladder_even_if_no_tick_came_in_between() -> None:
    story = Story()
    story.crash_loop(4)
    story.start()
    story.now += 3
    story.feed(model.Verified(story.pid, False))
    story.now += HEALTHY
    assert story.die(HEALTHY + 3) == 0


def test_a_bot_that_never_was_verified_does_not_reset_the_ladder_by_its_age() -> None:
    story = Story()
    story.crash_loop(3)
    story.start()
    story.now += 2 * HEALTHY
    assert story.die(2 * HEALTHY, verified=False) == LADDER[3]


def test_exit_0_is_restarted_like_any_other() -> None:
    story = Story()
    story.run(100)
    assert story.die(100, code=0, text="ended with exit code 0") == 0
    assert story.vacant()


def test_restarts_are_counted_only_where_nobody_asked() -> None:
    story = Story()
    story.run(10, operator=True)
    assert story.memory.restarts == 0
    story.die(10)
    story.run(10)
    assert story.memory.restarts == 1


# The breaker ----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F41")
def test_the_fifth_failure_within_an_hour_opens_the_breaker_with_one_critical_alert() -> None:
    story = Story()
    story.crash_loop(BREAKER - 1)
    before = len(story.said("failed"))
    assert not story.is_in(State.FAILED)
    story.start()
    story.die(0.1, verified=False)
    assert story.is_in(State.FAILED)
    assert len(story.said("failed")) == before + 1
    assert "5 times within an hour" in story.said("failed")[-1]
    story.now += 10
    assert story.vacant()
    story.crash_loop(50)
    assert len(story.said("failed")) == before + 1, "told once, not at every retry"


@pytest.mark.fault("F41")
@pytest.mark.parametrize("life", [3.5, 30.0, 300.0])
def test_slow_crash_loops_open_the_breaker_too(life: float) -> None:
    story = Story()
    for number in range(1, BREAKER + 1):
        story.run(life)
        story.now += story.die(life)
        assert (story.is_in(State.FAILED)) == (number == BREAKER)
        assert story.vacant()
    assert len(story.said("failed")) == 1


def test_retries_go_on_while_the_breaker_is_open() -> None:
    story = Story()
    story.crash_loop(BREAKER)
    starts = story.starts
    story.crash_loop(20)
    assert story.starts == starts + 20
    story.start()
    story.die(0.1, verified=False)
    assert story.is_in(State.FAILED)
    assert not story.vacant(), "the delay counts while the breaker is open"
    assert story.is_in(State.FAILED)


def test_failures_older_than_an_hour_do_not_count_for_the_breaker() -> None:
    story = Story()
    for _ in range(20):
        story.run(HEALTHY - 10)
        story.die(HEALTHY - 10)
        story.now += WINDOW / 4  # at most four within any hour
    assert not story.is_open()
    assert story.said("failed") == []


def test_a_restart_while_the_breaker_is_open_is_no_news_until_it_has_held() -> None:
    story = Story()
    story.crash_loop(BREAKER)
    told = len(story.alerts)
    story.run(HEALTHY - 1)
    assert len(story.alerts) == told
    assert story.is_open()
    story.tick(WINDOW)
    assert [alert.kind for alert in story.alerts[told:]] == ["restarted"]
    assert not story.is_open()
    assert story.noted("recovered")
    story.tick(5 * HOUR)
    assert len(story.alerts) == told + 1


def test_a_bot_that_dies_every_eleven_minutes_is_a_crash_loop_too() -> None:
    story = Story()
    for _ in range(100):
        story.run(HEALTHY + 60)
        story.now += story.die(HEALTHY + 60)
        assert story.vacant()
    assert story.is_open()
    assert len(story.said("failed")) == 1
    assert len(story.alerts) <= 7, "a hundred deaths are no hundred mails"


def test_a_crash_loop_that_goes_on_with_short_lives_is_not_told_again() -> None:
    story = Story()
    story.crash_loop(BREAKER)
    told = len(story.alerts)
    for _ in range(30):
        story.run(60)
        story.now += story.die(60)
        assert story.vacant()
    assert len(story.alerts) == told


@pytest.mark.fault("F42")
def test_the_operators_start_resets_ladder_and_breaker() -> None:
    story = Story()
    story.crash_loop(9)
    story.start()
    story.die(0.1, verified=False)
    assert story.is_open()
    story.feed(model.Asked())
    assert story.vacant(), "an operator does not wait for the ladder"
    story.run(10, operator=True)
    assert story.is_in(State.RUNNING)
    assert story.memory.restarts == 0
    assert story.die(10) == 0
    assert story.is_in(State.BACKOFF)


# Failing to start -----------------------------------------------------------------------------------------------------


@pytest.mark.fault("F40")
def test_a_bot_that_dies_within_its_start_grace_is_told_once_with_the_cause() -> None:
    story = Story()
    story.crash_loop(3)
    assert len(story.said("failed")) == 1
    assert "ended with exit code 1" in story.said("failed")[0]


@pytest.mark.fault("F45")
def test_a_bot_that_cannot_be_spawned_climbs_the_same_ladder() -> None:
    story = Story()
    delays = []
    for _ in range(4):
        story.feed(model.Died(None, None, "cannot start: no such file: main_app.py", 0.0, False, ""))
        assert story.memory.next_start is not None
        delays.append(story.memory.next_start - story.now)
        story.now = story.memory.next_start
        assert story.vacant(script="")
    assert delays == list(LADDER[:4])
    assert len(story.said("failed")) == 1
    assert "cannot start" in story.said("failed")[0]
    assert "PID" not in story.noted("died")[0]


@pytest.mark.fault("F63")
def test_a_recovery_is_told_exactly_once_with_its_downtime() -> None:
    story = Story()
    story.run(HOUR, operator=True)
    story.now += story.die(HOUR)
    story.crash_loop(3)
    story.run(10)
    recovered = story.said("restarted")
    assert len(recovered) == 1
    assert "down for" in recovered[0] and f"PID {story.pid}" in recovered[0]
    story.tick(5 * HOUR)
    assert len(story.said("restarted")) == 1


def test_the_downtime_in_the_alert_is_the_whole_outage() -> None:
    story = Story()
    story.run(HOUR)
    story.now += story.die(HOUR)
    story.crash_loop(3)  # 1 + 2 + 5 s of delay and three lives of 0.1 s
    story.run(10)
    assert "down for 8.3 s" in story.said("restarted")[-1]


def test_a_failure_after_a_recovery_is_news_again() -> None:
    story = Story()
    story.crash_loop(1)
    story.run(HEALTHY * 2)
    story.now += story.die(HEALTHY * 2)
    story.crash_loop(1)
    assert len(story.said("failed")) == 2


def test_nothing_is_told_of_a_start_that_the_operator_asked_for() -> None:
    story = Story()
    story.feed(model.Asked())
    assert story.vacant()
    story.run(10, operator=True)
    assert story.alerts == []
    assert story.noted("started") and not story.noted("restarted")


def test_every_death_is_noted_with_pid_cause_and_age() -> None:
    story = Story()
    story.run(65)
    story.die(65, code=None, text="was killed by SIGKILL")
    assert story.noted("died") == [f"bot (PID {story.pid}) was killed by SIGKILL after 1 min 5 s"]


@pytest.mark.parametrize("text", ["was killed by SIGKILL", "ended with exit code 1", "cannot start: no such file"])
def test_the_recovery_sentence_is_english_whatever_the_cause(text: str) -> None:
    story = Story()
    story.run(HOUR)
    story.die(HOUR, code=None, text=text)
    story.run(10)
    sentence = story.said("restarted")[-1]
    assert text in sentence
    assert f"had {text}" not in sentence or text.startswith("ended"), sentence
