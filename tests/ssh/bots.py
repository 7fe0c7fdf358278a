"""Stand-in doors: small scripts that answer like the agent, and remember how they were called."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

STATUS: dict[str, Any] = {
    "schema": 1,
    "name": "dcaTrader",
    "host": "vps",
    "version": "0.1.0",
    "release": "0.1.0-ab12cd34ef56",
    "state": "running",
    "desired": "run",
    "desired_by": None,
    "desired_since": None,
    "desired_reason": None,
    "maintenance": None,
    "pid": 4711,
    "started_at": "2026-11-24T05:40:01Z",
    "uptime_s": 15127.3,
    "restarts": 3,
    "cpu_percent": 0.5,
    "memory_bytes": 44354560,
    "last_event": {"time": "2026-11-24T05:40:01Z", "kind": "restarted", "message": "restarted after SIGKILL"},
    "last_exit": None,
    "next_start_in_s": None,
    "guard": {"pid": 4700, "answers": True, "version": "0.1.0"},
    "lock": "/home/trader/bot.lock",
    "state_dir": "/home/trader/state",
    "pid_file": {"path": "/home/trader/main_app.pid", "pid": 4711},
    "log_file": "/home/trader/logs/watchdog.log",
    "app_log": "/home/trader/logs/bot.out",
    "alerts": {"configured": True, "queued": 0, "dead": 0},
    "warnings": [],
}

_DOOR = """#!/bin/sh
here={here}
verb=$1
printf '%s\\n' "$*" >> "$here/calls"
if [ -f "$here/$verb.sh" ]; then . "$here/$verb.sh"; fi
cat "$here/$verb.out"
exit "$(cat "$here/$verb.code" 2>/dev/null || echo 0)"
"""


class Door:
    """The door of one stand-in bot. ``root`` and ``name`` are its watchdog_root and watchdog_name."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self._folder = root / "stand-in" / name
        self._folder.mkdir(parents=True)
        self.path = root / "bin" / name
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(_DOOR.format(here=self._folder))
        self.path.chmod(0o755)
        self.status()

    @property
    def variables(self) -> dict[str, Any]:
        """What the inventory says of it."""
        return {"watchdog_root": str(self.root), "watchdog_name": self.name}

    def status(self, code: int = 0, **fields: Any) -> None:
        """Answer ``status`` with these fields in place of the usual ones."""
        self.answer("status", {**copy.deepcopy(STATUS), **fields}, code)

    def action(self, verb: str, code: int = 0, **fields: Any) -> None:
        """Answer start, stop or restart."""
        usual = {
            "schema": 1,
            "verb": verb,
            "ok": code == 0,
            "exit_code": code,
            "name": self.name,
            "host": "vps",
            "message": f"{verb} done",
            "state": "running",
            "old_pid": None,
            "pid": None,
            "verified_after_s": None,
            "action": "none",
        }
        self.answer(verb, {**usual, **fields}, code)

    def answer(self, verb: str, document: object, code: int = 0) -> None:
        """Print this JSON for ``verb`` and exit with ``code``."""
        self.raw(verb, json.dumps(document).encode() + b"\n", code)

    def raw(self, verb: str, output: bytes, code: int = 0) -> None:
        """Print these bytes."""
        (self._folder / f"{verb}.out").write_bytes(output)
        (self._folder / f"{verb}.code").write_text(str(code))

    def script(self, verb: str, text: str) -> None:
        """Run these shell lines first."""
        self.raw(verb, b"")
        (self._folder / f"{verb}.sh").write_text(text)

    def hang(self, verb: str, before: str = "") -> None:
        """Run the shell lines in ``before`` and then answer nothing until the test is over."""
        (self._folder / "hanging").touch()
        self.script(verb, f'{before}\nwhile [ -e "$here/hanging" ]; do sleep 0.1; done\n')

    def release(self) -> None:
        """End what ``hang`` has left: a host goes on with a command even if nobody waits for it."""
        (self._folder / "hanging").unlink(missing_ok=True)

    def calls(self) -> list[str]:
        """The arguments of every call so far."""
        path = self._folder / "calls"
        return path.read_text().splitlines() if path.exists() else []
