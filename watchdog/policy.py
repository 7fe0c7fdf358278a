"""What to do, as a pure function: (memory, event, now) -> (memory, actions).

Nothing here reads a clock, a file or a process; ``now`` and every deadline are seconds of CLOCK_BOOTTIME. Whatever
decides about restarting, waiting or telling somebody is in this file.
"""

from __future__ import annotations

from typing import Any, Callable

from .clock import human
from .doubt import DOUBTS, HANGS, SURE, judged
from .model import (
    BUDGET_WINDOW,
    WINDOW,
    Action,
    Adopted,
    Alert,
    Asked,
    Died,
    Duplicate,
    Event,
    Judged,
    Memory,
    Note,
    Rebooted,
    Spawned,
    Start,
    Step,
    Stopped,
    Stuck,
    Tick,
    Unclear,
    Vacant,
    Verified,
)
from .states import HOLD_CODES, State

LADDER = (0, 1, 2, 5, 10, 20, 40, 80, 160, 300)
"""Seconds before each further start after a death."""

HEALTHY = 600.0
"""Seconds of running after which the ladder begins anew."""

CALM = 1
"""Failures within WINDOW at which an open breaker closes again; between the two numbers nothing flips to and fro."""

BUDGET = 10
"""So many mails about restarts within BUDGET_WINDOW; deaths themselves are always recorded."""

REMINDER = 86400.0
"""Seconds until a bot that does not come up is told of again."""

MAINTENANCE = "maintenance"
SHUTDOWN = "shutdown"

BREAKER = 5
"""Failures within WINDOW that open the breaker: one critical alert, slow retries go on."""


def step(memory: Memory, event: Event, now: float) -> Step:
    """The one decision function. ``now`` is in seconds since boot."""
    return _HANDLERS[type(event)](memory, event, now)


def starts(memory: Memory, event: Vacant, now: float) -> bool:
    """True when this event would start the bot."""
    return Start() in step(memory, event, now)[1]


def _adopted(memory: Memory, event: Adopted, now: float) -> Step:
    if event.known and memory.phase is State.STUCK:  # SIGKILL is on its way to it: that is not running
        return memory, ()
    since = now - event.uptime
    doubted = event.known and memory.phase is State.SUSPECT  # another guard comes to it: that is no proof of health
    changed = memory._replace(
        phase=State.SUSPECT if doubted else State.RUNNING, running_since=since, down_since=None, next_start=None,
        pause="", hold_code=None, told=memory.told if event.known else "", **({} if doubted else SURE),
    )  # fmt: skip
    changed, actions = _settle(changed, now)
    if event.known:
        return changed, actions
    text = f"bot found running: PID {event.pid}, {event.how}; watched from now on, left as it is"
    note = Note("adopted", text, "warning")
    if memory.down_since is None or actions:  # the end of a crash loop is news enough
        return changed, (note, *actions)
    changed, alerts = _within_budget(changed, f"{text}; the one before it {memory.reason}", now)
    return changed, (note, *alerts, *actions)


def _rebooted(memory: Memory, event: Rebooted, now: float) -> Step:
    changed = memory._replace(
        phase=State.DOWN, running_since=None, next_start=None, reason="was ended by a reboot of the host", **SURE
    )
    return changed, (Note("rebooted", "the host was rebooted since the bot was last seen"),)


def _vacant(memory: Memory, event: Vacant, now: float) -> Step:
    pause, memory = memory.pause, memory._replace(running_since=None, told="", pause="")
    if event.shutting_down:
        return memory._replace(phase=State.DOWN, pause=SHUTDOWN), ()
    if not event.wanted:
        return memory._replace(phase=State.STOPPED, next_start=None), ()
    if event.maintenance:
        note = Note("not-started", "bot is down; maintenance is on: not started", "warning")
        return memory._replace(phase=State.DOWN, pause=MAINTENANCE), () if pause == MAINTENANCE else (note,)
    notes: tuple[Action, ...] = ()
    if event.script and event.script != memory.script:
        if (memory.attempt and memory.script) or memory.hold_code is not None:
            notes = (Note("redeployed", "the bot's files have changed: its failures are forgotten"),)
            memory = memory._replace(hung_at=(), **_FORGIVEN)
        memory = memory._replace(script=event.script)
    if memory.hold_code is not None:
        return memory._replace(phase=State.HELD, next_start=None), ()
    if memory.next_start is not None and now < memory.next_start:
        return memory._replace(phase=State.FAILED if memory.breaker else State.BACKOFF), notes
    return memory._replace(next_start=None), (*notes, Start())


