"""Settings: env files over the environment over defaults, checked once, then never changed.

A file named with ``--config`` wins over the environment, because it is what was deployed and what can be looked up;
an empty value counts as not set.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from . import limits
from .errors import ConfigError
from .limits import Limits
from .settings import SMTP, expand, gather, locate_app_dir, locate_script

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})


class Config(NamedTuple):
    """One bot's settings. Paths are absolute, durations in seconds."""

    name: str
    app_dir: str
    script: str
    python: str
    args: tuple[str, ...]
    app_log: str | None
    app_env_file: str | None
    pid_file: str
    log_dir: str
    state_dir: str | None
    start_grace: float
    stop_grace: float
    allow_root: bool
    fresh_file: str | None
    limits: Limits
    judged_by: dict[str, str]
    smtp: dict[str, str]
    files: tuple[str, ...]
    door: str | None

    @property
    def pass_limit(self) -> float:
        """Seconds that one operation may take: two ladders of stopping and one start."""
        return 2 * (self.stop_grace + 20) + self.start_grace

    def environment(self) -> dict[str, str]:
        """The settings as variables, all paths absolute: what a guard, an heir or a sender of this bot starts with."""
        variables = {
            "WATCHDOG_NAME": self.name,
            "WATCHDOG_APP_DIR": self.app_dir,
            "WATCHDOG_APP_SCRIPT": self.script,
            "WATCHDOG_APP_PYTHON": self.python,
            "WATCHDOG_APP_ARGS": quote_args(self.args),
            "WATCHDOG_APP_LOG": self.app_log or "",
            "WATCHDOG_APP_ENV_FILE": self.app_env_file or "",
            "WATCHDOG_PID_FILE": self.pid_file,
            "WATCHDOG_LOG_DIR": self.log_dir,
            "WATCHDOG_STATE_DIR": self.state_dir or "",
            "WATCHDOG_START_GRACE": repr(self.start_grace),
            "WATCHDOG_STOP_GRACE": repr(self.stop_grace),
            "WATCHDOG_ALLOW_ROOT": "1" if self.allow_root else "",
            "WATCHDOG_FRESH_FILE": self.fresh_file or "",
        }
        return {**variables, **self.judged_by, **self.smtp}


def load(environ: dict[str, str], files: list[str], door: str | None = None) -> Config:
    """Read and check every setting. Raises ConfigError with the first thing that is wrong and what to do about it."""
    values, origin = gather(environ, files)
    app_dir = locate_app_dir(values)
    if not os.path.isdir(app_dir):
        raise ConfigError(f"WATCHDOG_APP_DIR: no directory {app_dir}{_from(origin, 'WATCHDOG_APP_DIR')}")

    def path(key: str) -> str:
        return os.path.normpath(os.path.join(app_dir, expand(values[key])))

    def optional(key: str) -> str | None:
        return path(key) if values[key] else None

    allow_root = _flag(values, "WATCHDOG_ALLOW_ROOT", origin)
    if os.geteuid() == 0 and not allow_root:
        raise ConfigError(
            "refusing to run as root: run as the bot's own user, or set WATCHDOG_ALLOW_ROOT=1 if the bot is root's"
        )
    return Config(
        name=_name(values, app_dir, origin),
        app_dir=app_dir,
        script=locate_script(values, app_dir),
        python=path("WATCHDOG_APP_PYTHON") if values["WATCHDOG_APP_PYTHON"] else _interpreter(app_dir),
        args=split_args(values["WATCHDOG_APP_ARGS"], origin),
        app_log=optional("WATCHDOG_APP_LOG"),
        app_env_file=optional("WATCHDOG_APP_ENV_FILE"),
        pid_file=path("WATCHDOG_PID_FILE"),
        log_dir=path("WATCHDOG_LOG_DIR"),
        state_dir=optional("WATCHDOG_STATE_DIR"),
        start_grace=_seconds(values, "WATCHDOG_START_GRACE", 0.1, 3600, origin),
        stop_grace=_seconds(values, "WATCHDOG_STOP_GRACE", 0, 3600, origin),
        allow_root=allow_root,
        fresh_file=optional("WATCHDOG_FRESH_FILE"),
        limits=limits.parse(
            values, lambda key, what: ConfigError(f"{key}: {values[key]!r} {what}{_from(origin, key)}")
        ),
        judged_by={key: values[key] for key in limits.SETTINGS},
        smtp={key: values[key] for key in SMTP if values.get(key)},
        files=tuple(files),
        door=door,
    )


def split_args(text: str, origin: dict[str, str]) -> tuple[str, ...]:
    """Split like a shell. shlex is imported only where there is something to split."""
    if not text:
        return ()
    import shlex

    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise ConfigError(f"WATCHDOG_APP_ARGS: {error}{_from(origin, 'WATCHDOG_APP_ARGS')}") from None


def quote_args(args: tuple[str, ...]) -> str:
    """The inverse of `split_args`."""
    if not args:
        return ""
    import shlex

    return shlex.join(args)


def _name(values: dict[str, str], app_dir: str, origin: dict[str, str]) -> str:
    name = values["WATCHDOG_NAME"] or os.path.basename(app_dir) or "bot"
    if not values["WATCHDOG_NAME"]:
        return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)[:64]
    if len(name) > 64 or not all(c.isascii() and (c.isalnum() or c in "._-") for c in name):
        raise ConfigError(
            f"WATCHDOG_NAME: use letters, digits, '.', '_' and '-', 64 at most{_from(origin, 'WATCHDOG_NAME')}"
        )
    return name


def _interpreter(app_dir: str) -> str:
    """The project's virtual environment if there is one, else the Python that runs us."""
    for folder in (".venv", "venv", "env"):
        candidate = os.path.join(app_dir, folder, "bin", "python")
        if os.access(candidate, os.X_OK):
            return candidate
    return sys.executable or "/usr/bin/python3"


def _seconds(values: dict[str, str], key: str, least: float, most: float, origin: dict[str, str]) -> float:
    try:
        number = float(values[key])
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise ConfigError(
            f"{key}: {values[key]!r} is not a number of seconds from {least:g} to {most:g}{_from(origin, key)}"
        )
    return number


def _flag(values: dict[str, str], key: str, origin: dict[str, str]) -> bool:
    word = values[key].lower()
    if word not in _YES | _NO:
        raise ConfigError(f"{key}: {values[key]!r} is neither 1 nor 0{_from(origin, key)}")
    return word in _YES


def _from(origin: dict[str, str], key: str) -> str:
    return f" (set in {origin[key]})" if key in origin else f" (the default; set {key})"
