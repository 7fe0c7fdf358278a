"""The guard's own command line, read without the grammar, which would cost a guard a megabyte for its whole life.

cron runs it 1440 times a day, and an heir becomes a guard by it. While a guard answers, it imports next to nothing: no
typing, enum, json, socket or re, each of which costs more than all the rest. Everything unusual is left to `cli`, which
explains it.
"""

from __future__ import annotations

import _socket
import os

from . import address, pidfile, settings
from .errors import WatchdogError

ANSWER_WITHIN = 2.0
"""Seconds within which a healthy guard answers."""

_LIMIT = 65_536


class Pulse:
    """``guard`` with what may stand around it."""

    def __init__(self, files: tuple[str, ...], door: str | None, foreground: bool, resume: str | None) -> None:
        self.files, self.door, self.foreground, self.resume = files, door, foreground, resume


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
    """Become the guard. Raises WatchdogError."""
    from . import config, deadline, tick
    from .contain import escape_unprintable

    escape_unprintable()
    found = config.load(dict(os.environ), list(pulse.files), pulse.door)
    os.chdir("/")  # every path is absolute by now, and ours may be a directory that the bot's user cannot enter again
    if pulse.foreground or pulse.resume:
        deadline.lift()
    return tick.become_guard(found, pulse.foreground, replace=False, debug=False, resume=pulse.resume)


def answered(pulse: Pulse) -> bool:
    """True when a guard of this bot answers. Whatever is in the way of that is left to `beat`, which explains it."""
    if pulse.resume is not None:
        return False
    try:
        values, _ = settings.gather(dict(os.environ), list(pulse.files))
        script = settings.locate_script(values, settings.locate_app_dir(values))
        return _ping(os.path.join(pidfile.instance_dir(script), pidfile.CONTROL_SOCKET))
    except (WatchdogError, OSError, KeyError):
        return False


def _ping(path: str) -> bool:
    """Ask as `control.ping` does: a line that we were heard, then a line about the guard."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_WITHIN)
        try:
            address.through(path, connection.connect)
        except OSError:
            connection.connect(address.spare(path))
        if not address.trusted(connection):
            return False
        connection.sendall(b'{"verb": "ping"}\n')
        heard = b""
        while heard.count(b"\n") < 2 and len(heard) < _LIMIT:
            part = connection.recv(_LIMIT)
            if not part:
                break
            heard += part
    finally:
        connection.close()
    return heard.count(b"\n") == 2 and heard.endswith(b"}\n")
