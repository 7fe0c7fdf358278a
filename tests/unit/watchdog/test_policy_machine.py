"""Model checking of the policy: any order of events that can really happen keeps the promises."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.watchdog.parts import VirtualClock
from tests.unit.watchdog.reckoning import Reckoning
from watchdog import model, policy, snapshot, states
from watchdog.model import Alert, Memory, Start
from watchdog.policy import LADDER
from watchdog.states import State

PIDS = st.integers(2, 1 << 22)
LAPSES = st.one_of(
    st.floats(0.001, 10), st.floats(10, 700), st.floats(700, 20_000), st.sampled_from([595.0, 601.0, 3550.0])
)


class Life(RuleBasedStateMachine):
    """A host with one bot. The model knows what is true; the policy is told what the engine would tell it."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.reckoning = Reckoning()
        self.clock = VirtualClock()
        self.pid: int | None = None
        self.verified = False
        self.operator = False
        self.born = 0.0
        self.wanted = True
        self.maintenance = False
        self.shutting_down = False
        self.script = "v1"
        self.held_for: str | None = None
        self.unknown: str | None = None
        self.failed_told: list[str] = []
        self.last_death = 0.0

    @property
    def now(self) -> float:
        """The boot clock."""
        return self.clock.boot_seconds

    def feed(self, event: model.Event) -> tuple[model.Action, ...]:
        """One step, and what must hold of every step."""
        before = self.memory
        self.memory, actions = policy.step(before, event, self.now)
        self.reckoning.see(before, event, self.now, self.memory, actions)
        for action in actions:
            if isinstance(action, Start):
                assert isinstance(event, model.Vacant), "only a vacant place may be filled"
            if isinstance(action, Alert):
                self.told(action)
        return actions

    def told(self, alert: Alert) -> None:
        """No second alert of one kind of failure until something has changed; no recovery without a failure."""
        assert alert.text and "\n" not in alert.text and "None" not in alert.text
        if alert.kind == "failed":
            kind = next(
                word for word in ("did not start", "within an hour", "asks not to be", "is still") if word in alert.text
            )
            assert kind not in self.failed_told, f"told twice without a recovery in between: {alert.text}"
            self.failed_told.append(kind)
        elif alert.kind == "restarted" and "crash loop is over" in alert.text:
            assert "within an hour" in self.failed_told, f"recovered from what? {alert.text}"

    def uptime(self) -> float:
        """Age of the bot in seconds."""
        return self.now - self.born

    # What happens to a bot -------------------------------------------------------------------------------------------

    @initialize(wanted=st.booleans())
    def begin(self, wanted: bool) -> None:
        """The watchdog is installed."""
        self.wanted = wanted

    @rule(seconds=LAPSES)
    def time_passes(self, seconds: float) -> None:
        """Time passes; the engine wakes the policy when it asked for it."""
        end = self.now + seconds
        for _ in range(5):
            at = policy.settle_at(self.memory)
            if self.pid is None or at is None or at > end or not self.verified:
                break
            self.clock.pass_by(max(0.0, at - self.now) + 1e-6)
            self.feed(model.Tick())
            if not self.memory.breaker:
                self.failed_told.clear()
        else:
            raise AssertionError(f"a tick that settles nothing is due again and again: {self.memory}")
        self.clock.pass_by(max(0.0, end - self.now))

    @precondition(lambda self: self.pid is None)
    @rule(pid=PIDS, works=st.sampled_from([True, True, True, False]))
    def the_engine_looks(self, pid: int, works: bool) -> None:
        """The engine holds the lock, has found nobody and asks; where it may, it spawns, and that may fail."""
        self.unknown = None
        due = self.memory.next_start is None or self.now >= self.memory.next_start
        held = self.held_for is not None and self.script in ("", self.held_for)
        failing = self.memory.script if self.memory.attempt else ""
        changed = (self.held_for is not None and not held) or (
            self.script != failing and "" not in (self.script, failing)
        )
        actions = self.feed(model.Vacant(self.wanted, self.maintenance, self.shutting_down, self.script))
        allowed = self.wanted and not self.maintenance and not self.shutting_down and not held
        assert actions.count(Start()) == (1 if allowed and (due or changed) else 0), (
            "started against somebody's word, before its time, or not at all"
        )
        if Start() not in actions:
            if allowed:
                assert self.memory.next_start is not None and self.memory.next_start > self.now
            return
        if changed:
            self.held_for = None
            self.failed_told.clear()
        if works:
            self.pid, self.verified, self.born = pid, False, self.now
            self.feed(model.Spawned(pid, self.operator))
        else:
            self.last_death = self.now
            self.feed(model.Died(None, None, "cannot start: no such file", 0.0, False, self.script))

    @precondition(lambda self: self.pid is not None and not self.verified)
    @rule()
    def it_is_verified(self) -> None:
        """It has survived the start grace."""
        assert self.pid is not None
        self.verified = True
        self.feed(model.Verified(self.pid, self.operator))
        self.operator = False
        if not self.memory.breaker:
            self.failed_told.clear()

    @precondition(lambda self: self.pid is not None)
    @rule(code=st.sampled_from([None, 1, 78, 0, 79, None, 1, 143]))
    def it_dies(self, code: int | None) -> None:
        """It ends by itself, at any time."""
        text = "was killed by SIGKILL" if code is None else f"ended with exit code {code}"
        self.last_death = self.now
        self.feed(model.Died(self.pid, code, text, self.uptime(), self.verified, self.script))
        self.pid, self.verified, self.operator = None, False, False
        if code in states.HOLD_CODES:
            self.held_for = self.script

    @precondition(lambda self: self.pid is None and self.wanted and not self.maintenance and not self.shutting_down)
    @rule(deaths=st.integers(2, 12), life=st.sampled_from([0.0, 1.0, 400.0, 605.0]))
    def it_dies_again_and_again(self, deaths: int, life: float) -> None:
        """A crash loop, or a bot that lives a little longer each time."""
        for _ in range(deaths):
            self.clock.pass_by(max(0.0, (self.memory.next_start or 0.0) - self.now))
            self.the_engine_looks(7, True)
            if self.pid is None:
                return
            if life:
                self.it_is_verified()
            self.clock.pass_by(life)
            self.it_dies(None)

    @rule(word=st.sampled_from(["start", "start", "stop", "restart"]), seconds=st.floats(0.1, 30))
    def the_operator_speaks(self, word: str, seconds: float) -> None:
        """start forgets the past; stop and restart end what runs and are proved before anything else happens."""
        self.wanted = word != "stop"
        if self.wanted:
            self.feed(model.Asked())
            self.held_for = None
            self.operator = self.pid is None or word == "restart"
            self.failed_told.clear()
        else:
            self.operator = False
        if self.pid is not None and word != "start":
            self.clock.pass_by(seconds)
            self.feed(model.Stopped(restarting=self.wanted))
            self.pid, self.verified, self.held_for = None, False, None
            self.failed_told.clear()

    @rule(
        maintenance=st.sampled_from([False, False, True]),
        down=st.sampled_from([False, False, False, True]),
        script=st.sampled_from(["v1", "v1", "v2", ""]),
    )
    def the_surroundings_change(self, maintenance: bool, down: bool, script: str) -> None:
        """Maintenance begins or ends, a shutdown begins or is called off, the bot's script is deployed."""
        self.maintenance, self.shutting_down, self.script = maintenance, down, script

    @precondition(lambda self: self.pid is None)
    @rule(pid=PIDS, age=st.floats(0, 4000))
    def somebody_starts_one_by_hand(self, pid: int, age: float) -> None:
        """A stranger is found running and adopted."""
        self.pid, self.verified, self.born = pid, True, self.now - age
        self.feed(model.Adopted(pid, "started by hand", age, False))
        assert self.memory.phase is State.RUNNING
        self.unknown = self.held_for = None
        self.failed_told = [kind for kind in self.failed_told if kind != "asks not to be"]  # a hold that was ended
        if not self.memory.breaker and not self.memory.failure_told:
            self.failed_told.clear()

    @precondition(lambda self: self.pid is not None and self.verified)
    @rule()
    def another_guard_takes_over(self) -> None:
        """The guard is replaced: the recorded bot is adopted again."""
        assert self.pid is not None
        self.remember()
        quiet = self.feed(model.Adopted(self.pid, "it holds the bot's lock", self.uptime(), True))
        assert all("crash loop is over" in getattr(action, "text", "") for action in quiet)
        if not self.memory.breaker and not self.memory.failure_told:
            self.failed_told.clear()

    @precondition(lambda self: self.pid is None)
    @rule(text=st.sampled_from(["PID 7 holds the lock", "PID 8 holds the lock"]))
    def it_cannot_be_told_who_runs(self, text: str) -> None:
        """Somebody holds the lock who cannot be identified."""
        actions = self.feed(model.Unclear(text))
        assert not any(isinstance(action, Start) for action in actions)
        assert bool(actions) == (self.unknown != text), "told once, and told when it is another"
        self.unknown = text

    @precondition(lambda self: self.pid is not None)
    @rule(stuck=st.booleans())
    def it_cannot_be_stopped_or_has_a_twin(self, stuck: bool) -> None:
        """It survives the kill ladder, or a second one is seen: told once, and nothing is started."""
        text = f"PID {self.pid} survived SIGKILL" if stuck else f"more than one bot is running: PIDs {self.pid}, 9"
        event = model.Stuck(text) if stuck else model.Duplicate(text)
        self.feed(event)
        assert self.feed(event) == ()

    @rule(took=st.floats(1, 4000), uptime=st.floats(1, 100))
    def the_host_reboots(self, took: float, uptime: float) -> None:
        """The boot clock begins anew; the bot is gone, and that is no failure."""
        failures = len(self.memory.failures)
        before = self.now
        waiting = None if self.memory.next_start is None else self.memory.next_start - self.now
        self.remember()
        self.clock.reboot(took, uptime)
        self.memory = policy.sane(policy.shifted(self.memory, self.now - before - took), self.now)
        self.last_death += self.now - before - took
        self.reckoning.rebooted(self.now - before - took)
        if waiting is not None:
            assert self.memory.next_start == pytest.approx(self.now + waiting - took)
        if self.memory.phase in (State.RUNNING, State.STARTING, State.STOPPING, State.STUCK):
            assert not any(isinstance(action, Alert) for action in self.feed(model.Rebooted()))
        assert len(self.memory.failures) <= failures
        self.pid, self.verified, self.operator, self.shutting_down = None, False, False, False

    # What always holds -----------------------------------------------------------------------------------------------

    def remember(self) -> None:
        """state.json: what is written is what is read."""
        text = json.dumps({"memory": self.memory._asdict()})
        assert snapshot.memory(json.loads(text)["memory"]) == self.memory

    @invariant()
    def the_memory_survives_being_written(self) -> None:
        """At every instant, since a guard may be killed at every instant."""
        self.remember()

    @invariant()
    def the_next_start_is_a_rung_after_the_last_death(self) -> None:
        """Never in the past of the death that caused it, never further away than the longest rung."""
        if self.memory.next_start is not None:
            delay = self.memory.next_start - self.last_death
            assert any(delay == pytest.approx(rung, abs=1e-3) for rung in LADDER), delay

    @invariant()
    def the_phase_fits_what_is_true(self) -> None:
        """A dead bot is never called running, a running one never down."""
        if self.pid is None:
            assert self.memory.phase is not State.RUNNING or self.memory.running_since is None
        else:
            assert self.memory.phase in states.ALIVE, self.memory.phase
            assert self.memory.next_start is None

    @invariant()
    def an_open_breaker_has_been_told(self) -> None:
        """Nothing that people must know is known to the machine alone."""
        if self.memory.breaker:
            assert "within an hour" in self.failed_told


Life.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLife = pytest.mark.timeout(400)(Life.TestCase)  # finding the smallest failing story takes its time
