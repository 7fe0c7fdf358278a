"""The policy over reboots and guards, where it keeps its hands off, and the words that both sides speak."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.unit.watchdog.story import Story
from watchdog import model, policy
from watchdog.model import Memory
from watchdog.policy import BREAKER, HEALTHY, LADDER, WINDOW
from watchdog.states import ALIVE, State, status_exit_code

HOUR = 3600.0


# Reboots and guards ---------------------------------------------------------------------------------------------------


@pytest.mark.fault("F43")
def test_a_reboot_is_no_failure() -> None:
    story = Story()
    for _ in range(20):
        story.run(60)
        story.feed(model.Rebooted())
        story.now += 5
        assert story.vacant(), "started at once after every boot"
    assert not story.is_open() and story.memory.failures == ()
    assert story.said("failed") == []


@pytest.mark.fault("F41")
def test_the_ladder_goes_on_over_a_reboot() -> None:
    story = Story()
    story.crash_loop(6)
    story.start()
    delay = story.die(0.1, verified=False)
    assert delay == LADDER[6]
    booted = policy.shifted(story.memory, 30.0 - story.now - 15.0)  # 15 s passed meanwhile, 30 s since boot
    again = Story(booted, now=30.0)
    assert not again.vacant()
    again.now += delay - 15.0 - 0.01
    assert not again.vacant()
    again.now += 0.02
    assert again.vacant()
    again.start()
    assert again.die(0.1, verified=False) == LADDER[7]
    assert again.is_in(State.FAILED)


def test_shifting_there_and_back_changes_nothing() -> None:
    story = Story()
    story.crash_loop(3)
    there = policy.shifted(story.memory, 512.0)
    assert there != story.memory
    assert policy.shifted(there, -512.0) == story.memory


def test_what_is_not_a_moment_is_not_shifted() -> None:
    memory = Memory(attempt=3, restarts=7, outage=5.0, hold_code=78, told="x", reason="y")
    assert policy.shifted(memory, 1e6) == memory


@pytest.mark.promise(6)
def test_adopting_the_recorded_bot_says_nothing() -> None:
    story = Story()
    story.run(HOUR)
    notes, alerts = len(story.notes), len(story.alerts)
    story.feed(model.Adopted(story.pid, "it holds the bot's lock", HOUR, True))
    assert (len(story.notes), len(story.alerts)) == (notes, alerts)
    assert story.is_in(State.RUNNING)


@pytest.mark.fault("F02")
def test_adopting_a_stranger_is_a_warning_and_starts_nothing() -> None:
    story = Story()
    actions = story.feed(model.Adopted(4711, "started by hand", 30.0, False))
    assert story.starts == 0
    assert [note.level for note in story.notes] == ["warning"]
    assert "4711" in story.notes[0].text and len(actions) == 1


def test_an_adopted_bot_that_has_long_been_healthy_settles_the_past() -> None:
    story = Story()
    story.crash_loop(BREAKER)
    told = len(story.alerts)
    story.now += WINDOW
    story.feed(model.Adopted(4711, "started by hand", WINDOW, False))
    assert not story.is_open()
    assert [alert.kind for alert in story.alerts[told:]] == ["restarted"]


# Hands off ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F10")
@pytest.mark.promise(3)
def test_the_unknown_is_told_once_and_nothing_is_started() -> None:
    story = Story()
    for _ in range(50):
        story.feed(model.Unclear("PID 7 holds the lock and is not known to be the bot"))
        story.now += 10
    assert story.starts == 0
    assert story.is_in(State.UNKNOWN)
    assert len(story.said("error")) == 1
    assert "PID 7" in story.said("error")[0]


def test_another_unknown_is_told_again() -> None:
    story = Story()
    story.feed(model.Unclear("PID 7"))
    story.feed(model.Unclear("PID 8"))
    assert len(story.said("error")) == 2


def test_an_unknown_that_comes_back_after_it_was_settled_is_told_again() -> None:
    story = Story()
    story.feed(model.Unclear("PID 7"))
    assert story.vacant()
    story.run(10)
    story.feed(model.Unclear("PID 7"))
    assert len(story.said("error")) == 2


@pytest.mark.fault("F26")
def test_duplicates_are_told_once_and_none_is_stopped() -> None:
    story = Story()
    story.run(10)
    before = story.memory
    for _ in range(50):
        actions = story.feed(model.Duplicate("more than one bot is running: PIDs 1, 2"))
        assert not any(isinstance(action, model.Start) for action in actions)
        story.now += 30
    assert len(story.said("error")) == 1
    assert story.memory._replace(told="") == before


@pytest.mark.fault("F29")
def test_a_stuck_bot_is_told_once() -> None:
    story = Story()
    story.run(10)
    for _ in range(10):
        story.feed(model.Stuck("PID 7 survived SIGKILL"))
        assert story.is_in(State.STUCK)
    assert len(story.said("error")) == 1


def test_a_stuck_bot_is_never_called_recovered() -> None:
    story = Story()
    story.crash_loop(BREAKER)
    story.run(30)
    story.feed(model.Stuck("PID 7 survived SIGKILL"))
    told = len(story.alerts)
    story.tick(2 * HEALTHY)
    assert len(story.alerts) == told, story.alerts[told:]


# The words that both sides speak --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.RUNNING, 0), (State.STARTING, 0), (State.STOPPING, 0), (State.SUSPECT, 0), (State.HUNG, 0),
        (State.STUCK, 0), (State.BACKOFF, 3), (State.FAILED, 3), (State.HELD, 3), (State.STOPPED, 3),
        (State.DOWN, 3), (State.UNKNOWN, 4),
    ],
)  # fmt: skip
def test_status_exit_codes_follow_lsb(state: State, code: int) -> None:
    assert int(status_exit_code(state)) == code
    assert (code == 0) == (state in ALIVE)


def test_every_state_has_a_row_in_that_table() -> None:
    assert {status_exit_code(state) for state in State} == {0, 3, 4}
    assert len(State) == 12


def test_every_event_of_the_policy_is_handled_by_a_step_that_changes_no_argument() -> None:
    memory = Memory(phase=State.RUNNING, failures=(1.0, 2.0), running_since=5.0)
    before = memory._asdict()
    events: list[model.Event] = [
        model.Adopted(1, "x", 1.0, True), model.Rebooted(), model.Vacant(True, False, False, ""),
        model.Spawned(1, False), model.Verified(1, False), model.Died(1, 1, "x", 1.0, True, ""),
        model.Stopped(False), model.Stuck("x"), model.Unclear("x"), model.Duplicate("x"), model.Asked(),
        model.Judged(()), model.Tick(),
    ]  # fmt: skip
    assert {type(event) for event in events} == set(get_args(model.Event))
    for event in events:
        first = policy.step(memory, event, 100.0)
        assert policy.step(memory, event, 100.0) == first, "the same question has the same answer"
        assert memory._asdict() == before
