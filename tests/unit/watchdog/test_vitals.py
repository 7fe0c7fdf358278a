"""Looks at real processes: stopped, deaf to their connections, at work, debugged, hidden; and what they use."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import Sleepers, until
from tests.unit.watchdog.puppet import Puppet, as_nobody
from watchdog import clock, vitals
from watchdog.freshness import File
from watchdog.vitals import Beats, Look, Usage, heard

ATTACH, DETACH, SEIZE = 16, 17, 0x4206
"""Requests of ptrace(2)."""


def seen(process: Puppet, before: Look | None = None, closely: bool = False) -> Look:
    """A look at a process that lives."""
    found = vitals.look(process.pid, before, closely=closely)
    assert found is not None
    return found


def when(process: Puppet, holds: Callable[[Look], bool], before: Look | None = None, closely: bool = False) -> Look:
    """The first look of which something holds."""

    def found() -> Look | None:
        taken = seen(process, before, closely)
        return taken if holds(taken) else None

    waited: Look = until(found)
    return waited


def asleep(process: Puppet) -> Look:
    """Once it waits for its next order, which takes a moment longer than its answer to the last."""
    return when(process, lambda look: look.state == "S")


def unread(look: Look) -> int:
    """Bytes that wait for the bot."""
    assert look.streams is not None
    return sum(stream.backlog for stream in look.streams)


def switches(look: Look) -> int:
    """What was counted."""
    assert look.switches is not None
    return look.switches


def used(process: Puppet) -> Usage:
    """What a living process uses."""
    found = vitals.measure(process.pid)
    assert found is not None
    return found


def trace(request: int, pid: int) -> None:
    """A request of ptrace(2) by this thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    null = ctypes.c_void_p(0)
    assert libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), null, null) == 0, os.strerror(ctypes.get_errno())


# Suspicion -----------------------------------------------------------------------------------------------------------


def test_nothing_is_counted_of_a_bot_that_nothing_speaks_against(puppet: Puppet, server: socket.socket) -> None:
    with puppet.connect(server):
        first = asleep(puppet)
        second = seen(puppet, first)
    assert first.switches is None and second.switches is None
    assert not second.working and second.streams is not None and len(second.streams) == 1
    assert clock.now() >= second.at >= first.at > clock.now() - 60


def test_a_stopped_bot_is_counted_at_once_and_switches_no_more(puppet: Puppet) -> None:
    os.kill(puppet.pid, signal.SIGSTOP)
    first = when(puppet, lambda look: look.state == "T")
    second = seen(puppet, first)
    assert switches(first) == switches(second) > 0
    assert (first.working, first.ticks) == (False, second.ticks)
    os.kill(puppet.pid, signal.SIGCONT)
    assert asleep(puppet).switches is None


def test_a_bot_that_reads_nothing_of_what_arrives_is_counted_from_the_second_look_on(
    puppet: Puppet, server: socket.socket
) -> None:
    with puppet.connect(server) as end:
        end.sendall(b"x" * 100)
        asleep(puppet)
        first = when(puppet, lambda look: unread(look) == 100)
        assert first.switches is None, "one look cannot tell whether anything is read"
        end.sendall(b"x" * 100)
        second = when(puppet, lambda look: unread(look) == 200, first)
        third = seen(puppet, second)
    assert switches(second) == switches(third) > 0
    assert (third.working, second.ticks) == (False, third.ticks)


def test_a_bot_that_reads_a_little_of_what_arrives_is_not_counted(puppet: Puppet, server: socket.socket) -> None:
    with puppet.connect(server) as end:
        end.sendall(b"x" * 100)
        first = when(puppet, lambda look: unread(look) == 100)
        puppet.do("kept['it'].recv(1)")
        second = seen(puppet, first)
        assert unread(second) == 99 and second.switches is None


def test_a_connection_that_was_not_there_before_is_no_reason_to_count(puppet: Puppet, server: socket.socket) -> None:
    with puppet.connect(server):
        first = asleep(puppet)
        with puppet.connect(server, "new") as end:
            end.sendall(b"x")
            second = when(puppet, lambda look: unread(look) == 1, first)
            assert second.switches is None and seen(puppet, second).switches is not None


def test_what_is_left_unread_on_a_closed_connection_is_no_reason_to_count(
    puppet: Puppet, server: socket.socket
) -> None:
    with puppet.connect(server) as end:
        end.sendall(b"x" * 100)
    first = when(puppet, lambda look: unread(look) == 101)
    second = seen(puppet, first)
    assert second.streams == first.streams and second.switches is None


def test_a_thread_that_still_works_shows_in_the_count(puppet: Puppet) -> None:
    puppet.do("kept['beat'] = threading.Thread(target=lambda: [time.sleep(0.01) for _ in range(10 ** 5)], daemon=True)")
    puppet.do("kept['beat'].start()")
    first = seen(puppet, closely=True)
    when(puppet, lambda look: switches(look) > switches(first) and look.state == "S", closely=True)


def test_a_thread_that_spins_is_work_although_the_main_thread_sleeps(puppet: Puppet) -> None:
    puppet.do("kept['spin'] = threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True)")
    puppet.do("kept['spin'].start()")
    first = when(puppet, lambda look: look.state == "S" and look.working, closely=True)
    when(puppet, lambda look: look.ticks > first.ticks)


