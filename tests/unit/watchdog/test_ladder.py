"""Stopping for good, on real processes: whoever ignores, sleeps, is stopped or leaves children behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.unit.watchdog.parts import Sleepers, first_line, until
from watchdog import clock, identity, ladder, procfs
from watchdog.identity import Identity
from watchdog.ladder import Ladder

POLITE = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
PARENT = """
import os, signal, sys, time
if os.fork() == 0:
    {child}
    print(os.getpid(), flush=True)
    time.sleep(600)
time.sleep(600)
"""


def known(process: subprocess.Popen[str], own_session: bool = True) -> Identity:
    """The identity of a process."""
    found = identity.identify(process.pid, own_session)
    assert found is not None
    return found


def climb(rungs: Ladder, within: float = 10.0) -> float:
    """Drive the ladder as the engine does; seconds until its end."""
    before = time.monotonic()
    while rungs.outcome is None:
        poll = select.poll()
        for descriptor in rungs.descriptors():
            poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, rungs.deadline - clock.now()) * 1000 + 1)
        rungs.advance()
        assert time.monotonic() - before < within, "the ladder does not end"
    assert rungs.descriptors() == []
    rungs.close()
    return time.monotonic() - before


def bot(sleepers: Sleepers, code: str) -> subprocess.Popen[str]:
    """A process in a session of its own that has said that it is up."""
    return sleepers.python("-c", code, start_new_session=True)


def test_a_polite_bot_is_stopped_at_once_and_not_killed(sleepers: Sleepers) -> None:
    process = bot(sleepers, POLITE)
    rungs = Ladder(known(process), grace=20.0)
    assert climb(rungs) < 5
    assert (rungs.outcome, rungs.killed) == ("gone", False)
    assert not procfs.alive(process.pid, rungs.main.start)


def test_a_bot_gets_its_whole_grace_to_shut_down_in_order(sleepers: Sleepers) -> None:
    slow = """
import os, signal, sys, time
def leave(*_):
    time.sleep(0.3)
    os.write(1, b"closed all positions\\n")  # print may be at work in the main program: it is not reentrant
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("up", flush=True)
time.sleep(600)
"""
    process = bot(sleepers, slow)
    rungs = Ladder(known(process), grace=20.0)
    assert 0.3 <= climb(rungs) < 10
    assert not rungs.killed
    assert first_line(process) == "closed all positions"


@pytest.mark.fault("F29")
def test_a_bot_that_ignores_term_is_killed_after_its_grace(sleepers: Sleepers) -> None:
    process = bot(sleepers, DEAF)
    rungs = Ladder(known(process), grace=0.3)
    assert 0.3 <= climb(rungs) < 5
    assert (rungs.outcome, rungs.killed) == ("gone", True)
    assert not procfs.alive(process.pid, rungs.main.start)


def test_a_grace_of_zero_kills_without_waiting(sleepers: Sleepers) -> None:
    rungs = Ladder(known(bot(sleepers, DEAF)), grace=0.0)
    assert climb(rungs) < 3
    assert rungs.killed


@pytest.mark.fault("F30")
def test_a_stopped_bot_hears_the_term(sleepers: Sleepers) -> None:
    process = bot(sleepers, POLITE)
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: (found := procfs.stat(process.pid)) and found.state == "T")
    rungs = Ladder(known(process), grace=2.0)
    assert climb(rungs) < 5
    assert not rungs.killed


@pytest.mark.fault("F31")
def test_children_that_are_left_behind_are_stopped_too(sleepers: Sleepers) -> None:
    process = sleepers.start(sys.executable, "-c", PARENT.format(child="pass"), start_new_session=True)
    child = sleepers.child_of(process)
    start = procfs.stat(child)
    rungs = Ladder(known(process), grace=20.0)
    assert climb(rungs) < 5
    assert rungs.outcome == "gone" and start is not None
    assert not procfs.alive(child, start.start)


@pytest.mark.fault("F31")
def test_children_that_ignore_term_are_killed(sleepers: Sleepers) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    process = sleepers.start(sys.executable, "-c", PARENT.format(child=deaf), start_new_session=True)
    child = sleepers.child_of(process)
    start = procfs.stat(child)
    rungs = Ladder(known(process), grace=0.3)
    climb(rungs)
    assert rungs.outcome == "gone" and not rungs.killed and start is not None
    assert not procfs.alive(child, start.start)


@pytest.mark.fault("F31")
def test_children_in_a_session_that_is_not_ours_are_left_alone(sleepers: Sleepers) -> None:
    process = sleepers.start(sys.executable, "-c", PARENT.format(child="pass"), start_new_session=True)
    child = sleepers.child_of(process)
    rungs = Ladder(known(process, own_session=False), grace=20.0)
    climb(rungs)
    assert rungs.outcome == "gone"
    found = procfs.stat(child)
    assert found is not None and found.state not in "ZX", "somebody's shell may have made that session"


@pytest.mark.fault("F31")
def test_a_child_that_left_the_session_is_left_alone(sleepers: Sleepers) -> None:
    process = sleepers.start(sys.executable, "-c", PARENT.format(child="os.setsid()"), start_new_session=True)
    child = sleepers.child_of(process)
    climb(Ladder(known(process), grace=20.0))
    found = procfs.stat(child)
    assert found is not None and found.state not in "ZX"


@pytest.mark.fault("F25")
def test_leftovers_alone_can_be_stopped_when_their_parent_is_long_dead(sleepers: Sleepers) -> None:
    process = sleepers.start(sys.executable, "-c", PARENT.format(child="pass"), start_new_session=True)
    child = sleepers.child_of(process)
    main = known(process)
    process.kill()
    process.wait(10)
    rungs = Ladder(main, grace=20.0, leftovers_only=True)
    assert rungs.descriptors(), "there is somebody to stop"
    assert climb(rungs) < 5
    found = procfs.stat(child)
    assert found is None or found.state in "ZX"


@pytest.mark.fault("F08")
def test_a_number_that_was_given_to_another_process_is_not_signalled(sleepers: Sleepers) -> None:
    process = bot(sleepers, POLITE)
    stale = known(process)._replace(start=known(process).start - 100)
    rungs = Ladder(stale, grace=0.2)
    climb(rungs)
    assert rungs.outcome == "gone"
    assert process.poll() is None, "the new owner of the number lives on"


def test_a_process_that_is_gone_already_is_gone(sleepers: Sleepers) -> None:
    process = bot(sleepers, POLITE)
    main = known(process)
    process.kill()
    process.wait(10)
    rungs = Ladder(main, grace=1.5)
    assert climb(rungs) < 1, "nobody is there to be waited for"
    assert rungs.outcome == "gone" and not rungs.killed


@pytest.mark.fault("F11")
def test_a_zombie_is_gone(sleepers: Sleepers) -> None:
    code = "import subprocess, time; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); time.sleep(600)"
    parent = sleepers.start(sys.executable, "-c", code)
    child = sleepers.child_of(parent)
    found = procfs.stat(child)
    assert found is not None
    main = Identity(child, found.start, clock.boot_id(), False)
    rungs = Ladder(main, grace=5.0)
    assert climb(rungs) < 4
    after = procfs.stat(child)
    assert after is not None and after.state == "Z", "its parent does not reap it"
    assert rungs.outcome == "gone" and not rungs.killed
    assert ladder.ended(os.pidfd_open(child))


def test_letting_go_signals_nobody_any_more(sleepers: Sleepers) -> None:
    process = bot(sleepers, DEAF)
    rungs = Ladder(known(process), grace=0.05)
    rungs.close()
    assert rungs.descriptors() == []
    time.sleep(0.1)
    assert process.poll() is None


@pytest.mark.fault("F29")
def test_what_survives_kill_is_called_stuck(sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in D state cannot be had here: a KILL that is not delivered is what it looks like from outside."""
    process = bot(sleepers, DEAF)
    monkeypatch.setattr(ladder, "KILL_WAIT", 0.2)
    deliver = signal.pidfd_send_signal

    def lost(pidfd: int, number: int) -> None:
        if number != signal.SIGKILL:
            deliver(pidfd, number)

    monkeypatch.setattr(signal, "pidfd_send_signal", lost)
    rungs = Ladder(known(process), grace=0.1)
    while rungs.outcome is None:
        time.sleep(0.01)
        rungs.advance()
    assert rungs.outcome == "stuck"
    rungs.close()
    monkeypatch.undo()
    assert process.poll() is None


