"""What systemd-logind does to a user's processes at logout."""

from __future__ import annotations

import glob
import os
import re

from .system import Account, read_text


def kills_user_processes() -> bool:
    """Whether logind ends a user's processes at logout (logind.conf(5))."""
    answer = False
    for path in ["/etc/systemd/logind.conf", *sorted(glob.glob("/etc/systemd/logind.conf.d/*.conf"))]:
        for value in re.findall(r"^\s*KillUserProcesses\s*=\s*(\w+)", read_text(path) or "", re.MULTILINE):
            answer = value.lower() in {"yes", "true", "1", "on"}
    return answer


def lingers(user: Account) -> bool:
    """Whether the user's service manager outlives the last login (`loginctl enable-linger`)."""
    return os.path.exists(f"/var/lib/systemd/linger/{user.name}")
