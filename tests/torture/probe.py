"""One point: bring the agent onto a path, hurt it there, let one clean tick follow, and look at the bots all along."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.process import oracle
from tests.torture.ground import Ground, NotReachedError

#: Exit codes that docs/verbs.md documents.
DOCUMENTED = (0, 1, 2, 3, 4, 5, 75, 78)

#: Seconds after which a victim that was not struck has left the path: then it is killed where it stands.
PATH = 20.0

#: Seconds between two ticks where one was not enough: a guard may be without a socket until its next beat.
PAUSE = 0.2


class Way(NamedTuple):
    """A path of the agent: the verb that takes it, what runs before, and whether it begins with the bot's death."""

    words: tuple[str, ...]
    bot_first: bool = False
    on_death: bool = False


WAYS = {
    "start": Way(("guard", "--foreground")),
    "cron": Way(("guard",)),
    "restart": Way(("guard", "--foreground"), on_death=True),
    "check": Way(("check",)),
    "stop by hand": Way(("stop",), bot_first=True),
    "restart by hand": Way(("restart",), bot_first=True),
}


class Harm(Protocol):
    """What happens to the victim."""

    def begin(self, notes: Path, now: bool) -> None:
        """In the victim, first of all; ``now`` says that it counts from the beginning."""

    def attach(self, ground: Ground, victim: int, now: bool) -> None:
        """From now on it counts."""

    def struck(self) -> int | None:
        """The process whose death is the blow, once that is known."""

    def close(self, ground: Ground) -> None:
        """Wait until the notes are written."""


class Verdict(NamedTuple):
    """What ``points`` points showed. ``note`` says in words what is wrong; ``figures`` are for people, ``caught``
    counts errors of its own that the agent caught.
    """

    points: int = 1
    doubles: int = 0
    lost: int = 0
    tracebacks: int = 0
    reached: bool = True
    seconds: float = 0.0
    note: str = ""
    figures: tuple[float, ...] = ()
    caught: int = 0


def reference(ground: Ground, way: Way, harm: Harm) -> None:
    """Take the path unharmed; the harm's notes are the ground's."""
    victim, old = set_out(ground, way, harm)
    if way.words[0] == "guard":
        ground.until(lambda: ground.running(other_than=old), "the end of the path")
        ground.until(lambda: way.on_death or len(ground.holders("heir.lock")) == 1, "an heir")
        time.sleep(0.05)
        ground.kill(victim)
    else:
        ground.end_of(victim)
    harm.close(ground)


def strike(ground: Ground, way: Way, harm: Harm, lethal: bool = True) -> Verdict:
    """Take the path with harm done, then let a clean tick put it right."""
    try:
        victim, old = set_out(ground, way, harm)
        reached = _blow(ground, way, harm, victim, old, lethal)
    except NotReachedError as error:
        return Verdict(lost=1, note=str(error), doubles=ground.doubles)
    return aftermath(ground, way, reached, victim, old, pid_file=lethal)


def set_out(ground: Ground, way: Way, harm: Harm) -> tuple[int, int | None]:
    """The process that takes the path, and the bot that was there before."""
    ground.clear()
    if way.bot_first or way.on_death:
        ground.eager.touch()  # the grace of the bot that was there before is no part of the path
    old = None
    if way.bot_first:
        old = _bot_alone(ground)
    victim = ground.fork(*way.words, begin=lambda: harm.begin(ground.notes, not way.on_death))
    if way.on_death:
        old = _on_watch(ground)
        for heir in ground.holders("heir.lock"):  # the next one comes after seconds: until then nobody takes over
            if heir != victim:
                os.kill(heir, signal.SIGKILL)
                ground.until(lambda: oracle.stat(heir) is None, "the guard has reaped its heir", every=0.001)  # noqa: B023
        harm.attach(ground, victim, not way.on_death)
        os.kill(old, signal.SIGKILL)
    else:
        harm.attach(ground, victim, not way.on_death)
    return victim, old