def _spawned(memory: Memory, event: Spawned, now: float) -> Step:
    outage = None if memory.down_since is None else now - memory.down_since
    again = 0 if event.operator or outage is None else 1
    changed = memory._replace(phase=State.STARTING, restarts=memory.restarts + again, running_since=None, outage=outage)
    return changed, (Note("spawned", f"bot started: PID {event.pid}, not verified yet"),)


def _verified(memory: Memory, event: Verified, now: float) -> Step:
    reason = f"; before that it {memory.reason}" if memory.reason else ""
    if memory.outage is None:
        text = f"bot was not running and has been started: PID {event.pid}{reason}"
    else:
        text = f"bot is running again: PID {event.pid}, down for {human(memory.outage)}{reason}"
    quiet = event.operator or memory.breaker
    changed = memory._replace(
        phase=State.RUNNING, running_since=now, down_since=None, outage=None, failure_told=memory.breaker, reason="",
        next_start=None,
    )  # fmt: skip
    if event.operator:
        return changed, (Note("started", f"bot is running: PID {event.pid}, as asked", "ok"),)
    changed, alerts = (changed, ()) if quiet else _within_budget(changed, text, now)
    return changed, (Note("restarted", text, "ok"), *alerts)


def _within_budget(memory: Memory, text: str, now: float) -> Step:
    """One more mail about a restart, unless there were too many lately; the next one then counts the others."""
    recent = tuple(at for at in memory.told_at if now - at < BUDGET_WINDOW)
    if len(recent) >= BUDGET:
        return memory._replace(told_at=recent, untold=memory.untold + 1), ()
    if memory.untold:
        text = f"{text}; {memory.untold} restarts before this one were not told one by one"
    return memory._replace(told_at=(*recent, now), untold=0), (Alert("restarted", text),)


def _died(memory: Memory, event: Died, now: float) -> Step:
    failures = (*(at for at in memory.failures if now - at < WINDOW), now)[-50:]
    if event.verified and event.uptime >= HEALTHY:
        memory = memory._replace(attempt=0)
    delay = LADDER[min(memory.attempt, len(LADDER) - 1)]
    changed = memory._replace(
        phase=State.BACKOFF,
        attempt=memory.attempt + 1,
        failures=failures,
        next_start=now + delay,
        running_since=None,
        down_since=now if memory.down_since is None else memory.down_since,
        reason=event.text,
        script=event.script or memory.script,
        **SURE,
    )
    who = "bot" if event.pid is None else f"bot (PID {event.pid})"
    lived = "" if event.pid is None else f" after {human(event.uptime)}"
    actions: list[Action] = [Note("died", f"{who} {event.text}{lived}", "error")]
    if event.code in HOLD_CODES:
        changed = changed._replace(phase=State.HELD, hold_code=event.code, next_start=None, script=event.script)
        text = f"bot ended with code {event.code}, which asks not to be restarted: mend it, then `start`"
        return changed, (*actions, Note("held", text, "error"), Alert("failed", text))
    if len(failures) >= BREAKER and not memory.breaker:
        text = f"bot died {len(failures)} times within an hour, at last it {event.text}; next try in {human(delay)}"
        changed = changed._replace(breaker=True, phase=State.FAILED, failure_told=True, reminded_at=now)
        return changed, (*actions, Note("breaker", text, "error"), Alert("failed", text))
    if memory.breaker:
        changed, reminder = _remind(changed._replace(phase=State.FAILED), now)
        return changed, (*actions, *reminder)
    if not event.verified and not memory.failure_told:
        text = f"bot did not start: it {event.text}; next try in {human(delay)}"
        return changed._replace(failure_told=True), (*actions, Alert("failed", text))
    return changed, tuple(actions)


def _remind(memory: Memory, now: float) -> Step:
    """A bot that stays down is told of again once in a while: silence would mean that all is well."""
    if memory.reminded_at is None or now - memory.reminded_at < REMINDER:
        return memory, ()
    since = "" if memory.down_since is None else f", not running for {human(now - memory.down_since)}"
    text = f"bot is still {memory.phase.value}{since}: it {memory.reason}"
    return memory._replace(reminded_at=now), (Note("reminder", text, "error"), Alert("failed", text))


def _stopped(memory: Memory, event: Stopped, now: float) -> Step:
    changed = Memory(
        phase=State.DOWN if event.restarting else State.STOPPED, down_since=now if event.restarting else None
    )
    return changed, () if event.restarting else (Note("stopped", "bot stopped, as asked", "ok"),)


def _stuck(memory: Memory, event: Stuck, now: float) -> Step:
    actions = (Note("stuck", event.text, "error"), Alert("error", event.text))
    return memory._replace(
        phase=State.STUCK, told=event.text, running_since=None
    ), actions if memory.told != event.text else ()


