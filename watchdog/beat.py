"""The guard's sign of life: a short file, written in place every ten seconds. The socket is the better proof."""

from __future__ import annotations

import os

from . import clock

INTERVAL = 10.0
"""Seconds between two beats."""


def write(path: str) -> None:
    """Say that this process lives. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(descriptor, f"{clock.now():018.3f} {os.getpid():08d} {clock.boot_id():<36}\n".encode(), 0)
    finally:
        os.close(descriptor)


def silence(path: str, pid: int) -> float | None:
    """Seconds since the last beat of that process, None when it has not beaten in this boot."""
    try:
        with open(path, encoding="ascii") as file:
            moment, number, boot = file.read(256).split()
        if int(number) != pid or boot != clock.boot_id():
            return None
        return clock.now() - float(moment)
    except (OSError, ValueError):
        return None
