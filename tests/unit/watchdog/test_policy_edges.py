"""The policy at its edges: each of these tests fails with a slip that the other tests of it let pass."""

from __future__ import annotations

from typing import Any

import pytest

from watchdog import model, policy
from watchdog.model import Action, Alert, Died, Memory, Note, Start, Vacant
from watchdog.states import State

NOW = 50_000.0
NAN = float("nan")
VACANT = Vacant(True, False, False, "v1")


def died(uptime: float = 1.0, verified: bool = True) -> Died:
    """A death of a cause that changes nothing."""
    return Died(7, 1, "ended with exit code 1", uptime, verified, "v1")


def alerts(actions: tuple[Action, ...]) -> list[str]:
    """The texts of the alerts."""
    return [action.text for action in actions if isinstance(action, Alert)]


def test_the_figures_are_those_of_the_design() -> None:
    assert policy.LADDER == (0, 1, 2, 5, 10, 20, 40, 80, 160, 300)
    assert (policy.HEALTHY, policy.WINDOW, policy.BREAKER, policy.CALM) == (600, 3600, 5, 1)
    assert (policy.BUDGET, policy.BUDGET_WINDOW) == (10, 21_600)


@pytest.mark.parametrize(("at", "starts"), [(None, True), (NOW - 1, True), (NOW, True), (NOW + 0.1, False)])
def test_a_bot_is_started_when_its_time_has_come(at: float | None, starts: bool) -> None:
    memory = Memory(phase=State.BACKOFF, attempt=2, next_start=at)
    assert policy.starts(memory, VACANT, NOW) is starts
    changed, actions = policy.step(memory, VACANT, NOW)
    assert (Start() in actions) is starts
    assert changed.phase is State.BACKOFF


def test_waiting_with_an_open_breaker_is_called_failed() -> None:
    memory = Memory(phase=State.DOWN, breaker=True, next_start=NOW + 1)
    assert policy.step(memory, VACANT, NOW)[0].phase is State.FAILED


@pytest.mark.parametrize("known", [True, False])
def test_a_stuck_bot_stays_stuck_while_it_is_the_recorded_one(known: bool) -> None:
    memory = Memory(phase=State.STUCK, told="PID 7 survived SIGKILL")
    changed, actions = policy.step(memory, model.Adopted(7, "by its lock", 9.0, known), NOW)
    assert (changed == memory) is known and bool(actions) is not known


@pytest.mark.parametrize("known", [True, False])
def test_what_was_told_of_the_recorded_bot_is_remembered_when_it_is_found_again(known: bool) -> None:
    memory = Memory(phase=State.RUNNING, told="two bots")
    changed, _ = policy.step(memory, model.Adopted(7, "by its lock", 9.0, known), NOW)
    assert changed.told == ("two bots" if known else "")
    assert changed.running_since == NOW - 9.0


def test_a_stranger_in_the_place_of_a_dead_bot_is_told_with_its_end() -> None:
    adopted = model.Adopted(7, "started by hand", 9.0, False)
    fell = Memory(phase=State.BACKOFF, down_since=NOW - 60, reason="was killed by SIGKILL")
    (text,) = alerts(policy.step(fell, adopted, NOW)[1])
    assert "was killed by SIGKILL" in text and "not told" not in text
    assert alerts(policy.step(fell._replace(down_since=None), adopted, NOW)[1]) == []


@pytest.mark.parametrize(("age", "counted"), [(3599.0, 2), (3600.0, 1)])
def test_a_failure_counts_for_less_than_an_hour(age: float, counted: int) -> None:
    assert len(policy.step(Memory(failures=(NOW - age,)), died(), NOW)[0].failures) == counted


def test_only_the_last_fifty_failures_are_remembered() -> None:
    failures = tuple(NOW - 100 + number for number in range(60))
    assert policy.step(Memory(failures=failures), died(), NOW)[0].failures == (*failures[-49:], NOW)
    assert policy.sane(Memory(failures=failures), NOW).failures == failures[-50:]


