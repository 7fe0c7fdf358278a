"""Questions about the machine."""

from __future__ import annotations

import os
import socket

from . import clock

HOLD = 30.0
"""Seconds that a shutdown once seen is believed in without asking again."""


def name() -> str:
    """The host's own name, without its domain."""
    return socket.gethostname().partition(".")[0] or "localhost"


class Shutdown:
    """Is the machine going down? Then nothing is started any more."""

    def __init__(self) -> None:
        self._until = 0.0

    def under_way(self, thorough: bool) -> bool:
        """The quick answer sees only the last phase, when PID 1 has become systemd-shutdown(8). The thorough one asks
        ``systemctl is-system-running`` (about 10 ms, 1 s at most): worth it after an exit that looks like an orderly
        stop. Once seen, a shutdown counts for HOLD seconds: the bus that could deny it may be gone by then.
        """
        if clock.now() < self._until:
            return True
        if _pid_one().startswith(("systemd-shutdow", "shutdown", "halt", "reboot")) or (thorough and _stopping()):
            self._until = clock.now() + HOLD
            return True
        return False


def _pid_one() -> str:
    try:
        descriptor = os.open("/proc/1/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 64).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _stopping() -> bool:
    if not os.path.isdir("/run/systemd/system"):
        return False
    import subprocess

    try:
        found = subprocess.run(
            ["systemctl", "is-system-running"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=1,
            check=False,
        )
        answer = found.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        answer = b""
    if answer in (
        b"",
        b"unknown",
        b"offline",
    ):  # no bus any more; systemd-user-sessions.service(8) forbids log-ins first
        return os.path.exists("/run/nologin")
    return answer == b"stopping"
