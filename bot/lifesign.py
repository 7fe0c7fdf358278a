"""Signs of life from a bot to whoever watches it: sd_notify(3) in one file that needs nothing but Python >= 3.9.

Copy it beside your program. Say :func:`ready` when the bot can trade, :func:`beat` after useful work, and
:func:`stopping` when it winds up. Where nobody watches (no ``NOTIFY_SOCKET``), all three do nothing.

None of them waits or raises, whatever has become of the one who watches: a sign that cannot be sent at once is dropped.
"""

from __future__ import annotations

import os
import socket
import threading
import time


def _pace() -> float:
    """A second, or a quarter of the time within which the one who watches wants a beat (sd_watchdog_enabled(3))."""
    wanted = os.environ.get("WATCHDOG_USEC", "")
    seconds = int(wanted) / 1e6 if wanted.isdecimal() and wanted.isascii() and len(wanted) < 18 else 0.0
    return min(1.0, seconds / 4) if seconds else 1.0


EVERY = _pace()
"""Seconds from one beat that is sent to the next; those between cost a look at the clock."""

_OWNER = os.getpid()
_gate = threading.Lock()
_due = 0.0


def ready() -> None:
    """The bot has started and can do its work."""
    _say("READY=1")


def beat() -> None:
    """Useful work was done just now. Call it as often as you like, from any thread or coroutine.

    "Useful" is what the bot is there for: a message was handled, or the feed said that there is none. A thread that
    only beats would go on when everything else is dead.
    """
    global _due  # noqa: PLW0603 - one process, one pulse
    if time.monotonic() < _due or not _gate.acquire(blocking=False):
        return
    try:
        now = time.monotonic()
        if now >= _due:
            _due = now + EVERY
            _say("WATCHDOG=1")
    finally:
        _gate.release()


def stopping() -> None:
    """The bot is winding up because it was asked to: from now on nobody waits for a beat, and none is sent."""
    global _due  # noqa: PLW0603 - one process, one pulse
    _due = float("inf")
    _say("STOPPING=1")


def _say(text: str) -> None:
    """Send one datagram, if we are the process that was watched from the start and not a child that was forked later.

    The socket is made anew each time. One that is kept would be connected to a watcher that may be replaced, and its
    number may belong to another connection by now, where closing all descriptors is part of a bot's start.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or os.getpid() != _OWNER:
        return
    if address.startswith("@"):  # an abstract name, unix(7)
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(0)
            client.sendto(text.encode(), os.fsencode(address))
    except OSError:
        pass
