"""Reads settings back from the env files of a deployment, which the role itself wrote as KEY="VALUE"."""

from __future__ import annotations

import os
import re

from .system import account_of, expand, read_text

_LINE = re.compile(r'^([A-Z_]+)="(.*)"$', re.MULTILINE)
DEFAULT_SCRIPT = "src/main_app.py"


def read_settings(path: str) -> dict[str, str]:
    """The settings in an env file; none where it cannot be read."""
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in _LINE.findall(read_text(path) or "")}


def script_of(settings: dict[str, str], home: str) -> str:
    """The real path of the bot's script that these settings name."""
    app_dir = expand(settings.get("WATCHDOG_APP_DIR", ""), home)
    script = expand(settings.get("WATCHDOG_APP_SCRIPT") or DEFAULT_SCRIPT, home)
    return os.path.realpath(os.path.join(app_dir, script))


def same_bot(path: str, script: str) -> bool:
    """Whether the deployment with this watchdog.env looks after the bot whose script has this real path."""
    settings = read_settings(path)
    try:
        owner = account_of(os.stat(os.path.join(os.path.dirname(path), "smtp.env")).st_uid)
    except OSError:
        owner = None
    return bool(settings) and script_of(settings, owner.home if owner else "/") == script
