"""What the design says about delays, the breaker and mails, reckoned a second time beside the policy."""

from __future__ import annotations

from watchdog import model
from watchdog.model import Action, Alert, Event, Memory, Start
from watchdog.states import HOLD_CODES, State

DELAYS = (0, 1, 2, 5, 10, 20, 40, 80, 160, 300)
HEALTHY, HOUR, SIX_HOURS = 600.0, 3600.0, 6 * 3600.0


class Reckoning:
    """Sees every step and holds the policy's answer against its own."""

    def __init__(self) -> None:
        self.rung = 0
        self.failures: list[float] = []
        self.breaker = False
        self.healthy_since: float | None = None
        self.mails: list[float] = []

    def see(self, before: Memory, event: Event, now: float, memory: Memory, actions: tuple[Action, ...]) -> None:
        """One step of the policy. Raises AssertionError where it is not as designed."""
        alerts = [action for action in actions if isinstance(action, Alert)]
        over = self._lived(before, event, now)
        opened = False
        if isinstance(event, (model.Asked, model.Stopped)):
            self.__init__()  # type: ignore[misc]
        elif isinstance(event, model.Died):
            opened = self._died(event, now, memory)
        elif isinstance(event, model.Vacant) and self._redeployed(before, event):
            assert Start() in actions, "what was deployed anew is tried at once"
            self.rung, self.failures, self.breaker = 0, [], False
        assert (memory.attempt, memory.breaker) == (self.rung, self.breaker), (self.rung, self.breaker, memory)
        assert sum("within an hour" in alert.text for alert in alerts) == opened, "one critical alert a crash loop"
        assert sum("crash loop is over" in alert.text for alert in alerts) == over, "told once when it is over"
        self._mailed([alert for alert in alerts if alert.kind == "restarted" and "loop is over" not in alert.text], now)

    @staticmethod
    def _redeployed(before: Memory, event: model.Vacant) -> bool:
        """Another script than the one that failed, where a bot may be started at all."""
        free = event.wanted and not event.maintenance and not event.shutting_down
        failed = before.hold_code is not None or (before.attempt > 0 and before.script != "")
        return free and failed and event.script not in ("", before.script)

    def rebooted(self, by: float) -> None:
        """The boot clock has begun anew; the bot is gone."""
        self.failures = [at + by for at in self.failures]
        self.mails = [at + by for at in self.mails]
        self.healthy_since = None

    def _lived(self, before: Memory, event: Event, now: float) -> bool:
        """Six hundred healthy seconds begin the ladder anew, and end a crash loop whose failures are old."""
        if isinstance(event, model.Verified):
            self.healthy_since = now
        elif isinstance(event, model.Adopted) and event.known and before.phase is State.STUCK:
            self.healthy_since = None  # SIGKILL is on its way to it
        elif isinstance(event, model.Adopted):
            self.healthy_since = now - event.uptime
        elif not isinstance(event, (model.Tick, model.Duplicate)):
            self.healthy_since = None
        if not isinstance(event, (model.Tick, model.Adopted)) or self.healthy_since is None:
            return False
        if now - self.healthy_since < HEALTHY:
            return False
        self.rung = 0
        over = self.breaker and sum(now - at < HOUR for at in self.failures) <= 1
        self.breaker = self.breaker and not over
        return over

    def _died(self, event: model.Died, now: float, memory: Memory) -> bool:
        if event.verified and event.uptime >= HEALTHY:
            self.rung = 0
        held = event.code in HOLD_CODES
        assert memory.next_start == (None if held else now + DELAYS[min(self.rung, 9)]), (self.rung, memory)
        self.rung += 1
        self.failures.append(now)
        opened = not held and not self.breaker and sum(now - at < HOUR for at in self.failures) >= 5
        self.breaker = self.breaker or opened
        return opened

    def _mailed(self, alerts: list[Alert], now: float) -> None:
        assert len(alerts) <= 1
        self.mails += [now for _ in alerts]
        assert sum(now - at < SIX_HOURS for at in self.mails) <= 10, "more mails about restarts than the budget has"
