"""One bot on one host, as its inventory variables and the role's defaults describe it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .ansible_settings import AnsibleSettings
from .errors import HostError

CONNECTION_VARIABLES = (
    "ansible_connection",
    "ansible_host",
    "ansible_ssh_host",
    "ansible_port",
    "ansible_ssh_port",
    "ansible_user",
    "ansible_ssh_user",
    "ansible_private_key_file",
    "ansible_ssh_private_key_file",
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
)
WATCHDOG_VARIABLES = (
    "watchdog_name",
    "watchdog_root",
    "watchdog_start_grace",
    "watchdog_state",
    "watchdog_stop_grace",
    "watchdog_system",
    "watchdog_user",
)
USED_VARIABLES = frozenset(CONNECTION_VARIABLES + WATCHDOG_VARIABLES)
"""Everything fab wants to know of a host. Nothing else of the inventory is kept, so no secret is."""

PROBLEM_KEY = "__problem__"
"""In a cached host: a used variable that could not be evaluated, and why."""

USER_ROOT = ".local/share/dca-watchdog"
"""What the default of watchdog_root stands for without watchdog_system: below the home of the ssh user."""

_SSH_CONNECTIONS = frozenset(
    {"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh"}
)
_LOCAL_CONNECTIONS = frozenset({"local", "ansible.builtin.local"})
_USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?")
_BOT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_FALSE = frozenset({"0", "false", "no", "off", "n", "f", ""})


@dataclass(frozen=True)
class Host:
    """Where a bot lives and how its door is reached. ``None`` means that ssh's own configuration decides."""

    name: str
    address: str
    bot: str = "dcaTrader"
    local: bool = False
    port: int | None = None
    user: str | None = None
    key_file: str | None = None
    ssh_args: tuple[str, str] = ("", "")
    """Arguments in Ansible's order: those before and those after port, key and user."""
    root: str = "/opt/dca-watchdog"
    bot_user: str | None = None
    start_grace: float = 3.0
    stop_grace: float = 20.0
    """Seconds; the deadline of a restart follows from them."""

    @property
    def door(self) -> str:
        """Path of the bot's door; a relative one counts from the ssh user's home."""
        return f"{self.root}/bin/{self.bot}"


def host_from_variables(name: str, variables: Mapping[str, Any], settings: AnsibleSettings) -> Host:
    """Read a host out of its inventory variables (the role's defaults already below them).

    :raises HostError: a variable is malformed, or asks for something fab does not do.
    """
    if problem := variables.get(PROBLEM_KEY):
        raise _bad(name, problem)
    connection = str(variables.get("ansible_connection") or "ssh")
    if connection not in _SSH_CONNECTIONS | _LOCAL_CONNECTIONS:
        raise _bad(name, f"ansible_connection: {connection} is not supported by fab, only ssh and local are")
    system = _boolean(name, variables, "watchdog_system", default=True)
    root = _text(variables, "watchdog_root") or Host.root
    if not root.startswith("/"):
        raise _bad(name, f"watchdog_root: {root} is not an absolute path")
    if not system and root == Host.root:
        root = USER_ROOT
    bot = _text(variables, "watchdog_name") or Host.bot
    if not _BOT_NAME.fullmatch(bot):
        raise _bad(name, f"watchdog_name: {bot!r} is not a plain name")
    bot_user = _text(variables, "watchdog_user") or None
    if bot_user and not _USER_NAME.fullmatch(bot_user):
        raise _bad(name, f"watchdog_user: {bot_user!r} is not a user name")
    return Host(
        name=name,
        address=_text(variables, "ansible_host", "ansible_ssh_host") or name,
        bot=bot,
        local=connection in _LOCAL_CONNECTIONS,
        port=_port(name, _text(variables, "ansible_port", "ansible_ssh_port") or settings.remote_port),
        user=_text(variables, "ansible_user", "ansible_ssh_user") or settings.remote_user or None,
        key_file=_text(variables, "ansible_private_key_file", "ansible_ssh_private_key_file")
        or settings.private_key_file
        or None,
        ssh_args=(
            _text(variables, "ansible_ssh_args") or settings.ssh_args,
            " ".join(
                part
                for part in (
                    _text(variables, "ansible_ssh_common_args") or settings.ssh_common_args,
                    _text(variables, "ansible_ssh_extra_args") or settings.ssh_extra_args,
                )
                if part
            ),
        ),
        root=root,
        bot_user=bot_user,
        start_grace=_seconds(name, variables, "watchdog_start_grace", Host.start_grace),
        stop_grace=_seconds(name, variables, "watchdog_stop_grace", Host.stop_grace),
    )


def wants_watchdog(variables: Mapping[str, Any]) -> bool:
    """False where the inventory says that the watchdog is to be gone (``watchdog_state: absent``)."""
    return str(variables.get("watchdog_state") or "present") != "absent"


def _bad(name: str, problem: str) -> HostError:
    return HostError(f"inventory of {name}: {problem}", short=problem)


def _text(variables: Mapping[str, Any], *keys: str) -> str:
    for key in keys:
        value = variables.get(key)
        if value is not None and value != "":
            return str(value)
    return ""


def _port(name: str, text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise _bad(name, f"ansible_port: {text!r} is not a port number")
    return int(text)


def _boolean(name: str, variables: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = variables.get(key)
    if value is None:
        return default
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise _bad(name, f"{key}: {value!r} is neither true nor false")
    return word in _TRUE


def _seconds(name: str, variables: Mapping[str, Any], key: str, default: float) -> float:
    text = _text(variables, key)
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise _bad(name, f"{key}: {text!r} is not a number of seconds") from None
