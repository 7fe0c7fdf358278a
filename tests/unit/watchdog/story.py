"""A policy on a virtual clock, fed as the engine feeds it: no process, no file, no waiting."""

from __future__ import annotations

from watchdog import model, policy
from watchdog.model import Action, Alert, Event, Memory, Note, Start
from watchdog.states import State


class Story:
    """One bot's life as its policy sees it. ``now`` is the boot clock; ``alerts`` and ``notes`` keep what was said."""

    def __init__(self, memory: Memory | None = None, now: float = 10_000.0) -> None:
        self.memory = memory or Memory()
        self.now = now
        self.alerts: list[Alert] = []
        self.notes: list[Note] = []
        self.starts = 0
        self.pid = 100

    def feed(self, event: Event) -> tuple[Action, ...]:
        """One step; its actions, sorted away."""
        self.memory, actions = policy.step(self.memory, event, self.now)
        self.alerts += [action for action in actions if isinstance(action, Alert)]
        self.notes += [action for action in actions if isinstance(action, Note)]
        self.starts += sum(isinstance(action, Start) for action in actions)
        return actions

    def vacant(
        self, wanted: bool = True, maintenance: bool = False, shutting_down: bool = False, script: str = "v1"
    ) -> bool:
        """Nobody runs: may a bot be started? True when the policy says so."""
        return Start() in self.feed(model.Vacant(wanted, maintenance, shutting_down, script))

    def start(self, operator: bool = False) -> None:
        """A bot is spawned."""
        self.pid += 1
        self.feed(model.Spawned(self.pid, operator))

    def run(self, seconds: float, operator: bool = False, grace: float = 3.0) -> None:
        """A bot is started, verified and then runs for so long; the engine's ticks come when they are due."""
        self.start(operator)
        self.now += grace
        self.feed(model.Verified(self.pid, operator))
        self.tick(seconds - grace)

    def tick(self, seconds: float) -> None:
        """Time passes while the bot runs; the policy is woken when it asked for it."""
        end = self.now + seconds
        for _ in range(5):
            at = policy.settle_at(self.memory)
            if at is None or at > end:
                break
            self.now = max(self.now, at) + 1e-6
            self.feed(model.Tick())
        else:
            raise AssertionError(f"a tick that settles nothing is due again and again: {self.memory}")
        self.now = max(self.now, end)

    def die(
        self,
        uptime: float = 1.0,
        verified: bool = True,
        code: int | None = 1,
        text: str = "ended with exit code 1",
        script: str = "v1",
    ) -> float:
        """The bot ends; seconds until the next start."""
        self.feed(model.Died(self.pid, code, text, uptime, verified, script))
        return 0.0 if self.memory.next_start is None else self.memory.next_start - self.now

    def crash_loop(self, lives: int) -> list[float]:
        """The bot fails right after every start; the delays that the policy orders."""
        delays = []
        for _ in range(lives):
            self.start()
            self.now += 0.1
            delays.append(self.die(0.1, verified=False))
            self.now += delays[-1]
            assert self.vacant(), "the delay has passed and nobody forbids the start"
        return delays

    def is_in(self, state: State) -> bool:
        """True when this is the state that people see."""
        return self.memory.phase is state

    def is_open(self) -> bool:
        """True while the breaker is open."""
        return self.memory.breaker

    def said(self, kind: str) -> list[str]:
        """The texts of all alerts of a kind."""
        return [alert.text for alert in self.alerts if alert.kind == kind]

    def noted(self, kind: str) -> list[str]:
        """The texts of all notes of a kind."""
        return [note.text for note in self.notes if note.kind == kind]
