"""The guard's own command line, read without the grammar, which would cost a guard a megabyte for its whole life.

cron runs it 1440 times a day, and an heir becomes a guard by it. Everything unusual is left to `cli`, which
explains it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from . import config, deadline, tick
from .contain import escape_unprintable
from .errors import WatchdogError


class Pulse(NamedTuple):
    """``guard`` with what may stand around it."""

    files: tuple[str, ...]
    door: str | None
    foreground: bool
    resume: str | None


def read(words: list[str]) -> Pulse | None:
    """The command line, None where it is another one."""
    files: list[str] = []
    door: str | None = None
    rest = iter(words)
    for word in rest:
        if word == "guard":
            break
        value = next(rest, "")
        if not value or value.startswith("-"):
            return None
        if word == "--config":
            files.append(value)
        elif word == "--door":
            door = value
        else:
            return None
    else:
        return None
    foreground = False
    resume: str | None = None
    for word in rest:
        if word == "--foreground":
            foreground = True
        elif word == "--resume":
            resume = next(rest, "-")
            if resume.startswith("-"):
                return None
        elif word != "--heir":
            return None
    return Pulse(tuple(files), door, foreground, resume)


def beat(pulse: Pulse) -> int:
    """Nothing to do when a guard answers; else become it. Raises WatchdogError."""
    if pulse.resume is None and _answered(pulse):
        return 0
    escape_unprintable()
    settings = config.load(dict(os.environ), list(pulse.files), pulse.door)
    os.chdir("/")  # every path is absolute by now, and ours may be a directory that the bot's user cannot enter again
    if pulse.foreground or pulse.resume:
        deadline.lift()
    return tick.become_guard(settings, pulse.foreground, replace=False, debug=False, resume=pulse.resume)


def _answered(pulse: Pulse) -> bool:
    try:
        return tick.answers(dict(os.environ), list(pulse.files))
    except (WatchdogError, OSError):
        return False
