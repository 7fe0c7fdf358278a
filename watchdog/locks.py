"""flock(2) locks: taken without waiting, inherited on purpose, never removed.

flock belongs to the open file description, so a lock that a child inherits lives as long as the last process that has
it open; it works on read-only descriptors and on full and read-only file systems (flock(2)).
"""

from __future__ import annotations

import errno
import fcntl
import os

from . import procfs

_TRIES = 5


def open_lock(path: str) -> int:
    """Open the lock file, creating it once; the descriptor is close-on-exec. Raises OSError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def acquire(path: str) -> int | None:
    """Take the lock exclusively without waiting: its descriptor, or None when somebody has it. Raises OSError.

    A file that was removed or replaced meanwhile is not the lock any more, so the path is checked after the locking.
    """
    for _ in range(_TRIES):
        descriptor = open_lock(path)
        if not _try(descriptor):
            os.close(descriptor)
            return None
        if same(descriptor, path):
            return descriptor
        os.close(descriptor)
    raise OSError(errno.EAGAIN, "the lock file keeps being replaced", path)


def inherited(path: str) -> int | None:
    """A descriptor for ``path`` that this process was started with, made close-on-exec; None when there is none."""
    found = None
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and same(descriptor, path):
            os.set_inheritable(descriptor, False)
            if found is None:
                found = descriptor
            else:
                os.close(descriptor)
    return found


def holders(path: str) -> list[int]:
    """PIDs of this user's processes that have the locked file description open.

    /proc/locks names the process that took the lock, which may be long dead; /proc/PID/fdinfo tells who has it now
    (proc_pid_fdinfo(5)).
    """
    try:
        wanted = os.stat(path)
    except OSError:
        return []
    mine = os.geteuid()
    return [pid for pid in procfs.pids() if procfs.owner(pid) == mine and _holds(pid, wanted.st_dev, wanted.st_ino)]


def _holds(pid: int, device: int, inode: int) -> bool:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for name in names:
        try:
            status = os.stat(f"/proc/{pid}/fd/{name}")
            if (status.st_dev, status.st_ino) != (device, inode):
                continue
            with open(f"/proc/{pid}/fdinfo/{name}", "rb") as file:
                if b"FLOCK" in file.read():
                    return True
        except OSError:
            continue
    return False


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        os.close(descriptor)
        raise
    return True


def same(descriptor: int, path: str) -> bool:
    """True while the path still names the open file: a lock file that was removed or replaced is none any more."""
    try:
        ours, theirs = os.fstat(descriptor), os.stat(path)
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)
