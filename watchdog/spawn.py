"""Starting the bot: its environment, its output file, one posix_spawn."""

from __future__ import annotations

import os
import pwd
import signal

from . import envfile, identity, pidfile
from .config import Config
from .errors import ConfigError
from .instance import Instance

BOT_OUT = "bot.out"
OUT_LIMIT = 10_000_000

_SIGNALS = [int(number) for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]


def start(config: Config, instance: Instance, lock: int, out: int, notify: bool) -> int:
    """Spawn the bot with the lock inherited; returns its PID. Raises OSError when the kernel will not.

    posix_spawn takes 0.12 ms where fork in a large parent takes 22; it cannot change directory or umask, so this
    single-threaded process does both around it.
    """
    for path, what in ((config.script, "script"), (config.python, "interpreter")):
        if not os.path.isfile(path):
            raise FileNotFoundError(2, f"the {what} is missing", path)
    if not os.access(config.python, os.X_OK):
        raise PermissionError(13, "the interpreter is not executable", config.python)
    variables = environment(config, instance, lock, notify)
    argv = [config.python, config.script, *config.args]
    umask = os.umask(0o022)
    os.set_inheritable(lock, True)
    try:
        os.chdir(config.app_dir)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, out, 1),
            (os.POSIX_SPAWN_DUP2, out, 2),
        ]
        return os.posix_spawn(
            config.python,
            argv,
            variables,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_SIGNALS,
        )
    finally:
        os.set_inheritable(lock, False)
        os.umask(umask)
        os.chdir("/")  # not to where we came from, which may be gone or closed to us


def environment(config: Config, instance: Instance, lock: int | None, notify: bool) -> dict[str, str]:
    """cron's environment (crontab(5)) plus the bot's own env file: the same whoever starts it, and no SMTP_* ever.

    Raises OSError when the env file cannot be used, since a bot without its settings must not trade.
    """
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        raise OSError(2, f"uid {os.getuid()} is not in the password database") from None
    variables = {
        "HOME": user.pw_dir,
        "LOGNAME": user.pw_name,
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    if config.app_env_file:
        try:
            found = envfile.read(config.app_env_file)
        except ConfigError as error:
            raise OSError(22, str(error), config.app_env_file) from None
        variables.update((key, value) for key, value in found.items() if not _ours(key))
    variables[identity.MARKER] = instance.key
    variables[pidfile.PID_FILE] = config.pid_file
    if lock is not None:
        variables[pidfile.LOCK_FD] = str(lock)
    if notify:
        variables["NOTIFY_SOCKET"] = instance.notify_socket
        if config.limits.promise:
            variables["WATCHDOG_USEC"] = str(int(config.limits.promise * 1e6))
    return variables


def _ours(key: str) -> bool:
    return key.startswith(("SMTP_", "ALERT_EMAIL_", "WATCHDOG_"))


def open_output(paths: list[str]) -> tuple[int, str]:
    """The bot's stdout and stderr: the first of these files that can be appended to, at the worst /dev/null.

    Files, never pipes: a bot whose reader is gone would die of SIGPIPE.
    """
    for path in paths:
        try:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(path, flags, 0o600)
        except OSError:
            continue
        os.set_blocking(descriptor, True)
        return descriptor, path
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), os.devnull


def trim_output(path: str) -> None:
    """Rotate by copy and truncate, since the bot keeps the file open; the last 10 MB are kept. Best effort."""
    try:
        if os.stat(path).st_size < OUT_LIMIT:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(path, "rb") as file, open(os.open(f"{path}.1", flags, 0o600), "wb") as copy:
            file.seek(-OUT_LIMIT, os.SEEK_END)
            copy.write(file.read(OUT_LIMIT))
        os.truncate(path, 0)
    except OSError:
        pass
