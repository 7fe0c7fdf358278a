"""Killed at any line and at any system call there is at most one bot, and after the next tick exactly one.

The lines and the system calls of start and restart are taken one and all, the rest by samples: `./dev torture` takes
everything.
"""

from __future__ import annotations

import pytest

from tests.torture import suite

#: Row, and every how-manieth point is taken, from which on. A row that is taken whole comes in parts of equal length.
LINES = [("lines: start by cron", 4, part) for part in range(4)] + [("lines: restart", 3, part) for part in range(3)]
CALLS = [("calls: start", 3, part) for part in range(3)] + [("calls: restart", 3, part) for part in range(3)]
SAMPLES = [("lines: stop by hand", 40, 7), ("lines: restart by hand", 40, 11), ("lines: check", 40, 13)]
OTHERS = [("failing: start", 12, 1), ("failing: restart", 12, 2), ("spawn window", 6, 0), ("heir", 6, 5)]

pytestmark = pytest.mark.timeout(900)


def run(row: str, every: int = 1, part: int = 0, seconds: float = 10.0) -> None:
    options = suite.Options(every=every, part=part, seconds=seconds, workers=1)
    outcome, answers = suite.run(row, options, lambda *_: None)
    told = [f"--only '{row}' --point {number} ({name}): {verdict['note']}" for number, name, verdict in answers]
    assert outcome.good, "\n".join([str(outcome), *(line for line in told if not line.endswith(": "))])


@pytest.mark.fault("F22")
@pytest.mark.promise(1)
@pytest.mark.parametrize(("row", "every", "part"), [*LINES, *SAMPLES])
def test_killed_at_any_line_it_never_makes_two_bots_and_a_tick_makes_one(row: str, every: int, part: int) -> None:
    run(row, every, part)


@pytest.mark.fault("F22")
@pytest.mark.promise(1)
@pytest.mark.parametrize(("row", "every", "part"), CALLS)
def test_killed_at_any_system_call_it_never_makes_two_bots(row: str, every: int, part: int) -> None:
    run(row, every, part)


@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.parametrize(("row", "every", "part"), OTHERS)
def test_neither_a_failing_call_nor_a_kill_at_full_speed_doubles_or_loses_a_bot(
    row: str, every: int, part: int
) -> None:
    run(row, every, part)


@pytest.mark.promise(1)
@pytest.mark.promise(2)
def test_ticks_kills_and_operators_at_random_leave_exactly_one_bot() -> None:
    run("stress")


def test_an_agent_that_trusts_the_pid_file_is_caught() -> None:
    outcome, answers = suite.run("mutant", suite.Options(every=2, workers=1), lambda *_: None)
    assert outcome.good, f"the harness proves nothing: {len(answers)} points and no double"
