"""The end of every verb, whatever hangs: a dead network disk blocks a system call for ever, and cron starts the next.

SIGALRM with its default action ends the process even inside such a call (alarm(2)). Only the process that the command
line has started is armed; a guard that detaches itself is another one.
"""

from __future__ import annotations

import math
import signal

LIMIT = 50
"""Seconds, less than the minute until cron starts the next tick."""

EXIT_CODE = 128 + signal.SIGALRM
"""What a shell and cron see of it."""

_armed: list[bool] = []


def arm() -> None:
    """Begin to count. Called once, by the process that is the command."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIMIT)
    _armed.append(True)


def extend(seconds: float) -> None:
    """Count anew: this verb may take so long by its settings."""
    if _armed:
        signal.alarm(math.ceil(seconds))


def lift() -> None:
    """This one stays."""
    if _armed:
        signal.alarm(0)
