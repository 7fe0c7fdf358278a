"""What happened, in two files: ``logs/watchdog.log`` for people, ``events.jsonl`` for programs.

Writing here is best effort: a full disk or a missing directory never stops the guard; stderr or syslog tell of it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from . import clock, store

LOG_LIMIT = 5_000_000
EVENTS_LIMIT = 2_000_000
GENERATIONS = 3

_MARKS = {"debug": "🔍", "info": "🔹", "ok": "✅", "warning": "⚠️ ", "error": "❌", "alert": "📧"}
_LOUD = frozenset({"warning", "error"})


class Journal:
    """Log lines and events of one bot. ``console`` shows all, or only warnings and errors where nobody looks on."""

    def __init__(self, log_file: str, events_file: str, name: str, debug: bool = False) -> None:
        self.log_file = log_file
        self.events_file = events_file
        self.name = name
        self.debug_on_console = debug
        self.console = True
        self._complained = False

    def event(self, kind: str, text: str, level: str = "info", **fields: Any) -> None:
        """One change of state: a line for programs and a line for people."""
        entry = {"schema": 1, "time": clock.stamp(), "kind": kind, "message": clean(text), **fields}
        _append(self.events_file, json.dumps(entry, ensure_ascii=False) + "\n", EVENTS_LIMIT)
        self.say(level, text)

    def say(self, level: str, text: str) -> None:
        """One line for people, in the log and on the console."""
        text = clean(text)
        word = "INFO" if level in ("ok", "alert") else level.upper()
        moment = clock.utc()
        line = f"{clock.stamp(moment)} {word:<7} {_MARKS[level]} [{self.name}] {text}\n"
        error = _append(self.log_file, line, LOG_LIMIT)
        if error and not self._complained:
            self._complained = True
            _last_resort(f"{self.name}: cannot write {self.log_file}: {error.strerror}; going on without it")
        if error and level in _LOUD:
            _last_resort(f"{self.name}: {text}")
        self._show(level, text)

    def _show(self, level: str, text: str) -> None:
        if not self.console or sys.stderr is None:
            return
        wanted = level in _LOUD or self.debug_on_console or (level != "debug" and sys.stderr.isatty())
        if wanted:
            try:
                print(f"{_MARKS[level]} {text}", file=sys.stderr, flush=True)
            except UnicodeEncodeError:
                print(text.encode("ascii", "replace").decode(), file=sys.stderr, flush=True)
            except (OSError, ValueError):
                self.console = False


def clean(text: str) -> str:
    """One line without control characters: what comes from a bot or a host must not steer a terminal or a mail."""
    return "".join(char if char.isprintable() else " " for char in text)


def last_event(path: str) -> dict[str, Any] | None:
    """The newest complete event in the file, None when there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16_384))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("message"), str):
            return entry
    return None


def _append(path: str, line: str, limit: int) -> OSError | None:
    text = line.encode("utf-8", "replace")
    try:
        try:
            size = store.append(path, text)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            size = store.append(path, text)
        if size > limit:
            _rotate(path)
    except OSError as error:
        return error
    return None


def _rotate(path: str) -> None:
    for generation in range(GENERATIONS - 1, 0, -1):
        older = f"{path}.{generation}"
        if os.path.exists(older):
            os.replace(older, f"{path}.{generation + 1}")
    os.replace(path, f"{path}.1")


def _last_resort(text: str) -> None:
    try:
        import syslog

        syslog.openlog("dca-watchdog", syslog.LOG_PID, syslog.LOG_DAEMON)
        syslog.syslog(syslog.LOG_WARNING, text)
    except (OSError, ImportError):  # no descriptor for the module, or no module any more
        pass
