"""The policy and the operator: holding, stop, maintenance, shutdown."""

from __future__ import annotations

import pytest

from tests.unit.watchdog.story import Story
from watchdog import model
from watchdog.model import Memory
from watchdog.policy import BREAKER
from watchdog.states import HOLD_CODES, State

HOUR = 3600.0


# Holding --------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F44")
@pytest.mark.parametrize("code", sorted(HOLD_CODES))
def test_a_hold_code_stops_all_retries_with_one_alert(code: int) -> None:
    story = Story()
    story.start()
    story.die(0.1, verified=False, code=code, text=f"ended with exit code {code}")
    for _ in range(100):
        story.now += HOUR
        assert not story.vacant()
        assert story.is_in(State.HELD)
    assert len(story.said("failed")) == len(story.alerts) == 1
    assert str(code) in story.alerts[0].text


def test_78_and_79_are_the_only_hold_codes() -> None:
    held = set()
    for code in range(256):
        story = Story()
        story.run(10)
        story.die(10, code=code)
        story.now += HOUR
        if not story.vacant():
            held.add(code)
    assert held == {78, 79}


@pytest.mark.fault("F44")
def test_a_changed_script_ends_the_hold() -> None:
    story = Story()
    story.start()
    story.die(0.1, verified=False, code=78)
    story.now += 10
    assert not story.vacant(script="v1")
    assert story.vacant(script="v2")
    assert story.memory.hold_code is None


@pytest.mark.fault("F44")
def test_the_operators_start_ends_the_hold() -> None:
    story = Story()
    story.start()
    story.die(0.1, verified=False, code=78)
    assert not story.vacant()
    story.feed(model.Asked())
    assert story.vacant()


def test_a_hold_outranks_an_open_breaker() -> None:
    story = Story()
    story.crash_loop(BREAKER + 2)
    story.start()
    story.die(0.1, verified=False, code=78)
    story.now += HOUR
    assert not story.vacant()
    assert story.is_in(State.HELD)


@pytest.mark.promise(2)
def test_a_held_bot_that_was_started_by_hand_is_restarted_again_when_it_dies() -> None:
    story = Story()
    story.start()
    story.die(0.1, verified=False, code=78)
    assert not story.vacant()
    story.now += HOUR
    story.feed(model.Adopted(4711, "without the lock, probably started by hand", 60.0, False))
    story.pid = 4711
    story.tick(24 * HOUR)
    story.now += story.die(24 * HOUR, code=None, text="was killed by SIGKILL")
    assert story.vacant(), "the hold ended when the operator started the bot; now it is silently none"


# The operator's word --------------------------------------------------------------------------------------------------


@pytest.mark.promise(5)
def test_a_stopped_bot_is_never_started_however_long_it_lasts() -> None:
    story = Story()
    story.run(HOUR)
    story.feed(model.Stopped(restarting=False))
    for _ in range(200):
        story.now += HOUR
        assert not story.vacant(wanted=False)
        assert story.is_in(State.STOPPED)
    assert story.alerts == [] or [alert.kind for alert in story.alerts] == ["restarted"]


def test_a_stop_while_waiting_for_a_retry_ends_the_retries() -> None:
    story = Story()
    story.crash_loop(4)
    story.start()
    story.die(0.1, verified=False)
    assert not story.vacant(wanted=False)
    assert story.is_in(State.STOPPED)
    story.now += HOUR
    assert not story.vacant(wanted=False)
    assert story.memory.next_start is None


def test_a_stop_forgets_the_failures_before_it() -> None:
    story = Story()
    story.crash_loop(BREAKER + 3)
    story.start()
    story.feed(model.Stopped(restarting=False))
    assert story.memory == Memory(phase=State.STOPPED)


def test_a_restart_is_noted_as_one_action_and_not_alerted() -> None:
    story = Story()
    story.run(HOUR)
    told = len(story.alerts)
    story.feed(model.Asked())
    story.feed(model.Stopped(restarting=True))
    assert not story.noted("stopped")
    assert story.vacant()
    story.run(10, operator=True)
    assert len(story.alerts) == told


@pytest.mark.fault("F75")
@pytest.mark.promise(5)
def test_maintenance_starts_nothing_and_says_so_once() -> None:
    story = Story()
    story.run(HOUR)
    told = len(story.alerts)
    story.die(HOUR)
    for _ in range(60):
        assert not story.vacant(maintenance=True)
        assert story.is_in(State.DOWN)
        story.now += 60
    assert len(story.noted("not-started")) == 1
    assert len(story.alerts) == told


@pytest.mark.fault("F75")
def test_the_end_of_maintenance_starts_a_bot_that_died_meanwhile() -> None:
    story = Story()
    story.run(HOUR)
    story.die(HOUR)
    assert not story.vacant(maintenance=True)
    story.now += 2 * HOUR
    assert story.vacant()
    story.run(10)
    sentence = story.said("restarted")[-1]
    assert "down for 2 h" in sentence
    assert "had maintenance" not in sentence, sentence


def test_stop_outranks_maintenance() -> None:
    story = Story()
    assert not story.vacant(wanted=False, maintenance=True)
    assert story.is_in(State.STOPPED)


@pytest.mark.fault("F38")
def test_nothing_is_started_while_the_host_shuts_down() -> None:
    story = Story()
    story.run(HOUR)
    story.die(HOUR, code=0)
    assert not story.vacant(shutting_down=True)
    assert story.is_in(State.DOWN)
    assert story.vacant(), "a shutdown that was called off"