def test_a_main_thread_that_spins_is_work_without_a_count(puppet: Puppet) -> None:
    assert puppet.process.stdin is not None
    puppet.process.stdin.write("while True: pass\n")
    puppet.process.stdin.flush()
    found = when(puppet, lambda look: look.state == "R")
    assert found.working and found.switches is None


# Debuggers -----------------------------------------------------------------------------------------------------------


def test_a_bot_that_a_debugger_holds_is_at_work_and_not_stopped(puppet: Puppet) -> None:
    asleep(puppet)
    trace(ATTACH, puppet.pid)
    os.waitpid(puppet.pid, 0)
    held = seen(puppet)
    trace(DETACH, puppet.pid)
    assert (held.state, held.working) == ("t", True)
    assert not asleep(puppet).working


def test_a_bot_that_is_traced_while_it_sleeps_is_at_work(puppet: Puppet) -> None:
    asleep(puppet)
    assert not seen(puppet, closely=True).working
    trace(SEIZE, puppet.pid)
    traced = seen(puppet, closely=True)
    assert (traced.state, traced.working) == ("S", True)


# Gone and hidden -----------------------------------------------------------------------------------------------------


def test_what_has_ended_is_no_look_and_uses_nothing(sleepers: Sleepers) -> None:
    process = sleepers.start("true")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert vitals.look(process.pid) is None and vitals.measure(process.pid) is None
    process.wait(10)
    assert vitals.look(process.pid) is None and vitals.measure(process.pid) is None


@pytest.mark.needs_root
def test_of_another_users_process_the_open_part_is_told(puppet: Puppet, server: socket.socket) -> None:
    asleep(puppet)
    with puppet.connect(server):

        def partly() -> bool:
            found, usage = vitals.look(puppet.pid, closely=True), vitals.measure(puppet.pid)
            assert found is not None and usage is not None
            return found.streams is None and found.switches is not None and usage.descriptors is None and (
                usage.memory > 1_000_000 and usage.ceiling is not None
            )  # fmt: skip

        assert as_nobody(partly)


# Heartbeats and freshness --------------------------------------------------------------------------------------------


def test_heartbeats_are_counted_and_their_longest_gap_is_kept() -> None:
    beats = Beats()
    for now in (100.0, 101.0, 131.5, 132.0, 132.0):
        beats = heard(beats, now)
    assert beats == Beats(5, 132.0, 30.5)
    assert heard(Beats(), 7.0) == Beats(1, 7.0, 0.0)


def test_a_look_carries_the_heartbeats(puppet: Puppet) -> None:
    found = vitals.look(puppet.pid, beats=Beats(5, 132.0, 30.5))
    assert found is not None and (found.beats, found.beat_at, found.longest) == (5, 132.0, 30.5)


def test_the_file_that_shows_freshness_is_another_after_every_change(puppet: Puppet, tmp_path: Path) -> None:
    path = tmp_path / "fresh"

    def shown() -> tuple[int, ...] | None:
        found = vitals.look(puppet.pid, file=File(str(path)))
        assert found is not None
        return found.file

    assert seen(puppet).file is None and shown() is None
    states = []
    for change in (
        path.touch,
        lambda: path.write_text("x"),
        lambda: os.utime(path, ns=(1, 1)),
        lambda: os.utime(path, ns=(2, 2)),
        lambda: (tmp_path / "new").write_text("x"),
    ):
        change()
        states.append(shown())
    assert states[3] == states[4] is not None and len(set(states)) == 4
    os.replace(tmp_path / "new", path)
    os.utime(path, ns=(2, 2))
    assert shown() not in states, "replaced by another of the same size and time"


@pytest.mark.timeout(20)
def test_a_fifo_in_the_place_of_the_file_delays_nobody(puppet: Puppet, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    found = vitals.look(puppet.pid, file=File(str(tmp_path / "fifo")))
    assert found is not None and found.file is not None


# What it uses --------------------------------------------------------------------------------------------------------


def test_memory_descriptors_and_threads_are_those_that_it_has(puppet: Puppet) -> None:
    before = used(puppet)
    puppet.do("kept['memory'] = bytearray(b'x') * 50_000_000")
    puppet.do("kept['files'] = [os.open('/dev/null', os.O_RDONLY) for _ in range(17)]")
    puppet.do("[threading.Thread(target=time.sleep, args=(600,), daemon=True).start() for _ in range(3)]")
    after = used(puppet)
    assert 49_000_000 < after.memory - before.memory < 60_000_000
    assert after.descriptors is not None and before.descriptors is not None
    assert after.descriptors - before.descriptors == 17
    assert (before.threads, after.threads) == (1, 4)
    assert after.ticks >= before.ticks


def test_pages_that_are_shared_count_in_part(puppet: Puppet) -> None:
    puppet.do("kept['memory'] = bytearray(b'x') * 50_000_000")
    alone = used(puppet).memory
    puppet.do("kept['ends'] = os.pipe()")
    puppet.do("kept['child'] = os.fork() or (os.close(kept['ends'][1]), os.read(kept['ends'][0], 1), os._exit(0))")
    assert alone - 40_000_000 < used(puppet).memory < alone - 20_000_000
    puppet.do("os.close(kept['ends'][1]); os.waitpid(kept['child'], 0)")


def test_the_ceiling_of_descriptors_is_the_soft_limit(puppet: Puppet) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.prlimit(puppet.pid, resource.RLIMIT_NOFILE, (64, hard))
    assert used(puppet).ceiling == 64
