"""Raw reads of /proc (proc(5)): cheap enough for the restart path, where psutil would walk the table in 3 to 9 ms.

What is gone or hidden is no error. Every other failure, such as want of descriptors or memory, is raised as OSError: it
says nothing about the process, and must not pass for its absence.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

_GONE = (FileNotFoundError, ProcessLookupError, PermissionError, NotADirectoryError)


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process. ``start`` is in clock ticks since boot; it identifies the process.

    ``ticks``: CPU time of all its threads, in user and in kernel mode, in clock ticks.
    """

    state: str
    parent: int
    group: int
    session: int
    start: int
    ticks: int
    threads: int


def pids() -> list[int]:
    """Every process visible to us."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat(pid: int) -> Stat | None:
    """What the kernel says of a process or of a thread; None when it is gone or hidden."""
    text = _content(pid, "stat")
    fields = text[text.rfind(b")") + 2 :].split()  # the name in brackets may hold anything, spaces and brackets too
    if len(fields) < 20:
        return None
    state = fields[0].decode("ascii", "replace")
    ticks = int(fields[11]) + int(fields[12])
    return Stat(state, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), ticks, int(fields[17]))


def alive(pid: int, start: int) -> bool:
    """True when that very process still runs: same start, neither zombie nor dead."""
    found = stat(pid)
    return found is not None and found.start == start and found.state not in "ZX"


def is_child(pid: int, start: int) -> bool:
    """True when that very process, alive or a zombie, is a child of this one: its end is ours to learn (wait(2))."""
    found = stat(pid)
    return found is not None and found.start == start and found.parent == os.getpid()


def children() -> list[int]:
    """Every child of this process, zombies too."""
    mine = os.getpid()
    return [pid for pid in pids() if (found := stat(pid)) and found.parent == mine]


def owner(pid: int) -> int | None:
    """Effective uid of a process, None when it is gone or hidden."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except _GONE:
        return None


def cmdline(pid: int) -> list[str]:
    """The argument vector; empty for kernel threads, zombies and the dead."""
    return words(command(pid))


def command(pid: int) -> bytes:
    """The argument vector as the kernel gives it, a NUL after each word. A scan reads it of every process."""
    return _content(pid, "cmdline")


def _content(pid: int, name: str) -> bytes:
    """A file of a process, empty when it is gone or hidden: for a third of what open() costs."""
    try:
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except _GONE:
        return b""
    try:
        text = part = os.read(descriptor, 4096)
        while len(part) == 4096:
            part = os.read(descriptor, 4096)
            text += part
        return text
    except _GONE:
        return b""
    finally:
        os.close(descriptor)


def words(command_line: bytes) -> list[str]:
    """The words of a raw argument vector."""
    return [os.fsdecode(part) for part in command_line.rstrip(b"\0").split(b"\0")] if command_line else []


def executable(pid: int) -> str | None:
    """Path of the running program, None when it cannot be told."""
    return _name(pid, "exe")


def working_directory(pid: int) -> str | None:
    """The directory the process works in, by name even after a deploy replaced it; None when it cannot be told."""
    return _name(pid, "cwd")


def link(pid: int, name: str) -> str:
    """Where ``exe`` or ``cwd`` of a process leads, by name even when it was deleted since. Raises OSError."""
    return os.readlink(f"/proc/{pid}/{name}").removesuffix(" (deleted)")


def _name(pid: int, link_name: str) -> str | None:
    try:
        return link(pid, link_name)
    except _GONE:
        return None


def variable(pid: int, name: str) -> str | None:
    """A variable of the environment that the process was started with; None when unset or unreadable."""
    prefix = os.fsencode(name) + b"="
    for entry in _content(pid, "environ").split(b"\0"):
        if entry.startswith(prefix):
            return os.fsdecode(entry[len(prefix) :])
    return None


def is_thread(pid: int) -> bool:
    """True when the number names a thread that is not the head of its process (/proc/TID exists for those too)."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"Tgid:"):
                    return int(line.split()[1]) != pid
    except _GONE:
        return False
    return False


def catches(pid: int, number: int) -> bool:
    """True when the process has a handler of its own for that signal; False also where it cannot be told."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"SigCgt:"):
                    return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    except _GONE:
        return False
    return False


def forbid_core(pid: int) -> None:
    """No core file of that process: it would hold the bot's keys, and fill a small disk. Best effort (prlimit(2))."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, resource.prlimit(pid, resource.RLIMIT_CORE)[1]))


def session_members(session: int) -> list[tuple[int, int]]:
    """(PID, start) of every living process of a session, its leader left out."""
    members = []
    for pid in pids():
        found = stat(pid) if pid != session else None
        if found and found.session == session and found.state not in "ZX":
            members.append((pid, found.start))
    return members


def ancestors(pid: int) -> list[int]:
    """Parent, grandparent and so on, as far as it can be read."""
    chain: list[int] = []
    found = stat(pid)
    while found and found.parent > 1 and found.parent not in chain:
        chain.append(found.parent)
        found = stat(found.parent)
    return chain
