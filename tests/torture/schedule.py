"""One run of several actors in one order of steps, and what must hold after each of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.process import oracle
from tests.torture.actors import Actor, Stage, begin

LONGEST = 600
"""Steps of one run: more of them are a loop without an end."""

Option = tuple[str, int]
"""``go`` or ``kill`` and an actor's number, ``deliver`` and the PID of a signalled process, ``die`` and 0: the bot."""

Choose = Callable[["Schedule", list[Option], Option | None], Option]


class Violation(AssertionError):
    """Something that must always hold did not; the text tells the steps that led there."""


class Schedule:
    """The actors of one scenario such as ``bot: restart stop``: with a bot at the start, then these two at once."""

    def __init__(self, stage: Stage, scenario: str) -> None:
        self.stage = stage
        before, _, roles = scenario.rpartition(":")
        self.version = 0
        self.word = "run"
        self.proved = False
        self.bots: list[int] = []
        self.exempt: list[int] = []  # bots started by hand after the word
        self.doomed: list[int] = []
        self.actors: list[Actor] = []
        self.deaths = 0
        self.trace: list[str] = []
        self.by_hand = "hand" in roles
        self._folder = stage.here.directory
        if before.strip() == "bot":
            self._add("check")
            self.explore(steadily)
        self._add(*[role for role in roles.split() if role != "death"])
        self.deaths = roles.split().count("death")

    def _add(self, *roles: str) -> None:
        self.actors += [begin(self.stage, role) for role in roles]

    # Running ---------------------------------------------------------------------------------------------------------

    def explore(self, choose: Choose) -> None:
        """Go on until every verb has ended and no guard has anything to do."""
        last: Option | None = None
        for _ in range(LONGEST):
            options = self.options()
            if options:
                last = choose(self, options, last)
                self.take(last)
            elif not self._let_time_pass():
                return
        self.fail(f"no end after {LONGEST} steps")

    def settle(self) -> None:
        """At quiescence one clean tick, after which there is exactly one bot, or none if that is the word."""
        self.deaths = 0
        self._add("check")
        wanted = 0 if self.word == "stopped" else 1
        for _ in range(6):
            self.explore(steadily)
            if len(self.living()) == wanted or (self.by_hand and self.living()):
                return
            self.stage.offset.seconds += 3.0
        self.fail(f"{len(self.living())} bots at the end, where the word is {self.word}")

    def options(self) -> list[Option]:
        """What can happen next."""
        now = self.stage.offset.now()
        found: list[Option] = [("deliver", pid) for pid in self.doomed]
        for number, actor in enumerate(self.actors):
            if actor.alive and (actor.until is None or actor.until <= now or actor.seen < self.version):
                found.append(("go", number))
        if self.deaths and self.living():
            found.append(("die", 0))
        return found

    def _let_time_pass(self) -> bool:
        """To the next moment at which somebody has something to do, while a verb is still under way."""
        waiting = [actor for actor in self.actors if actor.alive]
        if all(actor.role == "guard" for actor in waiting):
            return False
        moment = min(actor.until or 0.0 for actor in waiting)
        self.trace.append("time passes")
        self.stage.offset.seconds += max(0.0, moment - self.stage.offset.now()) + 0.001
        return True

    def take(self, option: Option) -> None:
        """One step."""
        kind, number = option
        if kind == "go":
            actor = self.actors[number]
            self.trace.append(f"{actor.role}{number} {actor.seam}")
            self._hear(actor, actor.step())
        elif kind == "kill":
            self._kill(self.actors[number])
        elif kind == "deliver":
            self.doomed.remove(number)
            self._end(number, signal.SIGTERM)
        else:
            self.deaths -= 1
            self._end(self.living()[0], signal.SIGKILL)
        if len(self.living()) > 1:
            self.fail(f"{len(self.living())} bots")
        if self.proved and set(self.living()) - set(self.exempt):
            self.fail("a bot after a stop that was answered with ok")

    def _kill(self, actor: Actor) -> None:
        self.trace.append(f"{actor.role} is killed before: {actor.seam}")
        actor.kill()
        self.version += 1

    def _hear(self, actor: Actor, notes: list[tuple[str, Any]]) -> None:
        for kind, value in notes:
            self.version += 1
            if kind == "word":
                self.word, self.proved, self.exempt = value, False, []
            elif kind == "acquired" and value == "bot.lock":
                actor.word_at_lock = self.word
            elif kind == "doomed" and value not in self.doomed:
                if value not in self.bots:
                    self.fail(f"PID {value} was signalled, which is no bot")
                self.doomed.append(value)
            elif kind in ("bot", "by hand"):
                self._born(actor, kind, value)
            elif kind == "done":
                actor.code = value
                self.trace.append(f"{actor.role} answers {value}")
                self.proved = self.proved or (actor.role == "stop" and value == 0 and self.word == "stopped")
            elif kind == "crash":
                self.fail(value)
        actor.seen = self.version
        if not actor.alive:
            self.version += 1
            if actor.pid not in self.bots:
                actor.bury()

    def _born(self, actor: Actor, kind: str, pid: int) -> None:
        self.bots.append(pid)
        if kind == "by hand":
            self.exempt.append(pid)
        elif self.word == "stopped" == actor.word_at_lock:
            self.fail(f"{actor.role} started a bot against a word that stood before it took the lock")

    def _end(self, pid: int, number: int) -> None:
        self.trace.append(f"PID {pid} dies of {signal.Signals(number).name}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        oracle.until(lambda: not oracle.alive(pid), f"PID {pid} dies")
        self.version += 1
        for actor in self.actors:
            if actor.pid == pid and actor.alive:
                actor.alive = False

    def seam(self, option: Option) -> str:
        """Where the actor of an option is parked."""
        return self.actors[option[1]].seam if option[0] == "go" else ""

    def living(self) -> list[int]:
        """The bots that live."""
        return [pid for pid in self.bots if oracle.alive(pid)]

    def fail(self, text: str) -> None:
        """Raise, with the way that led here."""
        raise Violation("\n  ".join([text, *self.trace]))

    def close(self) -> None:
        """End everything, and leave the stage as it was."""
        for actor in self.actors:
            if actor.alive:
                actor.kill()
        for pid in self.living():
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 15
        while time.monotonic() < end:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.stage.config.pid_file)
        self.stage.offset.seconds = 0.0


def steadily(schedule: Schedule, options: list[Option], last: Option | None) -> Option:
    """Nobody is interrupted: whoever is at work goes on while he can."""
    return last if last in options else options[0]
