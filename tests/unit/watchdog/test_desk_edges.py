"""The desk at its edges: each of these tests fails with a slip that the other tests of it let pass."""

from __future__ import annotations

import pytest

from tests.unit.watchdog.parts import VirtualClock
from tests.unit.watchdog.test_desk import backoff, operation, running, view
from watchdog.desk import Desk, outcome, result
from watchdog.model import Memory
from watchdog.outcome import Operation
from watchdog.policy import MAINTENANCE, SHUTDOWN
from watchdog.states import ExitCode, State


@pytest.mark.parametrize(
    ("verb", "asked", "goes"),
    [
        ("stop", 5.0, True), ("stop", 9.0, True), ("restart", 9.0, True), ("restart", 7.0, False),
        ("restart", 5.0, False), ("start", 9.0, False), ("check", 9.0, False),
    ],
)  # fmt: skip
def test_which_bot_has_to_go(verb: str, asked: float, goes: bool) -> None:
    desk = Desk()
    desk.open(Operation(verb, "alice", "", lambda result: None, asked=asked), view())
    assert desk.stops(began=7.0) is goes


def test_the_first_operation_is_the_one_that_came_first() -> None:
    desk = Desk()
    assert desk.first() is None
    one, _ = operation("check")
    other, _ = operation("start")
    desk.open(one, view())
    desk.open(other, view())
    assert desk.first() is one


def test_attempts_are_noted_once() -> None:
    desk = Desk()
    one, _ = operation("check")
    desk.open(one, view())
    desk.mark(3)
    desk.mark(4)
    assert one.attempt == 3


def test_the_bot_of_the_beginning_stays_the_old_one() -> None:
    desk = Desk()
    one, _ = operation("restart", old_pid=10)
    desk.open(one, running(10))
    desk.adopted(20, known=False)
    desk.adopted(30, known=True)
    assert (one.old_pid, one.adopted) == (10, True)


def test_an_unfinished_stop_is_no_start_even_where_nothing_is_under_way() -> None:
    desk = Desk()
    one, results = operation("stop", old_pid=20)
    desk.open(one, running(20))
    desk.abandon(running(20))
    assert results[0].code is ExitCode.FAILED


@pytest.mark.parametrize(
    ("verb", "old", "seen", "code", "action"),
    [
        ("stop", 20, running(20), ExitCode.FAILED, "failed"),
        ("start", 10, running(20), ExitCode.FAILED, "failed"),
        ("check", 10, view(Memory(phase=State.STOPPED)), ExitCode.OK, "none"),
    ],
)
def test_only_a_success_has_done_something(
    virtual_clock: VirtualClock, verb: str, old: int, seen: object, code: ExitCode, action: str
) -> None:
    one, _ = operation(verb, old)
    one.adopted = code is ExitCode.FAILED
    found = result(one, seen, code, "text")  # type: ignore[arg-type]
    assert (found.action, found.verified_after) == (action, None)


@pytest.mark.parametrize(("old", "text"), [(20, "already running: PID 20"), (10, "running: PID 20")])
def test_a_bot_that_ran_before_is_called_already_running(old: int, text: str) -> None:
    one, _ = operation("start", old)
    assert outcome(one, running(20), 5_000.0) == (ExitCode.OK, text)


@pytest.mark.parametrize(("old", "text"), [(20, "stopped PID 20"), (None, "was not running; stays stopped")])
def test_a_stop_says_whom_it_stopped(old: int | None, text: str) -> None:
    one, _ = operation("stop", old)
    assert outcome(one, view(Memory(phase=State.STOPPED)), 5_000.0) == (ExitCode.OK, text)


def test_patience_ends_at_its_moment() -> None:
    memory = backoff()
    one, _ = operation("check", patience=5_004.0)
    one.attempt = memory.attempt
    assert outcome(one, view(memory), now=5_004.0) is not None


@pytest.mark.parametrize("next_start", [None, 4_990.0])
def test_a_try_that_is_due_comes_at_once(next_start: float | None) -> None:
    one, _ = operation("start")
    memory = backoff()._replace(next_start=next_start)
    found = outcome(one, view(memory), now=5_000.0)
    assert found is not None and "next try in 0 ms" in found[1]


@pytest.mark.parametrize("pause", [MAINTENANCE, SHUTDOWN])
def test_a_pause_counts_only_where_the_bot_is_down(pause: str) -> None:
    one, _ = operation("check")
    assert outcome(one, view(Memory(phase=State.STARTING, pause=pause)), 5_000.0) is None
