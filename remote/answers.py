"""What a host has answered: the agent's JSON if it is there, else the reason why it is not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from watchdog.states import SCHEMA

from .commands import READING, Verb
from .errors import HostError, Unreachable
from .hosts import Host
from .session import Completed
from .text import clean

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # POSIX shell


@dataclass(frozen=True)
class Answer:
    """The agent's document and the exit code of its process."""

    exit_code: int
    document: dict[str, Any]


def read(host: Host, verb: Verb, done: Completed, login_user: str) -> Answer:
    """The agent's answer.

    :raises HostError: it reports an error, or there is no agent, no right to call it, or no sense in what came.
    :raises Unreachable: the connection ended before the answer.
    """
    document = _document(done.stdout)
    if document is None:
        raise _no_answer(host, verb, done, login_user)
    schema = document.get("schema")
    if schema != SCHEMA:
        raise HostError(
            f"the agent on {host.name} speaks schema {clean(schema)} and this fab speaks {SCHEMA}: "
            "deploy again from this checkout, or update it",
            short=f"agent speaks schema {clean(schema)}",
        )
    exit_code = done.exit_code if done.exit_code is not None and done.exit_code >= 0 else 1
    if "error" in document:
        message = clean(document["error"])
        raise HostError(message, short=message, exit_code=exit_code or 1)
    return Answer(exit_code, document)


def shown_lines(document: dict[str, Any]) -> list[str]:
    """What the answers of logs and explain have for people."""
    found = document.get("lines")
    if isinstance(decisions := document.get("decisions"), list):
        texts = [one.get("text") for one in decisions if isinstance(one, dict)]
        found = [line for text in texts if isinstance(text, list) for line in text]
    return [str(line) for line in found] if isinstance(found, list) else []


def _document(output: bytes) -> dict[str, Any] | None:
    """The JSON object in ``output``, even if a login script on the host has printed something before it."""
    text = output.decode(errors="replace").strip()
    candidates = [text, *(line for line in reversed(text.splitlines()[-20:]) if line.startswith("{"))]
    for candidate in candidates:
        try:
            document = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict) and "schema" in document:
            return document
    return None


def _no_answer(host: Host, verb: Verb, done: Completed, login_user: str) -> HostError:
    said = _first_line(done)
    if done.exit_code is None:
        rest = "" if verb in READING else f"; it may still be at work there: fab -H {host.name} status"
        return Unreachable(f"{host.address} closed the connection before it answered{rest}", short="connection lost")
    if said.lower().startswith("sudo:") or (done.exit_code == _NOT_FOUND and host.door not in said and "sudo" in said):
        return _no_sudo(host, said, login_user)
    if done.exit_code == _NOT_FOUND:
        return _no_watchdog(host)
    if done.exit_code == _NOT_EXECUTABLE:
        return HostError(
            f"{login_user}@{host.name} may not run {host.door} ({said}): is watchdog_user right? Else {_deploy(host)}",
            short="door not executable",
        )
    return HostError(
        f"{host.door} on {host.name} gave no JSON but exit {done.exit_code}: {said or 'nothing at all'}",
        short=f"no JSON, exit {done.exit_code}: {said}" if said else f"no JSON, exit {done.exit_code}",
    )


def _no_sudo(host: Host, said: str, login_user: str) -> HostError:
    lowered = said.lower()
    if not lowered.startswith("sudo:"):  # the shell's words: there is no sudo
        return HostError(
            f"{host.name} has no sudo, and {login_user} is not the bot's user {host.bot_user}: install sudo there, "
            f"or log in as {host.bot_user} (ansible_user)",
            short="no sudo installed",
        )
    if "command not found" in lowered or "no such file" in lowered:
        return _no_watchdog(host)
    if "unknown user" in lowered:
        return HostError(
            f"there is no user {host.bot_user} on {host.name}: is watchdog_user right?",
            short=f"no user {host.bot_user} there",
        )
    return HostError(
        f"{login_user}@{host.name} may not run {host.door} as {host.bot_user} ({said}): the role installs that "
        f"sudo rule, {_deploy(host)}",
        short=f"no sudo right to act as {host.bot_user}",
    )


def _no_watchdog(host: Host) -> HostError:
    return HostError(f"no watchdog at {host.door} on {host.name}: {_deploy(host)}", short="no watchdog installed")


def _deploy(host: Host) -> str:
    return f"ansible-playbook deploy.yml --limit {host.name}"


def _first_line(done: Completed) -> str:
    """The host's first complaint; sudo's lines come first, since a login script may have spoken before."""
    lines = [clean(line) for line in (done.stderr + b"\n" + done.stdout)[:65536].decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    return next((line for line in lines if line.startswith("sudo:")), lines[0] if lines else "")
