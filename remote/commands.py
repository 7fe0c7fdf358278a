"""Pure builders: a host and a verb in, the argv of the remote call and its time limit out. No input or output here."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import Enum

from .hosts import Host


class Verb(str, Enum):
    """The agent's verbs that fab offers."""

    STATUS = "status"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RESET = "reset"
    EXPLAIN = "explain"
    LOGS = "logs"
    MAINTENANCE = "maintenance"
    ALERT_TEST = "alert-test"


READING = frozenset({Verb.STATUS, Verb.EXPLAIN, Verb.LOGS})
"""Verbs that change nothing."""

_READ_LIMIT = 20.0  # seconds
_LOGS_LIMIT = 60.0
_MAIL_LIMIT = 90.0  # the agent gives one delivery 60 s
_SLACK = 30.0


@dataclass(frozen=True)
class Request:
    """One verb with its options, the same for every host."""

    verb: Verb
    options: tuple[str, ...] = ()

    def argv(self, host: Host, login_user: str) -> list[str]:
        """The door, as the bot's user, with this verb. A missing sudo right is an instant error, never a prompt."""
        door = [host.door, self.verb.value, *self.options, "--json"]
        if host.bot_user and host.bot_user != login_user:
            return ["sudo", "-n", "-u", host.bot_user, *door]
        return door

    def limit(self, host: Host) -> float:
        """Seconds after which no answer will come any more."""
        if self.verb in (Verb.STATUS, Verb.EXPLAIN, Verb.MAINTENANCE):
            return _READ_LIMIT
        if self.verb is Verb.LOGS:
            return _LOGS_LIMIT
        if self.verb is Verb.ALERT_TEST:
            return _MAIL_LIMIT
        stopping = host.stop_grace if self.verb in (Verb.STOP, Verb.RESTART) else 0.0
        starting = host.start_grace if self.verb is not Verb.STOP else 0.0
        return stopping + starting + _SLACK


def shell_line(argv: list[str]) -> str:
    """``argv`` for the login shell on the other side."""
    return shlex.join(argv)


def action_options(by: str, reason: str | None) -> tuple[str, ...]:
    """Options of start, stop, restart and reset."""
    return _with_values(("--by", by), ("--reason", one_line(reason) if reason else None))


def maintenance_options(word: str | None, duration: str | None, reason: str | None, by: str) -> tuple[str, ...]:
    """Options of maintenance; no word only shows it."""
    if word is None:
        return ()
    return word, *_with_values(("--by", by), ("--for", duration), ("--reason", one_line(reason) if reason else None))


def explain_options(lines: int, since: str | None) -> tuple[str, ...]:
    """Options of explain."""
    return _with_values(("--lines", str(lines)), ("--since", since))


def logs_options(
    lines: int | None, *, follow: bool, since: str | None, grep: str | None, source: str | None
) -> tuple[str, ...]:
    """Options of logs. A follower also ends when its input does, so that it never outlives the connection."""
    count = None if lines is None else str(lines)
    options = _with_values(("--lines", count), ("--since", since), ("--grep", grep), ("--source", source))
    return (*options, "--follow", "--until-eof") if follow else options


def _with_values(*pairs: tuple[str, str | None]) -> tuple[str, ...]:
    """``--name=value`` for each that has one: as one word, a value may begin with a dash."""
    return tuple(f"{name}={value}" for name, value in pairs if value)


def operator(user: str, machine: str) -> str:
    """Who is acting, as ``user@machine`` in harmless characters."""
    parts = (re.sub(r"[^A-Za-z0-9._-]", "_", part)[:32] or "unknown" for part in (user, machine.split(".")[0]))
    return "@".join(parts)


def one_line(text: str) -> str:
    """A reason as the agent keeps it: printable, one line, of bounded length."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:200]