@pytest.mark.parametrize(("uptime", "verified", "delay"), [(600.0, True, 0), (599.9, True, 5), (600.0, False, 5)])
def test_six_hundred_seconds_are_enough(uptime: float, verified: bool, delay: int) -> None:
    assert policy.step(Memory(attempt=3), died(uptime, verified), NOW)[0].next_start == NOW + delay


def test_an_opened_breaker_counts_as_told() -> None:
    changed, actions = policy.step(Memory(failures=(NOW - 4, NOW - 3, NOW - 2, NOW - 1)), died(), NOW)
    assert changed.failure_told and changed.phase is State.FAILED and len(alerts(actions)) == 1
    assert not policy.step(changed, model.Asked(), NOW)[0].failure_told


@pytest.mark.parametrize("restarting", [True, False])
def test_a_proved_stop_leaves_the_place_empty(restarting: bool) -> None:
    changed, _ = policy.step(Memory(phase=State.STOPPING, attempt=3), model.Stopped(restarting), NOW)
    assert changed == (Memory(phase=State.DOWN, down_since=NOW) if restarting else Memory(phase=State.STOPPED))


def test_the_unknown_is_news_again_after_another_phase() -> None:
    memory = Memory(phase=State.RUNNING, told="PID 7 holds the lock")
    assert len(alerts(policy.step(memory, model.Unclear("PID 7 holds the lock"), NOW)[1])) == 1


@pytest.mark.parametrize(("since", "attempt"), [(NOW - 600, 0), (NOW - 599.9, 3), (None, 3)])
def test_the_ladder_begins_anew_at_the_tick_after_six_hundred_seconds(since: float | None, attempt: int) -> None:
    memory = Memory(phase=State.RUNNING, attempt=3, running_since=since)
    assert policy.step(memory, model.Tick(), NOW) == (memory._replace(attempt=attempt), ())


@pytest.mark.parametrize(
    ("memory", "at"),
    [
        (Memory(attempt=1), None),
        (Memory(running_since=NOW), None),
        (Memory(running_since=NOW, attempt=1), NOW + 600),
        (Memory(running_since=NOW, attempt=1, breaker=True, failures=(NOW - 9, NOW - 1)), NOW + 600),
        (Memory(running_since=NOW, breaker=True, failures=(NOW - 9, NOW - 1)), NOW - 9 + 3600),
        (Memory(running_since=NOW, breaker=True, failures=(NOW - 1,)), NOW + 600),
        (Memory(running_since=NOW, breaker=True, failures=(NOW - 3500, NOW - 1)), NOW + 600),
    ],
)
def test_when_the_next_tick_is_worth_while(memory: Memory, at: float | None) -> None:
    assert policy.settle_at(memory) == at


@pytest.mark.parametrize(
    ("field", "said", "sane"),
    [
        ("attempt", -1, 0), ("attempt", 2, 2), ("restarts", -1, 0), ("restarts", 3, 3), ("untold", -1, 0),
        ("untold", 4, 4), ("next_start", None, None), ("next_start", NAN, None), ("next_start", NOW + 7, NOW + 7),
        ("next_start", NOW + 301, NOW + 300), ("running_since", None, None), ("running_since", NAN, None),
        ("running_since", NOW - 1, NOW - 1), ("running_since", NOW + 1, NOW), ("down_since", NOW + 1, NOW),
        ("outage", None, None), ("outage", -0.5, None), ("outage", 0.0, 0.0), ("outage", 0.5, 0.5),
        ("outage", NAN, None), ("outage", 1e10, None),
        ("failures", (NOW - 3600, NOW - 3599, NOW, NOW + 1), (NOW - 3599, NOW)),
        ("told_at", (NOW - 21_600, NOW - 21_599, NOW, NOW + 1), (NOW - 21_599, NOW)),
    ],
)  # fmt: skip
def test_what_a_file_may_say(field: str, said: Any, sane: Any) -> None:
    memory = Memory(**{field: said})
    assert getattr(policy.sane(memory, NOW), field) == sane


def test_no_life_is_shorter_than_nothing() -> None:
    note = next(action for action in policy.step(Memory(), died(-1.0), NOW)[1] if isinstance(action, Note))
    assert note.text.endswith("after 0 ms")


