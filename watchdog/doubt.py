"""The policy for a bot that is alive: what the signs of an illness lead to. Pure, as all of the policy."""

from __future__ import annotations

from typing import Any

from .clock import human
from .model import BUDGET_WINDOW, WINDOW, Alert, Judged, Kill, Memory, Note, Step
from .states import State

HANGS = 3
"""Restarts of a hung bot within WINDOW; a further one is only told of."""

DOUBTS = 6
"""Alerts about a bot that is suspect within BUDGET_WINDOW; more are events only."""

SURE: dict[str, Any] = {"doubts": (), "doubt": "", "doubt_since": None, "doubt_told": False}
"""No doubt about the bot is left."""


def judged(memory: Memory, event: Judged, now: float) -> Step:
    """Doubt, restart or trust a living bot, by the signs of one look at it."""
    if memory.phase not in (State.RUNNING, State.SUSPECT, State.HUNG):
        return memory, ()
    text = "; ".join(sign.text for sign in event.signs)
    if any(sign.proof for sign in event.signs):
        return _hung(memory, event, text, now)
    if event.signs:
        return _suspect(memory, event, text, now)
    if memory.phase is State.RUNNING:
        return memory, ()
    lasted = "" if memory.doubt_since is None else f" after {human(now - memory.doubt_since)}"
    text = f"bot is well again{lasted}: before that it {memory.doubt}"
    alerts = (Alert("restarted", text),) if memory.doubt_told else ()
    return memory._replace(phase=State.RUNNING, **SURE), (Note("cleared", text, "ok"), *alerts)


def sentenced(memory: Memory) -> str:
    """Why the bot that was running last is being ended; empty where that was not begun."""
    began = memory.hung_at[-1:] if memory.phase is State.HUNG else ()
    return memory.doubt if memory.running_since is not None and began > (memory.running_since,) else ""


def _suspect(memory: Memory, event: Judged, text: str, now: float) -> Step:
    kinds = {sign.kind for sign in event.signs}
    if kinds <= set(memory.doubts):  # told already; the words of the first time stay on record
        return memory._replace(phase=State.SUSPECT), ()
    recent = tuple(at for at in memory.doubts_told_at if now - at < BUDGET_WINDOW)
    told = len(recent) < DOUBTS
    changed = memory._replace(
        phase=State.SUSPECT,
        doubt=text,
        doubt_since=_since(memory, event),
        doubts=tuple(sorted(kinds | set(memory.doubts))),
        doubt_told=memory.doubt_told or told,
        doubts_told_at=(*recent, now) if told else recent,
    )
    text = f"bot may be ill: it {text}"
    return changed, (Note("suspect", text, "warning"), *((Alert("suspect", text),) if told else ()))


def _hung(memory: Memory, event: Judged, text: str, now: float) -> Step:
    recent = tuple(at for at in memory.hung_at if now - at < WINDOW)
    if memory.phase is State.HUNG and len(recent) >= HANGS:
        return memory, ()
    changed = memory._replace(phase=State.HUNG, doubt=text, doubt_since=_since(memory, event))
    if len(recent) < HANGS:
        note = Note("hung", f"bot is ill: it {text}; restarting it", "error")
        return changed._replace(hung_at=(*recent, now)), (note, Kill(text))
    text = f"bot is ill again after {HANGS} restarts for that within an hour: left as it is. It {text}"
    return changed._replace(hung_at=recent, doubt_told=True), (Note("hung", text, "error"), Alert("suspect", text))


def _since(memory: Memory, event: Judged) -> float:
    return min(sign.since for sign in event.signs) if memory.doubt_since is None else memory.doubt_since
