"""The raw settings: their names and defaults, where their values come from, and where the bot lies by them.

The tick of cron reads them 1440 times a day on every host, so this module imports next to nothing.
"""

from __future__ import annotations

import os
import pwd

from . import envfile
from .errors import ConfigError

SETTINGS = {
    "WATCHDOG_NAME": "",
    "WATCHDOG_APP_DIR": ".",
    "WATCHDOG_APP_SCRIPT": "src/main_app.py",
    "WATCHDOG_APP_PYTHON": "",
    "WATCHDOG_APP_ARGS": "",
    "WATCHDOG_APP_LOG": "",
    "WATCHDOG_APP_ENV_FILE": "",
    "WATCHDOG_PID_FILE": "main_app.pid",
    "WATCHDOG_LOG_DIR": "logs",
    "WATCHDOG_STATE_DIR": "",
    "WATCHDOG_START_GRACE": "3",
    "WATCHDOG_STOP_GRACE": "20",
    "WATCHDOG_ALLOW_ROOT": "",
    "WATCHDOG_HANG_AFTER": "120",
    "WATCHDOG_HEARTBEAT": "",
    "WATCHDOG_FRESH_FILE": "",
    "WATCHDOG_FRESH_AFTER": "0",
    "WATCHDOG_DEAF_AFTER": "0",
    "WATCHDOG_DEAF_BYTES": "200",
    "WATCHDOG_QUIET_HOURS": "",
    "WATCHDOG_RESTART_ON": "stopped,backlog,heartbeat",
    "WATCHDOG_MAX_MEMORY": "",
    "WATCHDOG_MAX_CPU": "",
    "WATCHDOG_MAX_DESCRIPTORS": "90",
    "WATCHDOG_LIMIT_SAMPLES": "4/5",
    "WATCHDOG_SAMPLE_EVERY": "60",
}
SMTP = (
    "SMTP_SERVER",
    "SMTP_PORT",
    "SMTP_USERNAME",
    "SMTP_PASSWORD",
    "ALERT_EMAIL_FROM",
    "ALERT_EMAIL_TO",
    "SMTP_SECURITY",
    "SMTP_CA_FILE",
)
FOREIGN = frozenset({"WATCHDOG_USEC", "WATCHDOG_PID"})
"""systemd sets these two in services of its own (sd_watchdog_enabled(3)); they are not ours and no mistake."""

HANDED_ON = frozenset({"WATCHDOG_LOCK_FD", "WATCHDOG_INSTANCE"})
"""What the bot gets from us, and so what anything started by the bot may carry."""


def gather(environ: dict[str, str], files: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The raw values in force and where each came from. Raises ConfigError for a name nobody knows."""
    values = {**SETTINGS, **dict.fromkeys(SMTP, "")}
    origin: dict[str, str] = {}
    sources = [("the environment", {k: v for k, v in environ.items() if k.startswith("WATCHDOG_") or k in SMTP})]
    sources += [(file, envfile.read(file)) for file in files]
    for where, found in sources:
        for key, value in found.items():
            if key in FOREIGN or key in HANDED_ON:
                continue
            if key not in values:
                raise ConfigError(f"unknown setting {key} in {where}{_suggestion(key, list(values))}")
            if value.strip() or where != "the environment":
                kept = value if key in SMTP else value.strip()
                values[key] = kept if value.strip() else SETTINGS.get(key, "")
                origin[key] = where
    return values, origin


def locate_app_dir(values: dict[str, str]) -> str:
    """The bot's project root, absolute, symbolic links kept."""
    return os.path.abspath(expand(values["WATCHDOG_APP_DIR"]))


def locate_script(values: dict[str, str], app_dir: str) -> str:
    """The bot's script, absolute, symbolic links kept."""
    return os.path.normpath(os.path.join(app_dir, expand(values["WATCHDOG_APP_SCRIPT"])))


def expand(path: str) -> str:
    """``~`` by the password database, since cron and sudo do not agree about HOME."""
    if path == "~" or path.startswith("~/"):
        return pwd.getpwuid(os.getuid()).pw_dir + path[1:]
    return path


def _suggestion(key: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; remove it"