def _bot_alone(ground: Ground) -> int:
    """A bot whose guard has left it in order."""
    guard = ground.fork(*WAYS["start"].words)
    bot = _on_watch(ground)
    if ground.answer("retire") is None or ground.end_of(guard) or ground.bots() != [bot]:
        raise NotReachedError(f"the guard has not left its bot in order: bots {ground.bots()}")
    return bot


def _on_watch(ground: Ground) -> int:
    """The first bot of a guard that has just been started, and that now has an heir."""
    ground.until(ground.running, "a guard on watch", every=0.002)
    ground.until(lambda: ground.holders("heir.lock"), "an heir")
    bot = ground.running()
    assert bot is not None
    return bot


def _blow(ground: Ground, way: Way, harm: Harm, victim: int, old: int | None, lethal: bool) -> bool:
    """Wait for the blow; whether it fell. A victim that has come to the end of the path unharmed is killed there."""

    def over() -> bool:
        struck = harm.struck()
        if struck and not oracle.alive(struck):
            return True
        if way.words[0] == "guard":
            return ground.running(other_than=old) is not None
        return ground.ended(victim)

    ground.until(over, "the end of the path or the blow", PATH)
    struck = harm.struck()
    if struck and not oracle.alive(struck):
        return True
    if not lethal:
        return b"INJECTED" in ground.notes.read_bytes()
    if oracle.alive(victim):
        ground.kill(victim)
    return False


def aftermath(ground: Ground, way: Way, reached: bool, victim: int, old: int | None, pid_file: bool = True) -> Verdict:
    """A clean tick, and what is true after it. A guard whose write failed goes on without the PID file."""
    before = [pid for pid in ground.bots() if pid != old or not way.on_death]
    began = time.monotonic()
    note = ""
    wrong = [code for code in [_code(ground, victim)] if code is not None and code not in DOCUMENTED]
    try:
        wanted = 1 if ground.wanted() else 0
        ground.until(_tick(ground), "a clean tick")
        ground.until(lambda: settled(ground, wanted, pid_file) or ground.doubles, f"{wanted} bots and the PID file")
        after = ground.bots()
        lost = int(len(after) != wanted)
        if before and after and wanted and way.words[0] not in ("stop", "restart") and before != after:
            lost, note = 1, f"the bot was PID {before} and is PID {after} now"
    except NotReachedError as error:
        lost, note = 1, f"{error}; bots: {ground.bots()}"
    doubles = ground.doubles + ground.overlaps()
    caught = ground.caught()
    troubles = ground.tracebacks() + [f"exit code {code}" for code in wrong]
    if doubles and not note:
        note = f"two bots: {ground.doubles} samples, {ground.overlaps()} overlaps"
    note = "\n".join([note, *troubles, *caught]).strip()
    return Verdict(1, doubles, lost, len(troubles), reached, time.monotonic() - began, note, caught=len(caught))


def _tick(ground: Ground) -> Callable[[], object]:
    """A tick, and further ones with pauses while no guard answers."""
    code, due = 1, 0.0

    def answered() -> object:
        nonlocal code, due
        if time.monotonic() >= due:
            code = ground.verb("guard")
            due = time.monotonic() + PAUSE
        return code == 0 and ground.answer()

    return answered


def settled(ground: Ground, wanted: int, pid_file: bool = True) -> bool:
    """Whether so many bots live, and the PID file names the one."""
    found = ground.bots()
    if len(found) != wanted:
        return False
    with contextlib.suppress(OSError):
        return not found or not pid_file or ground.pid_file.read_text().strip() == str(found[0])
    return False


def _code(ground: Ground, victim: int) -> int | None:
    """The exit code of a victim that has ended by itself."""
    code = ground.end_of(victim) if ground.ended(victim) else None
    return code if code is None or code >= 0 else None
