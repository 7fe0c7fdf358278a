"""This project's watchdog as a row of the tables: deployed on the host by its own role."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from datetime import datetime

from benchmarks.stand import HOST, PYTHON, Stand, kill, wait
from benchmarks.supervisor import CALM, PATIENCE, Supervisor
from demo.project import REPOSITORY
from lab.errors import LabError
from lab.image import BOT_USER
from tests.lab.chain.processes import AGENT, DOOR, guards, heirs

_DEPLOY_S = 180

_COMPLAINTS = ("duplicate", "hung", "stuck", "suspect", "unknown")


def complains(events: str, since: float) -> bool:
    """Whether lines of events.jsonl hold one since that time about a bot that runs and is not as it should be."""
    for line in events.splitlines():
        event = json.loads(line)
        at = datetime.fromisoformat(event["time"]).timestamp()
        if at >= since and event["kind"] in _COMPLAINTS:
            return True
    return False


class Watchdog(Supervisor):
    """The deployed agent: cron's tick, guard and heir."""

    def __init__(self) -> None:
        super().__init__("dcaTrader", "watchdog", (), "")

    def install(self, stand: Stand) -> None:
        """What an operator does: the inventory and `ansible-playbook deploy.yml`."""
        stand.install_bot(self.folder)
        done = subprocess.run(
            ["ansible-playbook", "deploy.yml", "-e", "watchdog_app_script=main_app.py"],
            check=False,
            cwd=REPOSITORY,
            env=stand.lab.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEPLOY_S,
        )
        if done.returncode:
            raise LabError(f"deploy ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-400:]}")

    def start(self, stand: Stand) -> None:
        """Guard and bot, whichever is missing."""
        stand.run(DOOR, "guard", user=BOT_USER)
        wait(lambda: bool(guards(stand.lab, HOST)), PATIENCE)
        stand.run(DOOR, "start", user=BOT_USER)

    def stop(self, stand: Stand) -> None:
        """End guard and heir first, as the removal does, then every bot."""
        stand.run(DOOR, "retire", user=BOT_USER, check=False)
        kill(self.processes(stand))
        kill(stand.bots_of(self.folder))

    def before_kill(self, stand: Stand) -> None:
        """`start` sets the delays back to the first one, as ten healthy minutes do."""
        stand.run(DOOR, "start", user=BOT_USER)
        time.sleep(CALM)

    def processes(self, stand: Stand) -> list[int]:
        """Guard and heir."""
        return [*guards(stand.lab, HOST), *heirs(stand.lab, HOST)]

    def chief(self, stand: Stand) -> int | None:
        """The guard."""
        return next(iter(guards(stand.lab, HOST)), None)

    def is_chief(self, words: Sequence[str], before: Sequence[str]) -> bool:
        """A guard; the heir that becomes one has other options on its command line."""
        return AGENT in words and "guard" in words

    def reports(self, stand: Stand, since: float) -> bool:
        """Any event that is worth an alert and not a restart."""
        return complains(stand.run(DOOR, "logs", "--source", "events", user=BOT_USER, check=False), since)

    def tick_s(self, stand: Stand, count: int = 20) -> float:
        """Processor time of one cron tick that finds a live guard, mean of some."""
        script = f"import os, subprocess\nfor _ in range({count}): subprocess.run(['{DOOR}', 'guard'])\n"
        script += "print(sum(os.times()[2:4]))"
        return float(stand.run(PYTHON, "-c", script, user=BOT_USER)) / count
