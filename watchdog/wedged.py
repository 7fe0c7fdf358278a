"""A guard that holds its lock and does nothing: found by its silence and its old beat, ended by its identity."""

from __future__ import annotations

import os
import select
import signal

from . import clock, identity, ladder, locks, procfs
from .identity import Identity
from .instance import Instance
from .journal import Journal
from .paths import Paths

STALE = 35.0
"""Seconds without a beat (one is due every 10) after which a guard that does not answer counts as wedged."""

HUNG_PASS = 300.0
"""Seconds after which a one-shot verb that still holds the guard's lock counts as hung (its own limit is less)."""


def holder(instance: Instance) -> Identity | None:
    """The process that has the guard's lock, if it is one of this agent's."""
    for pid in locks.holders(instance.guard_lock):
        if pid != os.getpid() and any("watchdog" in word for word in procfs.cmdline(pid)):
            return identity.identify(pid)
    return None


def replaceable(instance: Instance, paths: Paths) -> Identity | None:
    """The silent holder of the guard's lock if it has been silent for too long, else None."""
    found = holder(instance)
    if found is None:
        return None
    age = clock.now() - found.start / clock.TICKS_PER_SECOND
    if "guard" not in procfs.cmdline(found.pid):
        return found if age > HUNG_PASS else None
    silent = _silence(paths.beat, found.pid)
    return found if (age if silent is None else silent) > STALE else None


def end(found: Identity, journal: Journal) -> bool:
    """Kill that very process; true when it is gone. TERM would be of no use to a stopped or deadlocked one."""
    pidfd = ladder.open_pidfd(found)
    if pidfd is None:
        return True
    try:
        journal.event(
            "guard-replaced", f"guard (PID {found.pid}) does not answer and its beat is old: it is replaced", "warning"
        )
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(5000))
    except OSError as error:
        journal.say("error", f"guard (PID {found.pid}) cannot be ended: {error.strerror}")
        return False
    finally:
        os.close(pidfd)


def _silence(path: str, pid: int) -> float | None:
    """Seconds since the beat of that guard, None when there is no beat of it in this boot."""
    try:
        with open(path, encoding="ascii") as file:
            moment, number, boot = file.read(256).split()
        if int(number) != pid or boot != clock.boot_id():
            return None
        return clock.now() - float(moment)
    except (OSError, ValueError):
        return None
