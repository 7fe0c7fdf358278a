"""Will the log-in that we run in take the bot with it when it ends?

logind puts every log-in into a scope of its own and, with KillUserProcesses=yes, ends all that is left in it at the
log-out (logind.conf(5)). A session of setsid(2) does not leave the scope; cron's guard was never in one.
"""

from __future__ import annotations

import os

_CGROUP = "/proc/{pid}/cgroup"
_ASK = ("loginctl", "show-session", "--property=KillUserProcesses", "--property=KillExcludeUsers")


def takes_all() -> bool:
    """True when whatever we start ends with this log-in. False, too, where it cannot be told. Takes 2 s at most."""
    if not within("self"):
        return False
    found = _settings()
    return found.get("KillUserProcesses") == "yes" and _name() not in found.get("KillExcludeUsers", "").split()


def within(pid: int | str) -> bool:
    """True for a process in the scope of a log-in (cgroups(7)); false, too, where that cannot be read."""
    try:
        with open(_CGROUP.format(pid=pid), encoding="utf-8", errors="replace") as file:
            return any(line.rstrip().endswith(".scope") and "/session-" in line for line in file)
    except OSError:
        return False


def _settings() -> dict[str, str]:
    import subprocess

    try:
        done = subprocess.run(
            _ASK, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=2, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    pairs = (line.partition("=") for line in done.stdout.decode("utf-8", "replace").splitlines())
    return {key: value for key, _, value in pairs}


def _name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""
