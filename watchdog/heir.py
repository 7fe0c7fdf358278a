"""The heir: ``flock(1)`` waiting in the kernel for the guard's lock, to become the next guard the moment it is free.

An heir holds ``heir.lock`` by inheritance, so there is exactly one, and a guard that finds the lock taken has an heir
already. It costs a third of a megabyte; cron is the line behind it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from . import clock, identity, ladder, launch, locks, procfs
from .config import Config
from .identity import Identity
from .instance import Instance

FLAG = "--heir"

GONE = 1.0
"""Seconds for a killed heir to be gone."""


def disinherit(instance: Instance) -> None:
    """Kill the flock(1) that waits for the guard's lock, whoever started it. Best effort."""
    for pid in locks.holders(instance.heir_lock):
        found = identity.identify(pid)
        if found and pid != os.getpid() and [os.path.basename(word) for word in procfs.cmdline(pid)[:1]] == ["flock"]:
            pidfd = ladder.open_pidfd(found)
            if pidfd is not None:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.close(pidfd)


class Heir:
    """The guard's handle on its heir. ``pidfd`` becomes readable when the heir dies; None when there is none."""

    def __init__(self, config: Config, instance: Instance) -> None:
        self._config, self._instance = config, instance
        self._lock = locks.inherited(instance.heir_lock)
        self.pidfd: int | None = None
        self._identity: Identity | None = None

    def ensure(self) -> None:
        """Find the heir that waits, or start one. Raises OSError (for example where there is no flock(1))."""
        self._let_go()
        lock = self._lock if self._lock is not None else locks.acquire(self._instance.heir_lock)
        self._lock = None
        if lock is None:
            pids = [pid for pid in locks.holders(self._instance.heir_lock) if pid != os.getpid()]
            self._watch(identity.identify(pids[0]) if pids else None)
            return
        try:
            argv = ["flock", "-F", "-x", self._instance.guard_lock, *launch.command(self._config, "guard", FLAG)]
            pid = launch.detached(argv, launch.environment(self._config), keep=lock)
        finally:
            os.close(lock)
        self._watch(identity.identify(pid))

    def renew(self) -> None:
        """Have an heir of our own release instead of the one that waits. Raises OSError."""
        disinherit(self._instance)
        end = clock.now() + GONE
        while (lock := locks.acquire(self._instance.heir_lock)) is None and clock.now() < end:
            time.sleep(0.001)
        if lock is not None:
            os.close(lock)
        self.ensure()

    def lost(self) -> None:
        """It has died: let go of it."""
        self._let_go()

    def retire(self) -> None:
        """End it, also one that we have not found yet, so that our own end leaves no guard. Best effort."""
        if self.pidfd is None:
            disinherit(self._instance)
            return
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self._let_go()

    def _watch(self, found: Identity | None) -> None:
        self._identity = found
        self.pidfd = ladder.open_pidfd(found) if found else None

    def _let_go(self) -> None:
        if self.pidfd is not None:
            self._reap()
            os.close(self.pidfd)
        self.pidfd = self._identity = None

    def _reap(self) -> None:
        if self._identity:
            try:
                os.waitpid(self._identity.pid, os.WNOHANG)
            except ChildProcessError:
                pass