def _unclear(memory: Memory, event: Unclear, now: float) -> Step:
    changed = memory._replace(phase=State.UNKNOWN, told=event.text, running_since=None)
    if memory.phase is State.UNKNOWN and memory.told == event.text:
        return changed, ()
    return changed, (
        Note("unknown", event.text, "error"),
        Alert("error", f"{event.text}. Nothing was started or stopped"),
    )


def _duplicate(memory: Memory, event: Duplicate, now: float) -> Step:
    if memory.told == event.text:
        return memory, ()
    actions = (Note("duplicate", event.text, "error"), Alert("error", event.text))
    return memory._replace(told=event.text), actions


def _asked(memory: Memory, event: Asked, now: float) -> Step:
    return memory._replace(
        restarts=0, reason="", told_at=(), untold=0, hung_at=(), doubts_told_at=(), **_FORGIVEN,
    ), ()  # fmt: skip


def _tick(memory: Memory, event: Tick, now: float) -> Step:
    return _settle(memory, now)


def _settle(memory: Memory, now: float) -> Step:
    """After HEALTHY seconds of running the ladder begins anew; a crash loop is over when its failures are old, too."""
    if memory.running_since is None or now - memory.running_since < HEALTHY:
        return memory, ()
    recent = tuple(at for at in memory.failures if now - at < WINDOW)
    calm = memory._replace(attempt=0, failures=recent)
    if not memory.breaker or len(recent) > CALM:
        return calm, ()
    calm = calm._replace(breaker=False, failure_told=False)
    text = f"bot has been running for {human(HEALTHY)} without a death: the crash loop is over"
    return calm, (Note("recovered", text, "ok"), Alert("restarted", text))


def settle_at(memory: Memory) -> float | None:
    """When the next Tick can change something, None if never."""
    if memory.running_since is None or not (memory.attempt or memory.breaker):
        return None
    calm = memory.running_since + HEALTHY
    if memory.attempt or len(memory.failures) <= CALM:
        return calm
    return max(calm, memory.failures[-CALM - 1] + WINDOW)


def sane(memory: Memory, now: float) -> Memory:
    """The same memory with no deadline beyond the last rung and no past in the future, whatever a file said."""

    def past(at: float | None) -> float | None:
        return None if at is None or at != at else min(at, now)

    later = memory.next_start
    return memory._replace(
        attempt=max(0, memory.attempt),
        restarts=max(0, memory.restarts),
        failures=tuple(at for at in memory.failures if now - WINDOW < at <= now)[-50:],
        told_at=tuple(at for at in memory.told_at if now - BUDGET_WINDOW < at <= now)[-BUDGET:],
        untold=max(0, memory.untold),
        next_start=None if later is None or later != later else min(later, now + LADDER[-1]),
        doubts_told_at=tuple(at for at in memory.doubts_told_at if now - BUDGET_WINDOW < at <= now)[-DOUBTS:],
        hung_at=tuple(at for at in memory.hung_at if now - WINDOW < at <= now)[-HANGS:],
        reminded_at=past(memory.reminded_at),
        doubt_since=past(memory.doubt_since),
        running_since=past(memory.running_since),
        down_since=past(memory.down_since),
        outage=None if memory.outage is None or not 0 <= memory.outage < 1e10 else memory.outage,
    )


def shifted(memory: Memory, by: float) -> Memory:
    """The same memory with every deadline moved by ``by`` seconds, as after a reboot: the boot clock began anew."""

    def move(at: float | None) -> float | None:
        return None if at is None else at + by

    return memory._replace(
        failures=tuple(at + by for at in memory.failures),
        told_at=tuple(at + by for at in memory.told_at),
        doubts_told_at=tuple(at + by for at in memory.doubts_told_at),
        hung_at=tuple(at + by for at in memory.hung_at),
        reminded_at=move(memory.reminded_at),
        doubt_since=move(memory.doubt_since),
        next_start=move(memory.next_start),
        running_since=move(memory.running_since),
        down_since=move(memory.down_since),
    )


_FORGIVEN: dict[str, Any] = {
    "attempt": 0, "failures": (), "breaker": False, "next_start": None, "hold_code": None, "failure_told": False,
    "reminded_at": None, "script": "",
}  # fmt: skip
"""No failure of the bot counts any more."""

_HANDLERS: dict[type, Callable[[Memory, Any, float], Step]] = {
    Adopted: _adopted,
    Rebooted: _rebooted,
    Vacant: _vacant,
    Spawned: _spawned,
    Verified: _verified,
    Died: _died,
    Stopped: _stopped,
    Stuck: _stuck,
    Unclear: _unclear,
    Duplicate: _duplicate,
    Asked: _asked,
    Judged: judged,
    Tick: _tick,
}
