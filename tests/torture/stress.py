"""Everything at once: ticks, kills of guards, heirs and bots, and the operator's verbs, at random from a seed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from typing import Any

from tests.torture.ground import Ground, NotReachedError
from tests.torture.probe import DOCUMENTED, Verdict, settled

#: What may happen next, and how often.
DEEDS = {
    "guard": 60, "kill a bot": 12, "kill a guard": 10, "kill an heir": 2, "start": 8, "check": 4, "restart": 2,
    "stop": 2,
}  # fmt: skip

#: So many verbs at once.
CROWD = 5


def points(ground: Ground, options: dict[str, Any]) -> list[tuple[str, list[float]]]:
    """One long point for each worker."""
    seconds = options["seconds"]
    seeds = range(options["seed"], options["seed"] + options["workers"])
    return [(f"{seconds:g} s with seed {seed}", [seed, seconds]) for seed in seeds]


def hurt(ground: Ground, point: list[float]) -> Verdict:
    """Do it for so long, then see that all is well within bounded time after the last kill."""
    seed, seconds = point
    ground.clear()
    dice, done = random.Random(seed), Counter[str]()
    codes: Counter[int] = Counter()
    verbs: list[int] = []
    end = time.monotonic() + seconds
    lost, note, whole = 0, "", 0.0
    try:
        while time.monotonic() < end:
            codes.update(_ended(ground, verbs))
            deed = dice.choices(list(DEEDS), list(DEEDS.values()))[0]
            done[deed] += _do(ground, deed, verbs)
            if ground.bots() and dice.random() < 0.2:
                time.sleep(dice.uniform(0, 0.01))
        for pid in [*verbs]:
            ground.until(lambda: ground.ended(pid), "the end of a verb", 100.0)  # noqa: B023
        codes.update(_ended(ground, verbs))
        _do(ground, "kill a guard", verbs)
        _do(ground, "kill a bot", verbs)
        began = time.monotonic()
        ground.until(lambda: ground.verb("start") == 0, "`start` is carried out")
        ground.until(lambda: ground.verb("guard") == 0 and ground.answer() and settled(ground, 1), "exactly one bot")
        whole = time.monotonic() - began
    except NotReachedError as error:
        lost, note = 1, f"{error}; bots: {ground.bots()}"
    strange = [f"exit code {code}" for code in codes if code not in DOCUMENTED]
    troubles = [*ground.tracebacks(), *ground.caught(), *strange]
    note = "; ".join(filter(None, [note, *troubles, ", ".join(f"{count} x {deed}" for deed, count in done.items())]))
    return Verdict(done.total(), ground.doubles + ground.overlaps(), lost, len(troubles), True, whole, note, (whole,))


def _do(ground: Ground, deed: str, verbs: list[int]) -> int:
    if not deed.startswith("kill"):
        if len(verbs) < CROWD:
            verbs.append(ground.fork(deed))
            return 1
        time.sleep(0.001)
        return 0
    victims = ground.bots() if deed == "kill a bot" else ground.holders("heir.lock" if "heir" in deed else "guard.lock")
    for pid in victims[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(victims[:1])


def _ended(ground: Ground, verbs: list[int]) -> list[int]:
    """Exit codes of the verbs that have ended by themselves; those that were killed have none."""
    over = [pid for pid in verbs if ground.ended(pid)]
    verbs[:] = [pid for pid in verbs if pid not in over]
    return [code for code in map(ground.end_of, over) if code >= 0]
