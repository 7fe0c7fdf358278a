"""The spawn window: a guard at full speed is killed within the milliseconds around the start of the new bot."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from tests.process import oracle
from tests.torture.ground import Ground, NotReachedError
from tests.torture.probe import WAYS, Verdict, aftermath, set_out

#: Kills in one run, without a shorter choice.
KILLS = 60


class _Nothing:
    """The kill comes from outside."""

    def begin(self, notes: Path, now: bool) -> None:
        """Leave the victim as it is."""

    def attach(self, ground: Ground, victim: int, now: bool) -> None:
        """Nothing to attach."""

    def struck(self) -> int | None:
        """Nobody."""
        return None

    def close(self, ground: Ground) -> None:
        """Nothing to close."""


def points(ground: Ground, options: dict[str, Any]) -> list[tuple[str, float]]:
    """Delays from the bot's death, spread over twice the time that the next bot takes to appear."""
    set_out(ground, WAYS["restart"], _Nothing())
    began = time.monotonic()
    while not any(oracle.runs(pid, ground.script) and oracle.alive(pid) for pid in ground.tree()):
        if time.monotonic() - began > 10:
            raise NotReachedError("no bot came back")
    width = 2 * min(time.monotonic() - began, 0.05)
    dice = random.Random(options["seed"])
    delays = sorted(dice.uniform(0, width) for _ in range(KILLS))
    return [(f"{delay * 1000:.2f} ms after the bot's death", delay) for delay in delays]


def hurt(ground: Ground, delay: float) -> Verdict:
    """Kill the bot, and after the delay the guard."""
    victim, old = set_out(ground, WAYS["restart"], _Nothing())
    end = time.monotonic() + delay
    while time.monotonic() < end:
        pass
    os.kill(victim, signal.SIGKILL)
    ground.until(lambda: not oracle.alive(victim), "the guard's death")
    return aftermath(ground, WAYS["restart"], True, victim, old)
