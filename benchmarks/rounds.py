"""Kill -9, again and again: how long until the next bot is born? In turns, so that load hits all alike."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from benchmarks.run import Run
from benchmarks.stand import Stand, kill, now, wait
from benchmarks.supervisor import Supervisor
from lab.errors import LabError

#: Seconds that a bot has lived before it is killed: runit and daemontools wait up to a second where it was less.
LIVED = 1.2
#: A supervisor that looks every two minutes: how long before its next look the kills come.
EARLY = (100.0, 60.0, 20.0)


def kill_once(stand: Stand, one: Supervisor) -> float:
    """Seconds from right before the signal to the birth of the next bot. Raises LabError."""
    one.before_kill(stand)
    born = stand.starts(one.folder)
    time.sleep(max(0.0, LIVED - (now() - born[-1])))
    bots = stand.bots_of(one.folder)
    if len(bots) != 1:
        raise LabError(f"{len(bots)} bots instead of one")
    killed = now()
    kill(bots)
    if not wait(lambda: len(stand.starts(one.folder)) > len(born), one.patience, 0.005):
        raise LabError(f"no new bot within {one.patience:g} s")
    return stand.starts(one.folder)[len(born)] - killed


class Background:
    """The kills under the supervisor that is too slow to wait for: `step` does what is due and returns at once."""

    def __init__(self, run: Run, one: Supervisor, count: int) -> None:
        self._run, self._one, self._left = run, one, list(EARLY[:count])
        self._known = len(run.stand.starts(one.folder))
        self._killed: float | None = None

    def done(self) -> bool:
        """Whether nothing is left to be measured."""
        return not self._left

    def step(self) -> None:
        """Kill when it is time to; look whether the next bot is there."""
        if not self.done():
            with self._run.allowed_to_fail(self._one):
                self._step()
            if self._one not in self._run.present():
                self._left.clear()

    def _step(self) -> None:
        stand, folder = self._run.stand, self._one.folder
        born = stand.starts(folder)
        if self._killed is None:
            if now() - born[-1] >= self._one.cycle - self._left[0]:
                self._known, self._killed = len(born), now()
                kill(stand.bots_of(folder))
        elif len(born) > self._known:
            self._run.result(self._one).seconds.append(born[self._known] - self._killed)
            self._killed = None
            self._left.pop(0)
        elif now() - self._killed > self._one.patience:
            raise LabError(f"no new bot within {self._one.patience:g} s")


def interleaved(run: Run, rows: Sequence[Supervisor], kills: int) -> None:
    """That many kills of every supervisor's bot, each round in another order."""
    for number in range(kills):
        run.progress.say(f"kill {number + 1} of {kills}")
        order = [one for one in rows if one in run.present()]
        random.Random(number).shuffle(order)
        for one in order:
            with run.allowed_to_fail(one):
                run.result(one).seconds.append(kill_once(run.stand, one))
            run.background()
