"""Why the policy decided as it did: one sentence per decision, with the rule and its numbers. Pure, as the policy is.

A rule that is added to the policy needs its words here.
"""

from __future__ import annotations

from typing import Any, Callable

from .clock import human
from .doubt import DOUBTS, HANGS
from .model import (
    Action,
    Adopted,
    Alert,
    Asked,
    Died,
    Duplicate,
    Event,
    Judged,
    Kill,
    Memory,
    Note,
    Rebooted,
    Spawned,
    Start,
    Stopped,
    Stuck,
    Tick,
    Unclear,
    Vacant,
    Verified,
)
from .policy import BREAKER, BUDGET, CALM, HEALTHY, LADDER
from .states import HOLD_CODES, State

_ENDS = "until the operator says `start` or `reset`, or its files change"


def why(before: Memory, event: Event, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    """The rules that led from ``before`` and ``event`` to ``after`` and ``actions``; ``now`` as in `policy.step`."""
    return _WHY[type(event)](before, event, now, after, actions)


def _adopted(before: Memory, event: Adopted, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    if event.known and before.phase is State.STUCK:
        return "it was sent SIGKILL and has not ended yet: that is not running"
    if event.known:
        return f"it is the bot on record: left as it is{_calm(before, after)}"
    text = "a bot that runs is watched and left as it is, whoever started it"
    if before.down_since is not None:
        text += f"; it ends the time without a bot{_mail(before, after, actions)}"
    return text + _calm(before, after)


def _rebooted(before: Memory, event: Rebooted, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    return "a reboot of the host is no failure of the bot: nothing is counted"


def _vacant(before: Memory, event: Vacant, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    if event.shutting_down:
        return "the host is going down: not started"
    if not event.wanted:
        return "operator said stop: not started"
    if event.maintenance:
        return "maintenance is on: not started"
    forgotten = any(isinstance(action, Note) and action.kind == "redeployed" for action in actions)
    text = "the bot's files changed: failures forgotten; " if forgotten else ""
    if after.hold_code is not None:
        return f"{text}it ended with code {after.hold_code}, which asks not to be restarted: held {_ENDS}"
    if Start() not in actions and after.next_start is not None:
        return f"{text}the ladder's next start is due in {human(after.next_start - now)}: not started before that"
    return f"{text}it should run, and nothing speaks against it: started"


def _spawned(before: Memory, event: Spawned, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    if event.operator:
        return "the operator asked for it: started at once"
    if before.attempt > 0 and before.down_since is not None:
        delay = LADDER[min(before.attempt, len(LADDER)) - 1]
        return (
            f"{_ordinal(before.attempt)} death in a row, and the ladder's delay of {delay} s is over: start no. "
            f"{after.restarts} by itself"
        )
    if before.down_since is not None:
        return f"it was down and should run: start no. {after.restarts} by itself"
    return "it should run and did not: the first start, which counts as no restart"


def _verified(before: Memory, event: Verified, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    text = "it survived its start grace or said READY=1"
    if event.operator:
        return f"{text}; the operator asked for it, so no mail"
    if before.breaker:
        return f"{text}; the crash loop is not over, so no mail before it has run for {human(HEALTHY)}"
    return text + _mail(before, after, actions)


def _died(before: Memory, event: Died, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    failures = len(after.failures)
    anew = event.verified and event.uptime >= HEALTHY
    lived = f"it had run for {human(event.uptime)}, so the ladder began anew; " if anew else ""
    if event.code in HOLD_CODES:
        return f"{lived}code {event.code} asks not to be restarted: held {_ENDS}; told at once"
    delay = 0.0 if after.next_start is None else after.next_start - now
    text = f"{lived}{_ordinal(after.attempt)} death in a row: the ladder waits {delay:g} s; "
    if after.breaker and not before.breaker:
        return f"{text}{_many(failures)} within an hour, {BREAKER} open the breaker: told once, slow retries go on"
    if after.breaker:
        reminded = "one reminder a day" if any(isinstance(one, Alert) for one in actions) else "told already"
        return f"{text}the breaker is open ({_many(failures)} within an hour): {reminded}, slow retries go on"
    text += f"{failures} of {BREAKER} failures within an hour that would open the breaker"
    if event.verified:
        return f"{text}; no mail before it is back or stays down"
    told = "told once until it runs" if any(isinstance(one, Alert) for one in actions) else "told already"
    return f"{text}; it did not survive its start: {told}"


def _stopped(before: Memory, event: Stopped, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    if event.restarting:
        return "operator said restart: its end is no failure, and it is started again"
    return "operator said stop: its end is no failure, it stays stopped, and the counters begin anew"


def _stuck(before: Memory, event: Stuck, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    return f"what survived SIGKILL still counts as the bot: nothing is started beside it{_once(actions)}"


def _unclear(before: Memory, event: Unclear, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    return f"it may be the bot or not, and a second bot is worse than none: hands off{_once(actions)}"


def _duplicate(before: Memory, event: Duplicate, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    return f"there must be one bot, and one that others started is never ended by us{_once(actions)}"


def _asked(before: Memory, event: Asked, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    held = "" if before.hold_code is None else f", the hold after code {before.hold_code}"
    opened = ", the open breaker" if before.breaker else ""
    return (
        f"operator said start, restart or reset: forgotten are {_many(len(before.failures))} within an hour{opened}"
        f"{held} and {len(before.hung_at)} restarts for hanging"
    )


def _judged(before: Memory, event: Judged, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    if before.phase not in (State.RUNNING, State.SUSPECT, State.HUNG):
        return f"it is {before.phase.value}: only a bot that runs is judged"
    proofs = "; ".join(f"{sign.kind}: it {sign.text}" for sign in event.signs if sign.proof)
    if proofs and any(isinstance(one, Kill) for one in actions):
        return f"evidence: {proofs}: restart; {len(after.hung_at)} of {HANGS} such restarts within the hour"
    if proofs:
        spent = f"{len(after.hung_at)} of {HANGS} such restarts within the hour are spent: left as it is"
        return f"evidence: {proofs}; {spent}{_once(actions)}"
    if event.signs:
        weak = "; ".join(f"{sign.kind}: it {sign.text}" for sign in event.signs)
        return f"doubt, no proof: {weak}: not restarted{_doubt_told(after, actions)}"
    if before.phase is State.RUNNING:
        return "no sign of an illness"
    return "no sign of an illness is left: trusted again"


def _doubt_told(after: Memory, actions: tuple[Action, ...]) -> str:
    if any(isinstance(one, Alert) for one in actions):
        return f"; mail {len(after.doubts_told_at)} of {DOUBTS} about doubts within six hours"
    if actions:
        return f"; mail about it left out: {len(after.doubts_told_at)} doubts told within six hours"
    return "; on record already"


def _tick(before: Memory, event: Tick, now: float, after: Memory, actions: tuple[Action, ...]) -> str:
    if before == after and not actions:
        return "nothing was due"
    return f"it runs{_calm(before, after)}"


def _calm(before: Memory, after: Memory) -> str:
    """What a long life has ended."""
    if before.breaker and not after.breaker:
        return (
            f"; it has run for {human(HEALTHY)}, with {_many(len(after.failures))} within the hour ({CALM} at most): "
            "the crash loop is over"
        )
    if before.attempt and not after.attempt:
        return f"; it has run for {human(HEALTHY)}: the ladder begins anew"
    return ""


def _mail(before: Memory, after: Memory, actions: tuple[Action, ...]) -> str:
    """Whether a mail about a restart was within its budget."""
    if after.untold > before.untold:
        return f"; mail about it left out: {len(after.told_at)} restarts told within six hours"
    if any(isinstance(one, Alert) for one in actions):
        return f"; mail {len(after.told_at)} of {BUDGET} about restarts within six hours"
    return ""


def _once(actions: tuple[Action, ...]) -> str:
    return "; told once" if any(isinstance(one, Alert) for one in actions) else "; told already"


def _many(failures: int) -> str:
    return f"{failures} failure{'' if failures == 1 else 's'}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


_WHY: dict[type, Callable[[Memory, Any, float, Memory, tuple[Action, ...]], str]] = {
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
    Judged: _judged,
    Tick: _tick,
}
