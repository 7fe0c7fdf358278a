"""Calls the deployed agent through the bot's door, as the bot's user, and reads its answers."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any, NamedTuple

from .layout import Layout
from .logind import kills_user_processes, lingers
from .system import Account, Result, run, run_as

_ON_THE_MOVE = frozenset({"starting", "stopping", "down"})
_POLL_S = 0.1
_GUARD_TIMEOUT_S = 60


class Door(NamedTuple):
    """One bot's door on this host."""

    layout: Layout
    user: Account

    def call(self, *words: str) -> Result:
        """Run a verb as the bot's user."""
        return run_as(self.user, [self.layout.door, *words])

    def status(self) -> dict[str, Any]:
        """`status --json`; where the agent has no answer, its line stands under `error`."""
        result = self.call("status", "--json")
        return answer(result) or {"error": result.line}

    def guard(self, *, replace: bool, new: bool) -> Result:
        """Have a guard; a `new` one lives on whatever becomes of the login session that we run in."""
        words = [self.layout.door, "guard", *(["--replace"] if replace else [])]
        return run_as(self.user, words, wrapper=self._scope() if new else (), timeout=_GUARD_TIMEOUT_S)

    def settle(self, seconds: float) -> dict[str, Any]:
        """The status once the bot is on the move no more, or after `seconds`."""
        deadline = time.monotonic() + seconds
        status = self.status()
        while status.get("state") in _ON_THE_MOVE and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            status = self.status()
        return status

    def _scope(self) -> tuple[str, ...]:
        """systemd-run, where there is a systemd that would otherwise count the guard to the login session.

        `loginctl terminate-user`, or KillUserProcesses=yes at logout, would end it (systemd-run(1), logind.conf(5)).
        """
        tool = shutil.which("systemd-run", path="/usr/bin:/bin")
        if tool is None or not os.path.isdir("/run/systemd/system"):
            return ()
        command = [tool, "--scope", "--quiet", "--collect", f"--description=watchdog of {self.layout.name}"]
        if not self.layout.system:
            if not (kills_user_processes() and lingers(self.user)):
                return ()
            command = ["/usr/bin/env", f"XDG_RUNTIME_DIR=/run/user/{self.user.uid}", tool, "--user", *command[1:]]
        return tuple(command) if run([*command, "true"], timeout=10).code == 0 else ()


def answer(result: Result) -> dict[str, Any] | None:
    """The JSON object that a verb printed, or None where it printed none."""
    try:
        found = json.loads(result.out)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "error" not in found else None
