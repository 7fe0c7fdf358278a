"""READY=1 counts from the bot's own PID, and the kernel says whose it is."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import Sleepers, first_line, instance_below
from watchdog import identity, locks, paths, watched
from watchdog.config import Config
from watchdog.guard import Guard
from watchdog.journal import Journal
from watchdog.notify import Listener
from watchdog.states import State

SAY = """
import os, socket, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s: s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
print("up", flush=True)
for line in sys.stdin:
    word, _, text = line.strip().partition(" ")
    if word == "child" and os.fork() == 0:
        say(text); os._exit(0)
    if word == "say": say(text)
    print("said", flush=True)
"""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="n-") as folder:
        yield Path(folder)


@pytest.fixture
def listener(short_folder: Path) -> Iterator[Listener]:
    found = Listener(str(short_folder / "notify.sock"))
    yield found
    found.close()


def bot(sleepers: Sleepers, address: str) -> subprocess.Popen[str]:
    """A bot that speaks when it is told to."""
    environment = {**os.environ, "NOTIFY_SOCKET": address}
    return sleepers.python("-c", SAY, stdin=subprocess.PIPE, env=environment, start_new_session=True)


def tell(process: subprocess.Popen[str], words: str) -> None:
    """Make it speak."""
    assert process.stdin is not None
    process.stdin.write(words + "\n")
    process.stdin.flush()
    assert first_line(process) == "said"


def heard(listener: Listener) -> list[tuple[int, str]]:
    """The next messages."""
    assert select.select([listener.socket], [], [], 10)[0]
    return listener.messages()


def test_the_kernel_says_who_speaks(sleepers: Sleepers, listener: Listener, short_folder: Path) -> None:
    process = bot(sleepers, str(short_folder / "notify.sock"))
    tell(process, "say READY=1")
    assert heard(listener) == [(process.pid, "READY=1")]
    tell(process, "child READY=1")
    (found,) = heard(listener)
    assert found[1] == "READY=1" and found[0] != process.pid


def test_a_message_may_have_several_lines_and_any_bytes(listener: Listener, short_folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        for data in (b"STATUS=up\nREADY=1\n", b"\xff\xfe\0", b"", b"x" * 10_000, b"MAINPID=1"):
            client.sendto(data, str(short_folder / "notify.sock"))
    found = [line for pid, line in listener.messages() if pid == os.getpid()]
    assert found[:2] == ["STATUS=up", "READY=1"] and found[-1] == "MAINPID=1"
    assert all(len(line) <= 4096 for line in found)
    assert listener.messages() == []


def test_a_flood_is_taken_in_portions(listener: Listener, short_folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        sent = 0
        try:
            while sent < 150:
                client.sendto(b"x", str(short_folder / "notify.sock"))
                sent += 1
        except BlockingIOError:
            pass
    found = 0
    while portion := len(listener.messages()):
        assert portion <= 100
        found += portion
    assert found == sent > 0


def test_where_so_much_was_said_that_more_may_be_lost_the_listener_says_so(
    listener: Listener, short_folder: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        for count, crowded in ((9, False), (10, True), (1, False)):
            for _ in range(count):
                client.sendto(b"x", str(short_folder / "notify.sock"))
            listener.messages()
            assert listener.crowded == crowded, count


def test_a_path_too_long_for_an_address_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with pytest.raises(OSError, match="too long"):
        Listener(str(folder / "notify.sock"))


def test_the_socket_is_for_its_owner_and_goes_with_the_listener(short_folder: Path) -> None:
    path = short_folder / "notify.sock"
    path.write_text("left over")
    found = Listener(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    found.close()
    assert not path.exists()


@pytest.fixture
def guard(config: Config, short_folder: Path, journal: Journal) -> Iterator[Guard]:
    """One that is not on watch: the test hands it what happens."""
    instance = instance_below(short_folder, config.script)
    lock = locks.acquire(instance.guard_lock)
    assert lock is not None
    found = Guard(config, instance, paths.of(config, instance), journal, lock)
    yield found
    found.engine.close()


def starting(guard: Guard, process: subprocess.Popen[str]) -> None:
    """The guard has this bot, which it has just started."""
    who = identity.identify(process.pid, own_session=True)
    assert who is not None
    guard.engine._ledger.known = who
    guard.engine.bot = watched.bot(who, os.pidfd_open(who.pid), False, False, os.devnull)
    guard.engine._ledger.memory = guard.engine.memory._replace(phase=State.STARTING)


def hear(guard: Guard) -> None:
    """The guard hears what was said to it."""
    assert guard.notify is not None and select.select([guard.notify.socket], [], [], 10)[0]
    guard._notified(guard.notify)


def test_only_the_bot_itself_can_end_its_start_grace(sleepers: Sleepers, guard: Guard) -> None:
    process = bot(sleepers, guard.instance.notify_socket)
    stranger = bot(sleepers, guard.instance.notify_socket)
    starting(guard, process)
    for speaker, words in ((stranger, "say READY=1"), (process, "child READY=1"), (process, "say READY=10")):
        tell(speaker, words)
        hear(guard)
        assert guard.engine.memory.phase is State.STARTING, words
    tell(process, "say READY=1")
    hear(guard)
    assert guard.engine.memory.phase is State.RUNNING
    assert guard.engine.bot is not None and guard.engine.bot.verified


def test_a_bot_that_is_being_stopped_is_not_ready_any_more(sleepers: Sleepers, guard: Guard) -> None:
    process = bot(sleepers, guard.instance.notify_socket)
    starting(guard, process)
    process.send_signal(signal.SIGSTOP)  # it takes its time to end
    guard.engine._stop_bot()
    guard.engine.verified("said READY=1")
    assert guard.engine.memory.phase is State.STOPPING
    assert guard.engine.bot is not None and not guard.engine.bot.verified


def test_a_child_that_floods_the_socket_costs_the_bot_no_heartbeat(sleepers: Sleepers, guard: Guard) -> None:
    process = bot(sleepers, guard.instance.notify_socket)
    stranger = bot(sleepers, guard.instance.notify_socket)
    starting(guard, process)
    guard.engine.monitor.begin(process.pid)
    tell(process, "say WATCHDOG=1")
    hear(guard)
    heard_at = guard.engine.monitor._beats.at
    for _ in range(10):
        tell(stranger, "say STATUS=up")
    hear(guard)
    after = guard.engine.monitor._beats
    assert heard_at is not None and after.at is not None and after.at > heard_at
    assert after.number == 1
