"""The outbox: an alert is a file first, mail later. Nothing here waits for a network.

``tmp`` holds what is being written, ``new`` what is to be sent, ``dead`` what no server will take.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from . import clock, host, lastwords, launch, redact
from .config import Config
from .journal import Journal, clean
from .paths import Paths

LIMIT = 500
"""Alerts that may wait; beyond it the second oldest goes, so that the first and the newest stay."""

SELDOM = 3600.0
"""Seconds within which the same error of ours is told once."""

PIPE = 60_000
"""Bytes that a pipe takes without a reader (pipe(7))."""

SEND = "send"
"""The agent's internal verb: empty the outbox, or send the one alert that comes in on stdin."""

_TITLES = {
    "restarted": ("✅", "restarted"),
    "failed": ("❌", "failed to restart"),
    "suspect": ("⚠️", "may be ill"),
    "error": ("⚠️", "watchdog error"),
    "test": ("📧", "test alert"),
}


class Outbox:
    """Writes alerts and starts the sender, a process of its own that may hang or be killed without hurting anybody."""

    def __init__(self, config: Config, paths: Paths, journal: Journal) -> None:
        self._config, self._paths, self._journal = config, paths, journal
        self._sender: int | None = None
        self._messengers: list[int] = []
        self._said = False
        self._again = False

    @property
    def configured(self) -> bool:
        """True when at least the three settings without which no mail can go are there."""
        return all(self._config.smtp.get(name) for name in ("SMTP_SERVER", "ALERT_EMAIL_FROM", "ALERT_EMAIL_TO"))

    def alert(self, kind: str, text: str, detail: dict[str, Any]) -> None:
        """Queue one alert and get it sent. Never raises, never waits."""
        if not self.configured:
            if not self._said:
                partly = any(self._config.smtp.values())
                self._journal.say(
                    "warning" if partly else "info",
                    "SMTP settings are incomplete: no alert is sent"
                    if partly
                    else "SMTP is not set up: no alert is sent",
                )
            self._said = True
            return
        entry = write_entry(self._config, kind, text, detail)
        try:
            put(self._paths.outbox, entry)
        except OSError as error:
            self._journal.say("warning", f"cannot write to {self._paths.outbox}: {error.strerror}; sending at once")
            self._direct(entry)
        else:
            self.reap()
            self._again = self._again or self._sender is not None
            self.deliver()

    def alert_seldom(self, text: str) -> None:
        """An alert about ourselves: the same one not twice within SELDOM, by whichever process."""
        marker = os.path.join(self._paths.state_dir, "error-told")
        with contextlib.suppress(OSError, ValueError):
            with open(marker, encoding="utf-8") as file:
                same = file.read() == text
            if same and 0 <= clock.utc() - os.stat(marker).st_mtime < SELDOM:
                return
        with contextlib.suppress(OSError):
            descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        self.alert("error", text, {})

    def deliver(self) -> None:
        """Start a sender if something waits and none is at work."""
        self.reap()
        if self._sender is None and self.configured and pending(self._paths.outbox):
            self._launch(None)

    def bury(self, pids: list[int]) -> None:
        """Reap these children too, as soon as they end."""
        self._messengers += pids
        self.reap()

    def reap(self) -> None:
        """Bury the senders that have ended. One that ended over a new alert may have missed it: there is a next one."""
        self._messengers = [pid for pid in self._messengers if not _buried(pid)]
        if self._sender is not None and _buried(self._sender):
            self._sender = None
            if self._again:
                self._again = False
                self.deliver()

    def _direct(self, entry: dict[str, Any]) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(write, False)
            text = json.dumps(entry).encode()
            while len(text) > PIPE:
                entry = {**entry, "body": entry["body"][: len(entry["body"]) // 2]}
                text = json.dumps(entry).encode()
            os.write(write, text)
            self._launch(read)
        except OSError:
            pass
        finally:
            os.close(read)
            os.close(write)

    def _launch(self, stdin: int | None) -> None:
        words = [SEND, "--stdin"] if stdin is not None else [SEND]
        try:
            pid = launch.detached(launch.command(self._config, *words), launch.environment(self._config), stdin=stdin)
        except OSError as error:
            self._journal.say("warning", f"cannot start the sender: {error.strerror}; the alert waits")
            return
        if stdin is None:
            self._sender = pid
        else:
            self._messengers.append(pid)


def write_entry(config: Config, kind: str, text: str, detail: dict[str, Any]) -> dict[str, Any]:
    """The alert as it lies in the outbox: subject and body for people, redacted."""
    mark, title = _TITLES[kind]
    machine = host.name()
    moment = clock.utc()
    secrets = redact.secrets(config)
    lines = [
        f"{mark} {config.name} on {machine}: {title}",
        "",
        text,
        "",
        f"Time     {clock.stamp(moment)}",
        f"Host     {machine}",
        f"Bot      {config.name}: {config.script}",
    ]
    last = detail.get("last_exit")
    if last and kind != "test":
        lines.append(f"Last end {last['text']} at {last['time']}")
    head, output = _output(detail, kind, secrets)
    if output:
        quoted = (f"  | {redact.redact(clean(line), secrets)[: lastwords.WIDTH]}" for line in output)
        lines += ["", head, *quoted]
    if kind != "test":
        lines += [
            "",
            "What to do:",
            *(f"  {line}" for line in _ADVICE[kind]),
        ]
    body = "\n".join(redact.redact(clean(line), secrets) for line in lines)
    return {
        "id": f"{int(moment * 1e9):020d}-{os.getpid()}-{os.urandom(3).hex()}",
        "utc": moment,
        "kind": kind,
        "subject": clean(f"{mark} {config.name} on {machine}: {title}"),
        "body": body,
    }


def _output(detail: dict[str, Any], kind: str, secrets: tuple[str, ...]) -> tuple[str, list[str]]:
    """What the bot printed before it ended; in an alert about something else, what it printed last."""
    last = detail.get("last_exit")
    if kind != "error" and last and last.get("last_lines"):
        return f"Last lines of {last['output']} before that:", last["last_lines"]
    if kind == "test" or not detail.get("bot_out"):
        return "", []
    said = lastwords.whole(detail["bot_out"])
    return f"Last lines of {said.path}:", said.lines(secrets)


_ADVICE = {
    "restarted": ("Nothing, if this was one death. `fab status` shows the bot, `fab logs` why it ended.",),
    "failed": (
        "`fab logs` shows the bot's last words; mend the cause, then `fab start`.",
        "`fab stop` ends the retries; `fab maintenance on` keeps the watchdog's hands off for two hours.",
    ),
    "suspect": (
        "Nothing was restarted. `fab status` shows whether it still holds, `fab logs` what the bot does.",
        "If it is hung, `fab restart`. If it is well, raise the limit that the text names (docs/verdicts.md).",
    ),
    "error": (
        "`fab status` names the process in question. Nothing is started or stopped while it is unclear.",
        "Settle it by hand (is it the bot? let it run; is it not? end it), then `fab start`.",
    ),
}


def _buried(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def put(outbox: str, entry: dict[str, Any]) -> None:
    """Write one alert durably. Raises OSError."""
    for name in ("tmp", "new", "dead"):
        os.makedirs(os.path.join(outbox, name), mode=0o700, exist_ok=True)
    name = f"{entry['id']}.json"
    temporary = os.path.join(outbox, "tmp", name)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(entry, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, os.path.join(outbox, "new", name))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    waiting = pending(outbox)
    for surplus in waiting[1 : 1 + max(0, len(waiting) - LIMIT)]:
        with contextlib.suppress(OSError):
            os.unlink(surplus)


def pending(outbox: str, box: str = "new") -> list[str]:
    """Paths of the alerts in a box, oldest first."""
    folder = os.path.join(outbox, box)
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".json")]
    except OSError:
        return []


def clear_up(outbox: str) -> None:
    """Remove what writers that were killed have left in ``tmp``. Best effort; no alert takes an hour to write."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(os.path.join(outbox, "tmp")):
            if clock.utc() - entry.stat().st_mtime > SELDOM:
                os.unlink(entry.path)
