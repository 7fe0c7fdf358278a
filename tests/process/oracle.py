"""What the tests see for themselves in /proc. Nothing here imports or asks the agent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One line of /proc/PID/stat; ``start`` in clock ticks since boot tells a PID's owners apart."""

    pid: int
    state: str
    parent: int
    session: int
    start: int


def stat(pid: int) -> Process | None:
    """The process, None when it is gone."""
    text = read(pid, "stat")
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    return Process(pid, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie does not."""
    found = stat(pid)
    return found is not None and found.state not in "ZX"


def read(pid: int, name: str) -> bytes:
    """A file of /proc/PID, empty when it cannot be read."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


def pids() -> list[int]:
    """All processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def environment(pid: int) -> dict[str, str]:
    """The environment the process was started with."""
    pairs = (os.fsdecode(part).partition("=") for part in read(pid, "environ").split(b"\0") if part)
    return {key: value for key, _, value in pairs}


def runs(pid: int, script: Path) -> bool:
    """Whether it is a Python whose program is this very script, as a path or as a module."""
    text = read(pid, "cmdline")
    if os.fsencode(script.stem) not in text:
        return False
    try:
        program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        folder = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    named = _program([os.fsdecode(part) for part in text.split(b"\0")[:-1]])
    if named is None or not program.startswith("python"):
        return False
    return os.path.realpath(os.path.join(folder, named)) == os.fspath(script)


def _program(words: list[str]) -> str | None:
    rest = iter(words[1:])
    for word in rest:
        if word in ("-X", "-W"):
            next(rest, "")
        elif word == "-m":
            return next(rest, "").replace(".", "/") + ".py"
        elif word in ("-", "-c"):
            return None
        elif not word.startswith("-"):
            return word
    return None


def lock_holders(path: Path, among: list[int] | None = None) -> list[int]:
    """The processes that have the locked open file description of ``path`` among their descriptors."""
    found = []
    for pid in pids() if among is None else among:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                if os.readlink(f"/proc/{pid}/fd/{name}") == str(path) and b"FLOCK" in read(pid, f"fdinfo/{name}"):
                    found.append(pid)
                    break
            except OSError:
                continue
    return found


def related(*marks: str) -> list[int]:
    """Processes with one of the texts in their environment or argument vector, ourselves and our parents left out."""
    mine, family = os.getpid(), set()
    while mine > 1:
        family.add(mine)
        found = stat(mine)
        mine = found.parent if found else 0
    wanted = [os.fsencode(mark) for mark in marks]
    return [
        pid
        for pid in pids()
        if pid not in family
        and any(mark in text for mark in wanted for text in (read(pid, "cmdline"), read(pid, "environ")))
    ]


def until(condition: Callable[[], object], what: str, within: float = 15.0, every: float = 0.01) -> object:
    """Wait for a condition to hold; its value. AssertionError names what was waited for."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {what}")
        time.sleep(every)


class Sampler(threading.Thread):
    """Counts the live bots of one script every 10 ms: the oracle I1 of the fault matrix.

    A bot is the head of what runs the script: neither a child of one nor a leftover in a dead bot's session. A process
    is looked at until its argument vector has been settled for two seconds, then now and then.
    """

    YOUNG = 200
    SELDOM = 25

    def __init__(self, script: Path) -> None:
        super().__init__(name="sampler", daemon=True)
        self.script = script.resolve()
        self.most = 0
        self.samples = 0
        self.evidence: list[tuple[float, list[int]]] = []
        self._age: dict[int, int] = dict.fromkeys(pids(), self.YOUNG)
        self._seen: set[int] = set()
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._over.wait(0.01):
            found = self.look()
            self.samples += 1
            self.most = max(self.most, len(found))
            if len(found) > 1 and len(self.evidence) < 20:
                self.evidence.append((time.monotonic(), found))

    def look(self) -> list[int]:
        """The live bots right now."""
        now = pids()
        matched = []
        for pid in now:
            age = self._age.get(pid, 0)
            self._age[pid] = age + 1
            due = pid in self._seen or age < self.YOUNG or age % self.SELDOM == 0
            if due and runs(pid, self.script) and alive(pid):
                matched.append(pid)
        for gone in self._age.keys() - set(now):
            del self._age[gone]
        heads = [pid for pid in matched if self._is_head(pid, matched)]
        heads = [pid for pid in heads if alive(pid)]  # a child is a head from the moment its parent dies, not before
        self._seen.update(heads)
        return heads

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self.join()

    def _is_head(self, pid: int, matched: list[int]) -> bool:
        found = stat(pid)
        if found is None or found.parent in matched:
            return False
        return found.session == pid or found.session not in self._seen


def instances(script: Path) -> list[int]:
    """The live processes that run the script and are not children of one that does."""
    matched = [pid for pid in pids() if runs(pid, script) and alive(pid)]
    return [pid for pid in matched if (found := stat(pid)) and found.parent not in matched]
