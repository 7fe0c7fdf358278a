"""The seams at which an actor of the explorer stops and waits until the scheduler lets it go on.

The agent's code is real, and so are its locks, files, sockets and processes. Thin fakes, all of them here: time (a real
clock plus what the scheduler adds), waiting (a wait that ends as soon as anything has changed), the delivery of signals
(the scheduler delivers them, so that a dying bot is a step of its own), fsync (nothing), the process table (cut down to
what the explorer has started) and the heir (none).
"""

from __future__ import annotations

import json
import mmap
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchdog import clock, heir, identity, locks, procfs, spawn, wish
from watchdog.claim import Claim
from watchdog.outbox import Outbox
from watchdog.record import Recorder

After = Callable[[tuple[Any, ...], Any], None]

_real_now = clock.now


class Offset:
    """Seconds that the scheduler has added to the clock, shared by all actors."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.seconds = 0.0

    @property
    def seconds(self) -> float:
        return float(struct.unpack("d", self._memory[:8])[0])

    @seconds.setter
    def seconds(self, value: float) -> None:
        self._memory[:8] = struct.pack("d", value)

    def now(self) -> float:
        """The actors' time."""
        return _real_now() + self.seconds


class Line:
    """An actor's line to the scheduler: ``note`` tells something, ``park`` waits for leave to go on."""

    def __init__(self, end: socket.socket) -> None:
        self._descriptor = end.detach()  # read and written without the socket class, which is patched

    def note(self, kind: str, value: Any = None) -> None:
        """Say that something has happened."""
        os.write(self._descriptor, json.dumps([kind, value]).encode() + b"\n")

    def park(self, seam: str, until: float | None = None) -> None:
        """Stop here. With ``until`` the actor has nothing to do before that time, unless something changes."""
        self.note("park", [seam, until])
        if not os.read(self._descriptor, 1):
            os._exit(0)  # the scheduler is gone


def install(line: Line, offset: Offset, root: int) -> None:
    """Put the seams into this process, an actor below the scheduler ``root``."""
    clock.now = offset.now
    os.fsync = lambda descriptor: None  # type: ignore[assignment]
    heir.Heir.ensure = lambda self: None  # type: ignore[method-assign]
    procfs.pids = lambda: descendants(root)
    time.sleep = lambda seconds: line.park("sleep", offset.now() + float(seconds))
    select.poll = lambda: _Poll(line, offset)  # type: ignore[assignment, misc, return-value]
    socket.socket = _stepping(line, offset)  # type: ignore[misc]
    signal.pidfd_send_signal = lambda pidfd, number, *rest: _signal(line, pidfd, number)
    _locks(line)
    _around(line, wish, "read_desired")
    _around(line, wish, "write_desired", lambda args, found: line.note("word", args[1]))
    _around(line, identity, "look")
    _around(line, identity, "among")
    _around(line, spawn, "start", lambda args, pid: _born(line, pid))
    _around(line, Outbox, "alert_seldom", lambda args, found: line.note("crash", args[1]))
    _around(line, Recorder, "tell")
    _around(line, Recorder, "write_pid_file")


def descendants(root: int) -> list[int]:
    """The scheduler's children and grandchildren: actors and bots (proc_pid_children(5))."""
    found = []
    for child in _children(root):
        found += [child, *_children(child)]
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _around(line: Line, owner: Any, name: str, after: After | None = None) -> None:
    """Park before each call of ``owner.name``; ``after`` sees its arguments and its result."""
    real = getattr(owner, name)

    def stepped(*args: Any, **more: Any) -> Any:
        line.park(name)
        found = real(*args, **more)
        if after:
            after(args, found)
        return found

    setattr(owner, name, stepped)


def _locks(line: Line) -> None:
    _around(line, locks, "acquire", lambda args, found: _acquired(line, args[0], found))
    release = Claim.release

    def released(self: Claim) -> None:
        held = self.descriptor is not None
        if held:
            line.park("release")
        release(self)
        if held:
            line.note("changed")

    Claim.release = released  # type: ignore[method-assign]


def _acquired(line: Line, path: str, found: int | None) -> None:
    if found is not None:
        line.note("acquired", os.path.basename(path))


def _born(line: Line, pid: int) -> None:
    line.note("bot", pid)
    line.park("spawned")


def _signal(line: Line, pidfd: int, number: int) -> None:
    line.park(f"signal {signal.Signals(number).name}")
    if number == signal.SIGCONT:
        return
    text = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    pid = next(int(row.split()[1]) for row in text.splitlines() if row.startswith("Pid:"))
    if pid < 0:
        raise ProcessLookupError
    line.note("doomed", pid)


class _Poll:
    """poll(2) that looks once and otherwise waits at a seam."""

    _real = select.poll

    def __init__(self, line: Line, offset: Offset) -> None:
        self._line, self._offset = line, offset
        self._poll = _Poll._real()
        self.register = self._poll.register

    def poll(self, timeout: float = 0.0) -> list[tuple[int, int]]:
        """What is ready, within ``timeout`` milliseconds of the actors' time."""
        until = self._offset.now() + timeout / 1000
        while True:
            ready = self._poll.poll(0)
            if ready or self._offset.now() >= until:
                return ready
            self._line.park("poll", until)


def _stepping(line: Line, offset: Offset) -> type[socket.socket]:
    class Stepping(socket.socket):
        """A socket whose timeouts are of the actors' time."""

        def recv(self, size: int, flags: int = 0) -> bytes:
            limit = self.gettimeout()
            if limit:
                poll = _Poll(line, offset)
                poll.register(self.fileno(), select.POLLIN)
                if not poll.poll(limit * 1000):
                    raise TimeoutError
            return super().recv(size, flags)

        def sendall(self, data: Any, flags: int = 0) -> None:
            super().sendall(data, flags)
            line.note("changed")

    return Stepping
