"""Questions about the machine."""

from __future__ import annotations

import os
import socket


def name() -> str:
    """The host's own name, without its domain."""
    return socket.gethostname().partition(".")[0] or "localhost"


def shutting_down(thorough: bool) -> bool:
    """True while the system goes down, so that nothing is started any more.

    The quick answer sees only the last phase, when PID 1 has become systemd-shutdown(8). The thorough one asks
    ``systemctl is-system-running`` (about 10 ms, 1 s at most): worth it after an exit that looks like an orderly stop.
    """
    try:
        with open("/proc/1/comm", encoding="ascii") as file:
            if file.read().startswith(("systemd-shutdow", "shutdown", "halt", "reboot")):
                return True
    except (OSError, UnicodeDecodeError):
        return False
    if not thorough or not os.path.isdir("/run/systemd/system"):
        return False
    import subprocess

    try:
        answer = subprocess.run(
            ["systemctl", "is-system-running"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=1,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == b"stopping"
