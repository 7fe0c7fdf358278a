"""System calls: killed at the k-th of a name, or the k-th of a name made to fail once (strace(1), -e inject).

strace counts per system call name, so a point is a name, a number and, for a failure, an errno. It does not follow
into the bot. Where a call cannot fail in a given way (its manual page does not name the errno), it is not made to.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.process import oracle
from tests.torture import warm
from tests.torture.ground import Ground, NotReachedError

_FILE = ("EIO",)
_WRITE = ("ENOSPC", "EIO", "EAGAIN")
_MAKE = ("ENOSPC", "EROFS", "EIO")
_CLONE = ("EAGAIN",)

#: How each system call may fail (section 2 of the manual). close(2) is left out: it frees the descriptor even when it
#: fails, and an injected failure would not.
FAILURES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("read", "pread64", "newfstatat", "stat", "lstat", "readlink"), _FILE),
    **dict.fromkeys(("readlinkat", "getdents64", "access", "faccessat", "faccessat2", "chdir", "statx"), _FILE),
    **dict.fromkeys(("write", "pwrite64"), _WRITE),
    **dict.fromkeys(("fsync", "fdatasync", "ftruncate", "truncate"), ("EIO", "EROFS", "ENOSPC")),
    **dict.fromkeys(("rename", "renameat", "renameat2", "mkdir", "mkdirat", "bind"), _MAKE),
    **dict.fromkeys(("unlink", "unlinkat", "chmod", "fchmod", "fchmodat"), ("EROFS", "EIO")),
    **dict.fromkeys(("pipe2", "socket", "pidfd_open", "dup", "dup3", "epoll_create1"), ("EMFILE",)),
    **dict.fromkeys(("clone", "clone3", "fork", "vfork"), _CLONE),
    **dict.fromkeys(("accept", "accept4"), ("EMFILE", "EAGAIN")),
    **dict.fromkeys(("connect", "flock", "sendto", "recvfrom", "recvmsg"), ("EAGAIN",)),
}
_OPEN, _OPEN_TO_WRITE = ("EMFILE", "EIO"), ("EMFILE", "ENOSPC", "EROFS", "EIO")

#: Calls that neither change nor see anything outside the process: a kill at one of them is a kill at the next call.
INWARD = frozenset(
    {
        "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "getpid", "gettid", "getppid", "getuid", "geteuid",
        "getgid", "getegid", "prlimit64", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "lseek", "ioctl", "fstat",
        "restart_syscall", "futex", "clock_gettime", "exit", "exit_group", "execve",
    }
)  # fmt: skip

_CALL = re.compile(r"^(?:\d+ +)?([a-z_0-9]+)\((.*)$")


class Call(NamedTuple):
    """The ``count``-th system call ``name`` of a path; ``errnos`` are the ways in which it may fail."""

    name: str
    count: int
    errnos: tuple[str, ...]


def parse(trace: str) -> list[Call]:
    """The calls of a trace of one process that matter to others, in order; k counts as strace counts."""
    seen: Counter[str] = Counter()
    found = []
    for line in trace.splitlines():
        match = _CALL.match(line)
        if match:
            name, rest = match.groups()
            seen[name] += 1
            if name in INWARD or (name == "newfstatat" and "AT_EMPTY_PATH" in rest):
                continue
            found.append(Call(name, seen[name], _errnos(name, rest)))
    return found


def _errnos(name: str, rest: str) -> tuple[str, ...]:
    """How this very call may fail: /proc and /dev are on no disk, and a pipe only fills up."""
    opening = name in ("open", "openat")
    if re.search(r'["<]/(proc|dev)\b', rest):
        return ("EMFILE",) if opening else ()
    if opening:
        return _OPEN_TO_WRITE if re.search(r"O_(CREAT|WRONLY|RDWR)", rest) else _OPEN
    if name in ("read", "write") and re.match(r"\d+<(pipe|socket|UNIX|anon_inode)", rest):
        return ()
    return FAILURES.get(name, ())


class Strace:
    """One tracer on one process: of everything into the ground's notes, or injecting a fault into one call."""

    def __init__(self, call: Call | None = None, fault: str = "signal=KILL") -> None:
        program = shutil.which("strace")
        if program is None:
            raise FileNotFoundError("strace is needed (Debian: apt-get install strace)")
        self._argv = [program, "-qqq", "-y", "-e", "signal=none"]
        if call:
            self._argv += ["-e", f"trace={call.name}", "-e", f"inject={call.name}:{fault}:when={call.count}"]
        self._victim: int | None = None
        self._tracer = 0

    def begin(self, notes: Path, now: bool) -> None:
        """In the victim: be traceable; where lines count from the beginning, stop until the tracer is there."""
        warm.let_everybody_trace()
        if now:
            os.kill(os.getpid(), signal.SIGSTOP)

    def attach(self, ground: Ground, victim: int, now: bool) -> None:
        """Trace the victim from now on; one that has stopped itself goes on."""
        if now:
            ground.until(lambda: (found := oracle.stat(victim)) and found.state == "T", "the victim stops itself")
        argv = [*self._argv, "-o", str(ground.notes), "-p", str(victim)]
        tracer = os.posix_spawn(argv[0], argv, os.environ)
        ground.until(lambda: ground.ended(tracer) or _traced(victim), "strace attaches", 60.0, 0.001)
        if ground.ended(tracer) and oracle.alive(victim):
            raise NotReachedError(f"strace could not attach to PID {victim}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGCONT)
        self._tracer, self._victim = tracer, victim

    def close(self, ground: Ground) -> None:
        """strace has written everything when it has ended."""
        ground.until(lambda: ground.ended(self._tracer), "the end of strace")

    def struck(self) -> int | None:
        """PID of the process that is to be killed."""
        return self._victim


def _traced(pid: int) -> bool:
    return b"TracerPid:\t0\n" not in oracle.read(pid, "status")
