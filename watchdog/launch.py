"""Starting ourselves: guard, heir and sender run the same command as the one that started us."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import sys

from .config import Config

LEAVE = (signal.SIGTERM, signal.SIGINT)
"""Signals on which a guard leaves. They wait while one release gives way to another in the same process."""


def command(config: Config, *words: str) -> list[str]:
    """Argument vector for a verb of this agent: through the door if there is one, so that upgrades are picked up."""
    if config.door:
        return [config.door, *words]
    return [sys.executable, "-m", __package__ or "watchdog", *words]


def environment(config: Config) -> dict[str, str]:
    """cron's environment; without a door also the settings, absolute, and where this package lies."""
    variables = {**_account(), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    if config.door:
        return variables
    places = [place for place in sys.path if place and os.path.isdir(place)]
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    variables["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([here, *places]))
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "TZ"):
        if name in os.environ:
            variables[name] = os.environ[name]
    return {**variables, **config.environment()}


def _account() -> dict[str, str]:
    """Home and name by the password database; if it has lost us, what we were started with."""
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        return {name: os.environ[name] for name in ("HOME", "LOGNAME") if name in os.environ}
    return {"HOME": user.pw_dir, "LOGNAME": user.pw_name}


def release() -> str | None:
    """Identifier of the release this agent was unpacked from, None outside of one."""
    file = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "RELEASE")
    try:
        with open(file, encoding="utf-8") as stream:
            found = json.load(stream).get("release")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def seal() -> None:
    """Make all descriptors we were started with close-on-exec: nothing of a shell, cron or ssh reaches the bot."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)


def shed(keep: set[int]) -> None:
    """Close every descriptor but the standard three and ``keep``, so that nobody waits for us to let go of a pipe."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _program(name: str, path: str) -> str:
    """Where the program lies by that PATH; ours may be empty, and posix_spawnp(3) would search in ours."""
    if os.path.isabs(name):
        return name
    places = (os.path.join(folder, name) for folder in path.split(os.pathsep))
    return next((place for place in places if os.access(place, os.X_OK)), name)


def detached(argv: list[str], variables: dict[str, str], stdin: int | None = None, keep: int | None = None) -> int:
    """Start a process in a session of its own with nothing of ours but ``stdin`` and the descriptor ``keep``; its PID.

    Raises OSError.
    """
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    if stdin is None:
        actions.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
    else:
        actions.append((os.POSIX_SPAWN_DUP2, stdin, 0))
    if keep is not None:
        os.set_inheritable(keep, True)
    try:
        program = _program(argv[0], variables.get("PATH", os.defpath))
        return os.posix_spawn(program, argv, variables, file_actions=actions, setsid=True, setsigmask=())
    finally:
        if keep is not None:
            os.set_inheritable(keep, False)
