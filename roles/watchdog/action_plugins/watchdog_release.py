"""Builds the release on the controller, for each of some architectures: `watchdog_release: {architectures: [x86_64]}`.

The result's `archives` tells where each one lies. A build of the same content is there already and changes nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

CHECKOUT = Path(__file__).resolve().parents[3]


class ActionModule(ActionBase):  # type: ignore[misc]
    """`watchdog_release` in a task; no host is asked."""

    _VALID_ARGS = frozenset({"architectures"})
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        archives = {}
        for architecture in self._task.args["architectures"]:
            command = [sys.executable, "-m", "release", "build", "--arch", architecture]
            done = subprocess.run(
                command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            if done.returncode:
                return {**result, "failed": True, "msg": done.stderr.strip() or f"{command} failed without a word"}
            archives[architecture] = done.stdout.strip()
        return {**result, "changed": False, "archives": archives}
