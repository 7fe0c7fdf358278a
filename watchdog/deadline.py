"""The end of every verb, whatever hangs: a dead network disk blocks a system call for ever, and cron starts the next.

SIGALRM with its default action ends the process even inside such a call (alarm(2)). Only the process that the command
line has started is armed; a guard that detaches itself is another one.
"""

from __future__ import annotations

# `signal` itself would cost each tick of cron 3 ms for its enum; it has these four from here.
import math
from _signal import SIG_DFL, SIGALRM, alarm, signal  # type: ignore[import-not-found]

LIMIT = 50
"""Seconds, less than the minute until cron starts the next tick."""

EXIT_CODE = 128 + SIGALRM
"""What a shell and cron see of it."""

_armed: list[bool] = []


def arm() -> None:
    """Begin to count. Called once, by the process that is the command."""
    signal(SIGALRM, SIG_DFL)
    alarm(LIMIT)
    _armed.append(True)


def extend(seconds: float) -> None:
    """Count anew: this verb may take so long by its settings."""
    if _armed:
        alarm(math.ceil(seconds))


def lift() -> None:
    """This one stays."""
    if _armed:
        alarm(0)
