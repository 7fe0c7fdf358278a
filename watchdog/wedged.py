"""A guard that holds its lock and does nothing: found by its silence and its old beat, ended by its identity."""

from __future__ import annotations

import os
import select
import signal

from . import argv, beat, clock, identity, ladder, locks, procfs
from .config import Config
from .errors import BusyError
from .identity import Identity
from .instance import Instance
from .journal import Journal
from .paths import Paths

STALE = 35.0
"""Seconds without a beat (one is due every 10) after which a guard that does not answer counts as wedged."""

LOOK = 3.0
"""Seconds that it must go on like that while we look: an heir that has just become the guard has no beat yet."""

HUNG_PASS = 60.0
"""Seconds beyond its own limit after which a one-shot verb that still holds the guard's lock counts as hung."""


class Observer:
    """Looks at the silent holder of the guard's lock more than once before anything is done about it."""

    def __init__(self, config: Config, instance: Instance, paths: Paths, journal: Journal) -> None:
        self._config, self._instance, self._paths, self._journal = config, instance, paths, journal
        self._suspect: Identity | None = None
        self._since = 0.0

    def relieve(self) -> bool:
        """Kill the holder if it has been silent for too long; true when it is gone.

        Raises BusyError when it survives that.
        """
        found = self._replaceable()
        if found != self._suspect:
            self._suspect, self._since = found, clock.now()
        if found is None or clock.now() - self._since < LOOK:
            return False
        if end(found, self._journal):
            return True
        raise BusyError(f"PID {found.pid} holds {self._instance.guard_lock}, does not answer and survived SIGKILL")

    @property
    def suspicious(self) -> bool:
        """True while the holder is being looked at: it is worth waiting for the verdict."""
        return self._suspect is not None

    def _replaceable(self) -> Identity | None:
        found = holder(self._instance)
        if found is None:
            return None
        age = clock.now() - found.start / clock.TICKS_PER_SECOND
        if "guard" not in procfs.cmdline(found.pid):
            return found if age > self._config.pass_limit + HUNG_PASS else None
        silent = beat.silence(self._paths.beat, found.pid)
        return found if (age if silent is None else silent) > STALE else None


def holder(instance: Instance) -> Identity | None:
    """The process that has the guard's lock, if it is one of this agent's."""
    for pid in locks.holders(instance.guard_lock):
        if pid != os.getpid() and argv.is_agent(procfs.cmdline(pid)):
            return identity.identify(pid)
    return None


def strangers(instance: Instance) -> str | None:
    """Who has the guard's lock and is none of this agent's, in words; None where it is one, or nobody."""
    pids = [pid for pid in locks.holders(instance.guard_lock) if pid != os.getpid()]
    if not pids or any(argv.is_agent(procfs.cmdline(pid)) for pid in pids):
        return None
    return ", ".join(f"PID {pid} ({' '.join(procfs.cmdline(pid))[:60]})" for pid in pids)


def end(found: Identity, journal: Journal) -> bool:
    """Kill that very process; true when it is gone. TERM would be of no use to a stopped or deadlocked one."""
    pidfd = ladder.open_pidfd(found)
    if pidfd is None:
        return True
    try:
        text = f"PID {found.pid} holds the guard's lock, does not answer and its beat is old: it is replaced"
        journal.event("guard-replaced", text, "warning")
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(5000))
    except OSError as error:
        journal.say("error", f"PID {found.pid} cannot be ended: {error.strerror}")
        return False
    finally:
        os.close(pidfd)
