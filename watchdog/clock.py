"""Time. Deadlines use CLOCK_BOOTTIME (it neither jumps nor stops in suspend); UTC is for people."""

from __future__ import annotations

import os
import time

_MADE_AT_BOOT = "/dev/zero"  # nobody writes to it, where /dev/null is touched whenever a shell truncates it

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def now() -> float:
    """Seconds since boot, suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc() -> float:
    """Wall clock, seconds since the epoch."""
    return time.time()


def stamp(seconds: float | None = None) -> str:
    """UTC time in ISO 8601 with milliseconds, ``2026-11-24T05:40:01.250Z``."""
    at = utc() if seconds is None else seconds
    millis = int(at * 1000) % 1000
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{millis:03d}Z"


def since_boot(moment: float) -> float:
    """A wall-clock time, such as a file's, as seconds since boot: the latest that it can have been.

    The wall clock may have been set since. A device node that was made at boot shows what it said then, so a file of
    this boot never looks older than the boot, whichever way the clock went.
    """
    latest = moment - utc() + now()
    try:
        return max(latest, moment - os.stat(_MADE_AT_BOOT).st_mtime)
    except OSError:
        return latest


def boot_id() -> str:
    """The kernel's identifier of this boot, empty when it cannot be read (random(4))."""
    try:
        descriptor = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 64).decode("ascii").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def human(seconds: float) -> str:
    """A duration for people: ``12 ms``, ``4.2 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``; below 0 it is none."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    for size, unit, part, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"
