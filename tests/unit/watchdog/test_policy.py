"""The policy's transition table: when a bot is started, when it is not, and who is told of it."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.unit.watchdog.story import Story
from watchdog import policy
from watchdog.policy import BREAKER, HEALTHY, LADDER, WINDOW, Memory
from watchdog.states import ALIVE, HOLD_CODES, State, status_exit_code

HOUR = 3600.0


# The ladder ----------------------------------------------------------------------------------------------------------


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
    story.feed(policy.Verified(story.pid, False))
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


# The breaker ---------------------------------------------------------------------------------------------------------


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
    story.feed(policy.Asked())
    assert story.vacant(), "an operator does not wait for the ladder"
    story.run(10, operator=True)
    assert story.is_in(State.RUNNING)
    assert story.memory.restarts == 0
    assert story.die(10) == 0
    assert story.is_in(State.BACKOFF)


# Failing to start ----------------------------------------------------------------------------------------------------


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
        story.feed(policy.Died(None, None, "cannot start: no such file: main_app.py", 0.0, False, ""))
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
    story.feed(policy.Asked())
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


# Holding -------------------------------------------------------------------------------------------------------------


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
    story.feed(policy.Asked())
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
    story.feed(policy.Adopted(4711, "without the lock, probably started by hand", 60.0, False))
    story.pid = 4711
    story.tick(24 * HOUR)
    story.now += story.die(24 * HOUR, code=None, text="was killed by SIGKILL")
    assert story.vacant(), "the hold ended when the operator started the bot; now it is silently none"


# The operator's word -------------------------------------------------------------------------------------------------


@pytest.mark.promise(5)
def test_a_stopped_bot_is_never_started_however_long_it_lasts() -> None:
    story = Story()
    story.run(HOUR)
    story.feed(policy.Stopped(restarting=False))
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
    story.feed(policy.Stopped(restarting=False))
    assert story.memory == Memory(phase=State.STOPPED)


def test_a_restart_is_noted_as_one_action_and_not_alerted() -> None:
    story = Story()
    story.run(HOUR)
    told = len(story.alerts)
    story.feed(policy.Asked())
    story.feed(policy.Stopped(restarting=True))
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


# Reboots and guards --------------------------------------------------------------------------------------------------


@pytest.mark.fault("F43")
def test_a_reboot_is_no_failure() -> None:
    story = Story()
    for _ in range(20):
        story.run(60)
        story.feed(policy.Rebooted())
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
    story.feed(policy.Adopted(story.pid, "it holds the bot's lock", HOUR, True))
    assert (len(story.notes), len(story.alerts)) == (notes, alerts)
    assert story.is_in(State.RUNNING)


@pytest.mark.fault("F02")
def test_adopting_a_stranger_is_a_warning_and_starts_nothing() -> None:
    story = Story()
    actions = story.feed(policy.Adopted(4711, "started by hand", 30.0, False))
    assert story.starts == 0
    assert [note.level for note in story.notes] == ["warning"]
    assert "4711" in story.notes[0].text and len(actions) == 1


def test_an_adopted_bot_that_has_long_been_healthy_settles_the_past() -> None:
    story = Story()
    story.crash_loop(BREAKER)
    told = len(story.alerts)
    story.now += WINDOW
    story.feed(policy.Adopted(4711, "started by hand", WINDOW, False))
    assert not story.is_open()
    assert [alert.kind for alert in story.alerts[told:]] == ["restarted"]


# Hands off -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F10")
@pytest.mark.promise(3)
def test_the_unknown_is_told_once_and_nothing_is_started() -> None:
    story = Story()
    for _ in range(50):
        story.feed(policy.Unclear("PID 7 holds the lock and is not known to be the bot"))
        story.now += 10
    assert story.starts == 0
    assert story.is_in(State.UNKNOWN)
    assert len(story.said("error")) == 1
    assert "PID 7" in story.said("error")[0]


def test_another_unknown_is_told_again() -> None:
    story = Story()
    story.feed(policy.Unclear("PID 7"))
    story.feed(policy.Unclear("PID 8"))
    assert len(story.said("error")) == 2


def test_an_unknown_that_comes_back_after_it_was_settled_is_told_again() -> None:
    story = Story()
    story.feed(policy.Unclear("PID 7"))
    assert story.vacant()
    story.run(10)
    story.feed(policy.Unclear("PID 7"))
    assert len(story.said("error")) == 2


@pytest.mark.fault("F26")
def test_duplicates_are_told_once_and_none_is_stopped() -> None:
    story = Story()
    story.run(10)
    before = story.memory
    for _ in range(50):
        actions = story.feed(policy.Duplicate("more than one bot is running: PIDs 1, 2"))
        assert not any(isinstance(action, policy.Start) for action in actions)
        story.now += 30
    assert len(story.said("error")) == 1
    assert story.memory._replace(told="") == before


@pytest.mark.fault("F29")
def test_a_stuck_bot_is_told_once() -> None:
    story = Story()
    story.run(10)
    for _ in range(10):
        story.feed(policy.Stuck("PID 7 survived SIGKILL"))
        assert story.is_in(State.STUCK)
    assert len(story.said("error")) == 1


def test_a_stuck_bot_is_never_called_recovered() -> None:
    story = Story()
    story.crash_loop(BREAKER)
    story.run(30)
    story.feed(policy.Stuck("PID 7 survived SIGKILL"))
    told = len(story.alerts)
    story.tick(2 * HEALTHY)
    assert len(story.alerts) == told, story.alerts[told:]


# The words that both sides speak -------------------------------------------------------------------------------------


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
    events: list[policy.Event] = [
        policy.Adopted(1, "x", 1.0, True), policy.Rebooted(), policy.Vacant(True, False, False, ""),
        policy.Spawned(1, False), policy.Verified(1, False), policy.Died(1, 1, "x", 1.0, True, ""),
        policy.Stopped(False), policy.Stuck("x"), policy.Unclear("x"), policy.Duplicate("x"), policy.Asked(),
        policy.Tick(),
    ]  # fmt: skip
    assert {type(event) for event in events} == set(get_args(policy.Event))
    for event in events:
        first = policy.step(memory, event, 100.0)
        assert policy.step(memory, event, 100.0) == first, "the same question has the same answer"
        assert memory._asdict() == before
