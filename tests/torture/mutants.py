"""Faults put into the protocol on purpose: an explorer that does not find them proves nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from watchdog import locks, pidfile, wish
from watchdog.engine import Engine


def _no_lock_at_spawn() -> None:
    """The bot's lock is opened and never locked."""
    real = locks.acquire

    def acquire(path: str) -> int | None:
        return locks.open_lock(path) if os.path.basename(path) == pidfile.BOT_LOCK else real(path)

    locks.acquire = acquire


def _word_before_lock() -> None:
    """B3 before B1: the operator's word that counts at the spawn was read before the lock was taken."""
    converge, vacant, real = Engine._converge, Engine._vacant, wish.read_desired
    stale: list[wish.Desired] = []

    def early(self: Engine) -> None:
        stale[:] = [real(self.instance)]
        converge(self)

    def late(self: Engine) -> None:
        wish.read_desired = lambda instance: stale[0]
        try:
            vacant(self)
        finally:
            wish.read_desired = real

    Engine._converge = early  # type: ignore[method-assign]
    Engine._vacant = late  # type: ignore[method-assign]


APPLY: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "no-lock-at-spawn": _no_lock_at_spawn,
    "word-before-lock": _word_before_lock,
}
