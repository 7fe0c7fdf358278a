"""Days of a crash loop in a moment: the policy on a virtual clock; over new guards and a reboot through state.json."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from benchmarks.tables import Table
from tests.unit.watchdog.parts import VirtualClock
from tests.unit.watchdog.story import Story
from watchdog import model, policy, settings, snapshot
from watchdog.clock import human

HOUR, DAY = 3600.0, 86_400.0
LIVES = (0.0, 3.0, 30.0, 300.0, 660.0)
"""Seconds after which a bot dies, every time."""

DOWN = 60.0
"""Seconds that a reboot takes."""

GRACE = float(settings.SETTINGS["WATCHDOG_START_GRACE"])
UNDISTURBED, REBOOT, GUARDS = "", "a reboot in the middle", "a new guard every hour"


class Outcome(NamedTuple):
    """What a crash loop came to. Alerts by kind; ``pause``: seconds of waiting that the last death led to."""

    life: float
    seconds: float
    during: str
    starts: int
    critical: int
    not_started: int
    restarted: int
    reminders: int
    state: str
    breaker: bool
    pause: float


class Loop:
    """A bot that dies ``life`` seconds after every start, its guard and its host. state.json may lie at ``path``."""

    def __init__(self, path: Path, life: float) -> None:
        self._path, self._life = str(path), life
        self._clock = VirtualClock()
        self.story = Story(now=self._clock.boot_seconds)
        self._born: float | None = None
        self._verified = False
        self.pause = 0.0

    def lasts(self, seconds: float) -> None:
        """Time passes; whatever is due meanwhile happens."""
        end = self.story.now + seconds
        while (coming := min(self._coming(), key=lambda one: one[0]))[0] <= end:
            self.story.now = max(self.story.now, coming[0])
            coming[1]()
        self.story.now = end

    def new_guard(self) -> None:
        """The guard is killed, and its heir reads state.json."""
        with self._recorded():
            pass
        if self._born is not None and self._verified:
            uptime = self.story.now - self._born
            self.story.feed(model.Adopted(self.story.pid, "it holds the lock", uptime, known=True))

    def reboot(self) -> None:
        """The host is gone for DOWN seconds."""
        with self._recorded():
            self._clock.reboot(took=DOWN)
        if self._born is not None:
            self._born = None
            self.story.feed(model.Rebooted())

    def _coming(self) -> Iterator[tuple[float, Callable[[], None]]]:
        now, due = self.story.now, self.story.memory.next_start
        if self._born is None:
            yield now if due is None else max(now, due), self._start
            return
        if not self._verified and self._life >= GRACE:
            yield self._born + GRACE, self._verify
        settles = policy.settle_at(self.story.memory)
        if settles is not None:
            yield max(now, settles) + 1e-6, lambda: self.story.tick(0.0)
        yield self._born + self._life, self._die

    def _start(self) -> None:
        assert self.story.vacant(), "a crash loop is retried for ever"
        self.story.start()
        self._born, self._verified = self.story.now, False

    def _verify(self) -> None:
        self._verified = True
        self.story.feed(model.Verified(self.story.pid, operator=False))

    def _die(self) -> None:
        self._born = None
        self.pause = self.story.die(self._life, self._verified)

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Written down before what happens inside, and read back after it."""
        clock = self._clock
        clock.pass_by(self.story.now - clock.boot_seconds)
        with (
            patch("watchdog.clock.now", lambda: clock.boot_seconds),
            patch("watchdog.clock.utc", lambda: clock.wall_seconds),
            patch("watchdog.clock.boot_id", lambda: clock.boot),
        ):
            snapshot.save(self._path, snapshot.Snapshot(self.story.memory))
            yield
            self.story.memory = snapshot.load(self._path).memory
        self.story.now = clock.boot_seconds


def live(life: float, seconds: float = DAY, during: str = UNDISTURBED) -> Outcome:
    """Such a crash loop for so long."""
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(Path(folder, "state.json"), life)
        if during == REBOOT:
            loop.lasts(seconds / 2)
            loop.reboot()
            loop.lasts(seconds / 2 - DOWN)
        elif during == GUARDS:
            for _ in range(int(seconds / HOUR)):
                loop.lasts(HOUR)
                loop.new_guard()
        else:
            loop.lasts(seconds)
    story = loop.story
    critical, reminders = len(story.noted("breaker")), len(story.noted("reminder"))
    return Outcome(
        life=life,
        seconds=seconds,
        during=during,
        starts=story.starts,
        critical=critical,
        not_started=len(story.said("failed")) - critical - reminders,
        restarted=len(story.said("restarted")),
        reminders=reminders,
        state=story.memory.phase.value,
        breaker=story.is_open(),
        pause=loop.pause,
    )


def outcomes() -> list[Outcome]:
    """Every life: a day as it is, one with a reboot, one with new guards, and a week."""
    kinds = [(DAY, UNDISTURBED), (DAY, REBOOT), (DAY, GUARDS), (7 * DAY, UNDISTURBED)]
    return [live(life, seconds, during) for life in LIVES for seconds, during in kinds]


def table(found: list[Outcome]) -> Table:
    """A row for each."""
    head = (
        "dies after", "for", "starts", "critical", "did not start", "restarted", "reminders", "at the end", "breaker",
        "last pause",
    )  # fmt: skip
    return Table("On a virtual clock: starts, alerts by kind, and the end", head, [_row(one) for one in found])


def named(life: float) -> str:
    """The length of a life, for a table."""
    return f"{life:g} s" if life < 60 else human(life)


def _row(one: Outcome) -> list[str]:
    length = "a day" if one.seconds == DAY else "a week"
    days = f"{length}, {one.during}" if one.during else length
    counts = (one.starts, one.critical, one.not_started, one.restarted, one.reminders)
    breaker = "open" if one.breaker else "closed"
    return [named(one.life), days, *map(str, counts), one.state, breaker, f"{one.pause:.0f} s"]