def test_a_bot_that_could_not_be_started_has_no_age() -> None:
    _, actions = policy.step(Memory(), Died(None, None, "could not be started", 9.0, False, "v1"), NOW)
    assert next(action.text for action in actions if isinstance(action, Note)) == "bot could not be started"


def test_the_operators_word_makes_a_fresh_start() -> None:
    memory = Memory(
        State.HELD, 3, (NOW,), True, NOW + 1, None, NOW - 9, 5.0, 2, "ended", "", (NOW,), 4, True, "told", 78, "v1"
    )
    changed, actions = policy.step(memory, model.Asked(), NOW)
    assert changed == Memory(State.HELD, down_since=NOW - 9, outage=5.0, told="told") and actions == ()


@pytest.mark.parametrize(("mails", "untold", "told"), [(9, 0, True), (10, 3, False)])
def test_the_budget_is_ten_mails_about_restarts_in_six_hours(mails: int, untold: int, told: bool) -> None:
    lately = tuple(NOW - 21_000 + number for number in range(mails))
    memory = Memory(phase=State.STARTING, told_at=(NOW - 21_600, *lately), untold=2)
    changed, actions = policy.step(memory, model.Verified(7, False), NOW)
    assert changed.told_at == ((*lately, NOW) if told else lately)
    assert changed.untold == untold
    assert ["2 restarts before this one were not told" in text for text in alerts(actions)] == [True] * told


def only(actions: tuple[Action, ...], kind: type) -> list[Any]:
    """The actions of a kind, whole."""
    return [action for action in actions if isinstance(action, kind)]


def test_what_is_said_of_a_start_a_proof_and_a_stop() -> None:
    spawned, actions = policy.step(Memory(down_since=NOW - 4), model.Spawned(7, operator=False), NOW)
    assert actions == (Note("spawned", "bot started: PID 7, not verified yet", "info"),)
    assert (spawned.restarts, spawned.outage, spawned.running_since) == (1, 4.0, None)
    asked, _ = policy.step(Memory(down_since=NOW - 4), model.Spawned(7, operator=True), NOW)
    first, _ = policy.step(Memory(), model.Spawned(7, operator=False), NOW)
    assert (asked.restarts, first.restarts, first.outage) == (0, 0, None)
    _, actions = policy.step(spawned._replace(reason="was killed by SIGKILL"), model.Verified(7, False), NOW)
    text = "bot is running again: PID 7, down for 4.0 s; before that it was killed by SIGKILL"
    assert actions == (Note("restarted", text, "ok"), Alert("restarted", text))
    _, actions = policy.step(first, model.Verified(7, False), NOW)
    assert alerts(actions) == ["bot was not running and has been started: PID 7"]
    _, actions = policy.step(spawned, model.Verified(7, True), NOW)
    assert actions == (Note("started", "bot is running: PID 7, as asked", "ok"),)
    _, actions = policy.step(spawned, model.Stopped(restarting=False), NOW)
    assert actions == (Note("stopped", "bot stopped, as asked", "ok"),)


def test_a_failure_exactly_an_hour_old_is_forgotten_and_the_end_of_a_loop_makes_failures_news_again() -> None:
    loop = Memory(
        phase=State.RUNNING, running_since=NOW - 600, attempt=3, breaker=True, failure_told=True,
        failures=(NOW - 3600, NOW - 3599),
    )  # fmt: skip
    calm, actions = policy.step(loop, model.Tick(), NOW)
    assert calm.failures == (NOW - 3599,) and not calm.breaker and not calm.failure_told and calm.attempt == 0
    assert [note.kind for note in only(actions, Note)] == ["recovered"] and len(alerts(actions)) == 1


def test_a_reboot_moves_every_moment_the_same_way() -> None:
    memory = Memory(failures=(10.0, 20.0), told_at=(30.0,), next_start=40.0, running_since=50.0, down_since=60.0)
    moved = policy.shifted(memory, -5.0)
    assert (moved.failures, moved.told_at) == ((5.0, 15.0), (25.0,))
    assert (moved.next_start, moved.running_since, moved.down_since) == (35.0, 45.0, 55.0)
