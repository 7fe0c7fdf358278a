"""The heir: guards are killed one after the other; each is followed by its heir, exactly one, and never by cron."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tests.process import oracle
from tests.torture.ground import Ground, NotReachedError
from tests.torture.probe import Verdict

#: Kills in one point, and how many points: with a bot, and after `stop`.
KILLS, WITH_BOT, STOPPED = 10, 10, 2


def points(ground: Ground, options: dict[str, Any]) -> list[tuple[str, bool]]:
    """Rows of kills, the last ones while the bot is stopped."""
    return [
        *((f"guards {KILLS * row + 1} to {KILLS * (row + 1)}", False) for row in range(WITH_BOT)),
        *((f"{KILLS} guards of a stopped bot", True) for _ in range(STOPPED)),
    ]


def hurt(ground: Ground, stopped: bool) -> Verdict:
    """Kill guards in a row."""
    times: list[float] = []
    try:
        _kill_in_a_row(ground, stopped, times)
    except NotReachedError as error:
        return Verdict(max(1, len(times)), ground.doubles, 1, note=str(error), figures=tuple(times))
    doubles, troubles = ground.doubles + ground.overlaps(), [*ground.tracebacks(), *ground.caught()]
    return Verdict(KILLS, doubles, 0, len(troubles), note="\n".join(troubles), figures=tuple(times))


def _kill_in_a_row(ground: Ground, stopped: bool, times: list[float]) -> None:
    ground.clear()
    if ground.verb("guard") or (stopped and ground.verb("stop")):
        raise NotReachedError("a guard to begin with")
    ground.until(lambda: stopped or ground.running(), "a bot")
    bots = ground.bots()
    for _ in range(KILLS):
        guard, _ = _pair(ground)
        began = time.monotonic()
        os.kill(guard, signal.SIGKILL)
        ground.until(lambda: _successor(ground, guard), "the heir answers", every=0.001)  # noqa: B023
        times.append(time.monotonic() - began)
        if ground.bots() != bots:
            raise NotReachedError(f"bots were {bots} and are {ground.bots()}")
    _pair(ground)
    if bool(bots) == stopped:
        raise NotReachedError(f"bots: {bots}, stopped: {stopped}")


def _successor(ground: Ground, old: int) -> bool:
    """Whether another guard answers, and it is the heir's process or the child to which that detached."""
    pid = (ground.answer() or {}).get("pid")
    return isinstance(pid, int) and pid != old and b"--heir" in oracle.read(pid, "cmdline")


def _pair(ground: Ground) -> tuple[int, int]:
    """Exactly one guard, and behind it exactly one heir."""
    found: list[int] = []

    def there() -> bool:
        guards, heirs = ground.holders("guard.lock"), ground.holders("heir.lock")
        found[:] = [*guards, *heirs]
        return len(guards) == 1 and len(heirs) == 1 and guards != heirs

    ground.until(there, "one guard and one heir")
    return found[0], found[1]
