"""A bot on a virtual clock: how it behaves, what the kernel shows of it, and what judgement and policy make of that.

A behaviour is a function that lets time pass (`Bot.goes_on`) for as long as it is asked to. When the policy ends the
bot, `Killed` leaves the behaviour and a new life of it begins; when the simulated time is over, `Over` does.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.unit.watchdog.looks import MONDAY
from tests.unit.watchdog.story import Story
from watchdog import judgement, model
from watchdog.limits import Limits
from watchdog.sockets import Stream
from watchdog.states import State
from watchdog.vitals import Look

STEP = 15.0
"""Seconds that are simulated in one go; beats within it are reckoned one by one."""

DATA = 2_000.0
"""Bytes a second of a lively feed."""

ROOM = 2_000_000
"""Bytes that wait in the kernel before the other side may send no more (tcp_rmem, tcp(7))."""

TICKS = 100


class Killed(Exception):
    """The policy has ended the bot."""


class Over(Exception):
    """The simulated time is over."""


class Bot:
    """One bot and its host. Everything random comes from ``rng``."""

    def __init__(self, rng: random.Random, limits: Limits, seconds: float, vows: float | None = None) -> None:
        self.rng, self.limits, self.vows = rng, limits, vows
        self.story = Story()
        self.end = self.story.now + seconds
        self.utc = MONDAY - self.story.now
        self.late = 1.0
        self.hidden = False
        self.ill_at: float | None = None
        self.hung_after: list[float] = []
        self.told_after: list[float] = []
        self.doubted = False
        self.wary = 0.0

    def begin(self) -> None:
        """A new life: started, and verified three seconds later."""
        self.ticks, self.switches = 30, 400
        self.streams: dict[int, Stream] = {}
        self.feed = 0
        self.beats, self.longest = 0, 0.0
        self.beat_at: float | None = None
        self.next_beat = 0.0
        self.file: tuple[int, ...] | None = None
        self.ill_at, self.told = None, False
        assert self.story.vacant()
        self.born = self.story.now
        self.story.run(3.0)
        self.case = judgement.opened(self.story.now, self.wary)
        self.next_look = self.story.now + self.limits.look_every
        self.connects()

    @property
    def now(self) -> float:
        """Seconds since boot."""
        return self.story.now

    # What a bot can do -----------------------------------------------------------------------------------------------

    def connects(self) -> None:
        """A new connection of its feed, in place of the old one."""
        self.streams.pop(self.feed, None)
        self.feed = self.rng.randrange(10**9)
        self.streams[self.feed] = Stream(self.feed, "192.0.2.7:443", False, 0, self.rng.randrange(3_000, 6_000))
        self.switches += 9

    def disconnects(self) -> None:
        """It has no feed."""
        self.streams.pop(self.feed, None)
        self.switches += 3

    def pools(self, *unread: int, closing: bool = True) -> None:
        """Idle connections to an API, each with so much unread in it."""
        for number, count in enumerate(unread):
            key = 10**9 + self.rng.randrange(10**9)
            self.streams[key] = Stream(key, f"192.0.2.{20 + number}:443", closing, count, 7_000 + count)

    def writes(self) -> None:
        """Change the file that shows freshness."""
        inode, size, _ = self.file or (7, 0, 0)
        self.file = (inode, size + 80, int(self.now * 1e9))

    def falls_ill(self, watched: float = 0.0) -> None:
        """From now on it does no work. The simulated time is over after ``watched`` seconds, where that is said."""
        self.ill_at = self.now
        self.end = self.now + watched if watched else self.end

    def goes_on(
        self,
        seconds: float,
        *,
        data: float = DATA,
        reads: float | None = None,
        beats: float = 0.0,
        cpu: float = 0.01,
        wants: float | None = None,
        moves: bool = True,
        state: str = "S",
        looked_at: bool = True,
    ) -> None:
        """Time passes.

        ``data``: bytes a second that come in; ``reads``: as many that it reads, all by default. ``beats``: seconds
        between two heartbeats, 0 for none. ``cpu``: its share of a core; ``wants``: how often a thread wants to run
        (as often as it does by default). ``moves``: some thread runs now and then. ``looked_at``: the guard is awake.
        """
        end = self.now + seconds
        self.next_beat = min(max(self.next_beat, self.now), self.now + beats)
        while self.now < end:
            step = min(STEP, end - self.now, max(0.001, self.next_look - self.now) if looked_at else STEP)
            self.story.tick(step)
            self._network(step, data, reads)
            self._beat(beats)
            if moves:
                self.ticks += round(cpu * step * TICKS + self.rng.random())
                self.switches += 1 + int(step * 3)
            if self.now >= self.end:
                raise Over
            if looked_at and self.now >= self.next_look:
                self._look(state, self.rng.random() < (cpu if wants is None else wants) and (moves or bool(wants)))

    def host_sleeps(self, seconds: float) -> None:
        """Nobody lives: the host is suspended. Both clocks know it afterwards."""
        self.story.tick(seconds)
        if self.now >= self.end:
            raise Over

    # What the guard makes of it --------------------------------------------------------------------------------------

    def _network(self, step: float, data: float, reads: float | None) -> None:
        feed = self.streams.get(self.feed)
        if feed is None:
            return
        came = 0 if feed.closing else int(data * step * self.rng.uniform(0.5, 1.5) + self.rng.random())
        came = min(came, max(0, ROOM - feed.backlog)) if reads is not None else came
        backlog = 0 if reads is None else max(0, feed.backlog + came - int(reads * step))
        self.streams[self.feed] = feed._replace(received=feed.received + came, backlog=backlog)

    def _beat(self, every: float) -> None:
        if not every:
            self.next_beat = self.now
            return
        while self.next_beat <= self.now:
            if self.beat_at is not None:
                self.longest = max(self.longest, self.next_beat - self.beat_at)
            self.beats, self.beat_at = self.beats + 1, self.next_beat
            self.next_beat += every * self.rng.uniform(0.9, 1.1)

    def _look(self, state: str, working: bool) -> None:
        waits = any(stream.backlog for stream in self.streams.values())
        counted = self.case.doubt or state == "T" or waits
        look = Look(
            self.now, state, self.ticks, None if self.hidden else tuple(self.streams.values()),
            self.switches if counted else None, working or state in "RDt", self.beats, self.beat_at, self.longest,
            self.file,
        )  # fmt: skip
        self.case, signs = judgement.judge(self.case, look, self.limits, self.now + self.utc, self.vows)
        self.wary = judgement.warier(self.wary, signs, self.limits, self.vows)
        told = signs or judgement.acquits(self.case, look, self.story.memory.doubts, self.limits)
        actions = self.story.feed(model.Judged(signs)) if told else ()
        self.next_look = self.now + self.limits.look_every * self.rng.uniform(1.0, self.late)
        if signs and self.ill_at is None:
            self.doubted = True
        elif signs and self.ill_at is not None and not self.told:
            self.told = True
            self.told_after.append(self.now - self.ill_at)
        if any(isinstance(action, model.Kill) for action in actions):
            raise Killed


Behaviour = Callable[[Bot], None]


class Outcome(NamedTuple):
    """What came of a trial. ``hung_after`` and ``told_after``: seconds from falling ill to each verdict.

    ``wrong``: restarts while it was well; ``doubted``: there was a sign while it was. ``alerts``: mails that tell of an
    illness. ``why``: the evidence for the first restart.
    """

    restarts: int
    wrong: int
    doubted: bool
    alerts: int
    hung_after: tuple[float, ...]
    told_after: tuple[float, ...]
    why: str
    state: State


def live(behaviour: Behaviour, seed: int, limits: Limits, seconds: float, vows: float | None = None) -> Outcome:
    """Let a bot behave like that for so long, started anew whenever it is ended."""
    bot = Bot(random.Random(seed), limits, seconds, vows)
    restarts, wrong, why = 0, 0, ""
    while True:
        try:
            bot.begin()
            behaviour(bot)
            raise AssertionError("a behaviour goes on until its time is over")
        except Killed:
            restarts += 1
            why = why or bot.story.memory.doubt
            if bot.ill_at is None:
                wrong += 1
            else:
                bot.hung_after.append(bot.now - bot.ill_at)
            pause = bot.story.die(bot.now - bot.born, text="was killed by SIGKILL", code=None)
            bot.story.tick(pause + 0.001)
        except Over:
            break
    alerts = len(bot.story.said("suspect"))
    return Outcome(
        restarts, wrong, bot.doubted, alerts, tuple(bot.hung_after), tuple(bot.told_after), why, bot.story.memory.phase
    )
