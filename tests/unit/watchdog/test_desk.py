"""The operator's desk: what a verb is answered, and when."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.watchdog.parts import VirtualClock
from tests.unit.watchdog.story import Story
from watchdog import model
from watchdog.desk import Desk, View, outcome
from watchdog.model import Memory
from watchdog.outcome import Operation, Result
from watchdog.states import ExitCode, State

VERBS = ("check", "start", "stop", "restart", "reset")
LATER = None


def view(memory: Memory | None = None, pid: int | None = None, verified: bool = True, unsettled: bool = False) -> View:
    """What the desk sees."""
    return View(memory or Memory(), pid, verified and pid is not None, unsettled, 4_990.0)


def running(pid: int = 20) -> View:
    """A verified bot."""
    return view(Memory(phase=State.RUNNING), pid)


def operation(verb: str, old_pid: int | None = None, patience: float = 0.0) -> tuple[Operation, list[Result]]:
    """An operation and the list that its results go to."""
    results: list[Result] = []
    one = Operation(verb, "alice", "", results.append, patience)
    one.old_pid = old_pid
    return one, results


def maintenance() -> Memory:
    """A bot that is down in maintenance."""
    story = Story()
    story.vacant(maintenance=True)
    return story.memory


def shutdown() -> Memory:
    """A bot that is down since the host goes down."""
    story = Story()
    story.vacant(shutting_down=True)
    return story.memory


def backoff() -> Memory:
    """A bot that has died and waits for its next start."""
    story = Story(now=5_000.0)
    story.crash_loop(3)
    story.now = 5_000.0
    story.start()
    story.die(0.1, verified=False)
    assert story.is_in(State.BACKOFF)
    return story.memory


def held() -> Memory:
    """A bot that asked not to be started."""
    story = Story()
    story.start()
    story.die(0.1, verified=False, code=78)
    story.vacant()
    return story.memory


def unknown() -> Memory:
    """Somebody who cannot be identified holds the lock."""
    story = Story()
    story.feed(model.Unclear("PID 7 holds the lock"))
    return story.memory


TABLE: list[tuple[str, View, dict[str, Any]]] = [
    ("runs, verified", running(), {"check": 0, "start": 0, "restart": 0, "reset": 0, "stop": LATER}),
    ("runs, not verified", view(Memory(phase=State.STARTING), 20, False), dict.fromkeys(VERBS, LATER)),
    ("is being stopped", view(Memory(phase=State.STOPPING), 20, unsettled=True), dict.fromkeys(VERBS, LATER)),
    ("nobody looked yet", view(Memory()), dict.fromkeys(VERBS, LATER)),
    ("stopped", view(Memory(phase=State.STOPPED)), {"check": 0, "start": 75, "restart": 75, "reset": 0, "stop": 0}),
    ("waits for its next start", view(backoff()), {**dict.fromkeys(VERBS, 1), "stop": LATER}),
    ("held", view(held()), {**dict.fromkeys(VERBS, 1), "stop": LATER}),
    ("unknown", view(unknown()), dict.fromkeys(VERBS, 4)),
    ("maintenance", view(maintenance()), {"check": 0, "reset": 0, "stop": LATER}),
    ("the host goes down", view(shutdown()), {**dict.fromkeys(VERBS, 1), "stop": LATER}),
]


@pytest.mark.parametrize(
    ("seen", "verb", "code"),
    [(seen, verb, code) for _, seen, row in TABLE for verb, code in row.items()],
    ids=[f"{verb}, bot {name}" for name, _, row in TABLE for verb in row],
)
def test_the_outcome_of_a_verb(seen: View, verb: str, code: int | None) -> None:
    one, _ = operation(verb)
    one.attempt = 0
    found = outcome(one, seen, now=5_000.0)
    if code is LATER:
        assert found is None
    else:
        assert found is not None and int(found[0]) == code
        assert found[1] and "\n" not in found[1] and "None" not in found[1]


def test_nothing_is_settled_while_the_ladder_works() -> None:
    for _, seen, _ in TABLE:
        for verb in VERBS:
            one, _ = operation(verb)
            assert outcome(one, seen._replace(unsettled=True), now=5_000.0) is None


def test_a_failed_start_says_why_and_when_the_next_try_comes() -> None:
    one, _ = operation("start")
    one.attempt = 0
    found = outcome(one, view(backoff()), now=5_000.0)
    assert found is not None
    assert "ended with exit code 1" in found[1] and "5.0 s" in found[1]


def test_a_check_waits_for_the_ladder_until_its_patience_is_over() -> None:
    memory = backoff()
    one, _ = operation("check", patience=5_004.0)
    one.attempt = memory.attempt
    assert outcome(one, view(memory), now=5_000.0) is None
    assert outcome(one, view(memory), now=5_004.1) is not None


def test_a_check_that_saw_its_own_start_fail_waits_no_longer() -> None:
    memory = backoff()
    one, _ = operation("check", patience=5_004.0)
    one.attempt = memory.attempt - 1
    found = outcome(one, view(memory), now=5_000.0)
    assert found is not None and found[0] is ExitCode.FAILED


# The proof in the answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "old", "seen", "action"),
    [
        ("start", None, running(20), "started"),
        ("start", 20, running(20), "none"),
        ("restart", 10, running(20), "restarted"),
        ("restart", None, running(20), "started"),
        ("check", None, running(20), "started"),
        ("check", 20, running(20), "none"),
        ("reset", None, running(20), "started"),
        ("reset", 20, running(20), "none"),
        ("reset", None, view(Memory(phase=State.STOPPED)), "none"),
        ("stop", 10, view(Memory(phase=State.STOPPED)), "stopped"),
        ("stop", None, view(Memory(phase=State.STOPPED)), "none"),
        ("start", None, view(unknown()), "refused"),
        ("start", None, view(held()), "failed"),
        ("start", None, view(backoff()), "failed"),
        ("start", None, view(Memory(phase=State.STOPPED)), "refused"),
    ],
)
def test_the_answer_names_what_was_done(
    virtual_clock: VirtualClock, verb: str, old: int | None, seen: View, action: str
) -> None:
    desk = Desk()
    one, results = operation(verb, old)
    desk.open(one, seen)
    desk.settle(seen)
    (found,) = results
    assert (found.action, found.old_pid, found.pid) == (action, old, seen.pid)
    assert found.verified_after == (10.0 if action in ("started", "restarted") else None)
    document = found.document()
    assert document["ok"] is (found.code == 0) and document["exit_code"] == int(found.code)


def test_a_bot_found_running_is_called_adopted_unless_it_was_ours(virtual_clock: VirtualClock) -> None:
    for known, action in ((False, "adopted"), (True, "none")):
        desk = Desk()
        one, results = operation("start")
        desk.open(one, view())
        desk.adopted(20, known)
        desk.settle(running(20))
        assert (results[0].action, results[0].old_pid) == (action, 20)


# Several at once -----------------------------------------------------------------------------------------------------


@pytest.mark.fault("F21")
def test_a_stop_gives_up_everything_that_would_start_the_bot() -> None:
    desk = Desk()
    started, first = operation("start")
    checked, second = operation("check")
    desk.open(started, view())
    desk.open(checked, view())
    stopping, third = operation("stop")
    desk.open(stopping, view())
    assert [found.code for found in (*first, *second)] == [ExitCode.BUSY, ExitCode.BUSY]
    assert "alice" in first[0].message
    assert third == [] and desk.wants("stop") and not desk.wants("start", "check", "restart")


@pytest.mark.fault("F21")
@pytest.mark.parametrize(
    ("first", "second", "busy"),
    [
        ("start", "start", False), ("start", "restart", True), ("restart", "start", True), ("stop", "start", True),
        ("stop", "restart", True), ("check", "start", False), ("check", "restart", False), ("start", "stop", False),
        ("restart", "stop", False), ("start", "check", False), ("stop", "check", False), ("stop", "stop", False),
        ("restart", "restart", False), ("reset", "start", False), ("reset", "restart", False), ("stop", "reset", False),
        ("restart", "reset", False),
    ],
)  # fmt: skip
def test_who_stands_in_whose_way(first: str, second: str, busy: bool) -> None:
    desk = Desk()
    one, _ = operation(first)
    desk.open(one, view())
    assert (desk.in_the_way(second) is not None) is busy


def test_everybody_is_answered_exactly_once(virtual_clock: VirtualClock) -> None:
    desk = Desk()
    everyone = [operation(verb) for verb in ("check", "start", "start")]
    for one, _ in everyone:
        desk.open(one, view())
    desk.settle(view())
    assert [len(results) for _, results in everyone] == [0, 0, 0]
    desk.settle(running(20))
    desk.settle(running(20))
    desk.close_all(running(20), ExitCode.STUCK, "stuck")
    desk.abandon(running(20))
    assert [len(results) for _, results in everyone] == [1, 1, 1]


def test_when_the_time_is_up_each_learns_how_far_it_came(virtual_clock: VirtualClock) -> None:
    for verb, seen, code in (
        ("start", view(Memory(phase=State.STARTING), 20, False), ExitCode.OK),
        ("stop", view(Memory(phase=State.STOPPING), 20, unsettled=True), ExitCode.FAILED),
        ("restart", view(Memory(phase=State.STOPPING), 20, unsettled=True), ExitCode.FAILED),
        ("start", view(Memory(phase=State.DOWN)), ExitCode.FAILED),
    ):
        desk = Desk()
        one, results = operation(verb)
        desk.open(one, seen)
        desk.abandon(seen)
        assert results[0].code is code, (verb, results)


@pytest.mark.fault("F29")
def test_a_stuck_bot_is_answered_with_5(virtual_clock: VirtualClock) -> None:
    desk = Desk()
    one, results = operation("stop", old_pid=20)
    desk.open(one, running(20))
    desk.close_all(running(20), ExitCode.STUCK, "PID 20 survived SIGKILL")
    assert int(results[0].code) == 5
    assert results[0].document()["exit_code"] == 5


@pytest.mark.fault("F29")
@pytest.mark.parametrize("verb", ["check", "start"])
def test_a_bot_that_survived_sigkill_is_not_already_running(verb: str) -> None:
    stuck = view(Memory(phase=State.STUCK, told="PID 20 survived SIGKILL"), 20)
    assert outcome(operation(verb)[0], stuck, 0.0) == (ExitCode.STUCK, "PID 20 survived SIGKILL")
