"""Oracle I6: nobody takes a live bot's PID file away from it, and nobody writes one that names no bot."""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from pathlib import Path

from tests.faults import inotify
from tests.process import oracle

DYING = 1000
"""Milliseconds in which a bot that lost its PID file has to be dead, so that the loss was right."""

YOUNG = 1.0
"""Seconds in which a process that the PID file names has to become a bot."""


class PidFileWatch(threading.Thread):
    """Watches one PID file from beginning to end; what was wrong is in `broken`.

    A person may write anything into it, in place. The agent and the bot replace it by rename(2) and remove it: those
    are held to the rule. What the test itself removes is announced with `expect_removal`.
    """

    def __init__(self, path: Path, script: Path, bot_lock: Path) -> None:
        super().__init__(name="pid-file-watch", daemon=True)
        self.broken: list[str] = []
        self.changes = 0
        self._path, self._script, self._lock = path, script, bot_lock
        self._births, self._leaving = path.with_name("births.jsonl"), path.with_name("leaving")
        self._directory = inotify.Directory(path.parent)
        self._expected = 0
        self._named = named_in(path)
        self._over, self._bell = os.pipe()

    def expect_removal(self) -> None:
        """The next removal is the test's own."""
        self._expected += 1

    def run(self) -> None:
        """Judge each change as it comes, until `stop`."""
        poll = select.poll()
        poll.register(self._directory.descriptor, select.POLLIN)
        poll.register(self._over, select.POLLIN)
        over = False
        while not over:
            over = self._over in [descriptor for descriptor, _ in poll.poll()]
            for mask, name in self._directory.events():
                if name == self._path.name:
                    self._judge(mask)

    def stop(self) -> None:
        """Judge what has happened so far and end the thread."""
        if self.is_alive():
            os.write(self._bell, b"x")
            self.join()
            for descriptor in (self._over, self._bell):
                os.close(descriptor)
            self._directory.close()

    def _judge(self, mask: int) -> None:
        before, self._named = self._named, named_in(self._path)
        self.changes += 1
        if mask & inotify.DELETE:
            if self._expected:
                self._expected -= 1
            elif self._lives_on(before):
                self.broken.append(f"the PID file was removed while it named the live bot {before}")
        elif mask & inotify.MOVED_TO:
            if self._named is not None and not self._is_bot(self._named):
                self.broken.append(f"the PID file was made to name PID {self._named}, which is no bot")
            replaced = before != self._named and self._lives_on(before)
            if replaced and self._named not in oracle.lock_holders(self._lock):
                self.broken.append(f"the PID file named the live bot {before} and was made to name {self._named}")

    def _runs(self, pid: int) -> bool:
        """Whether it runs the script, or said so before it gave itself another title."""
        return oracle.runs(pid, self._script) or f'"pid": {pid},' in _text(self._births)

    def _is_bot(self, pid: int) -> bool:
        """Whether it is a bot, or dead already; a process that has just been made may have no argument vector yet."""
        end = time.monotonic() + YOUNG
        while not self._runs(pid) and oracle.alive(pid):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def _lives_on(self, pid: int | None) -> bool:
        """Whether it is a bot that goes on: one that was ending, or said that it ends, may lose its PID file."""
        if pid is None or not self._runs(pid) or not oracle.alive(pid):
            return False
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return False
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return not poll.poll(DYING) and str(pid) not in _text(self._leaving).split()
        finally:
            os.close(descriptor)


def named_in(path: Path) -> int | None:
    """The number in a regular file, None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 64).strip() if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)
    return int(text) if text.isdigit() and len(text) < 10 else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