def test_no_descriptor_is_left_open(sleepers: Sleepers) -> None:
    process = bot(sleepers, POLITE)
    before = set(os.listdir("/proc/self/fd"))
    climb(Ladder(known(process), grace=5.0))
    assert set(os.listdir("/proc/self/fd")) == before


CATCHES_TERM = """
import faulthandler, signal, threading
faulthandler.enable()
signal.signal(signal.SIGTERM, lambda *_: None)
print('up', flush=True)
lock = threading.Lock()
lock.acquire()
while True:
    lock.acquire()
"""
TERM_IS_THE_END = "import faulthandler, time; faulthandler.enable(); print('up', flush=True); time.sleep(600)"


def test_a_hung_bot_that_does_not_answer_term_prints_where_it_is_and_ends(sleepers: Sleepers) -> None:
    process = sleepers.python("-c", CATCHES_TERM, start_new_session=True, stderr=subprocess.PIPE)
    rungs = Ladder(known(process), grace=0.3, hung=True)
    climb(rungs)
    assert (rungs.outcome, rungs.killed) == ("gone", False)
    assert process.stderr is not None
    assert 'File "<string>", line 9 in <module>' in process.stderr.read()


@pytest.mark.parametrize("halted", [False, True], ids=["asleep", "stopped"])
def test_a_hung_bot_that_term_would_end_speechless_is_made_to_speak_first(sleepers: Sleepers, halted: bool) -> None:
    process = sleepers.python("-c", TERM_IS_THE_END, start_new_session=True, stderr=subprocess.PIPE)
    if halted:
        process.send_signal(signal.SIGSTOP)
        until(lambda: (found := procfs.stat(process.pid)) and found.state == "T")
    rungs = Ladder(known(process), grace=20.0, hung=True)
    climb(rungs, within=8.0)
    assert rungs.outcome == "gone"
    assert process.stderr is not None
    assert 'File "<string>", line 1 in <module>' in process.stderr.read()
    assert rungs.status is not None and os.WTERMSIG(rungs.status) == signal.SIGABRT
    assert not os.WCOREDUMP(rungs.status), "a core file would hold the bot's keys"


def test_a_hung_bot_without_faulthandler_gets_term_and_its_grace(sleepers: Sleepers) -> None:
    process = bot(sleepers, POLITE)
    rungs = Ladder(known(process), grace=20.0, hung=True)
    climb(rungs, within=8.0)
    assert rungs.status is not None and os.WTERMSIG(rungs.status) == signal.SIGTERM


def test_a_hung_bot_that_cannot_even_abort_is_killed(sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "ABORT_WAIT", 0.3)
    code = "import signal, time\nfor n in (6, 15): signal.signal(n, lambda *_: None)\nprint('up', flush=True)\n"
    process = bot(sleepers, code + "while True: time.sleep(60)")
    rungs = Ladder(known(process), grace=0.2, hung=True)
    climb(rungs)
    assert (rungs.outcome, rungs.killed) == ("gone", True)
