"""A decision of the policy as it goes on record: all that is needed to explain it, and to take it again."""

from __future__ import annotations

from typing import Any, NamedTuple

from .model import Action, Alert, Event, Kill, Memory, Note, Start

_BLANK = Memory()


class Decision(NamedTuple):
    """One step of the policy: what was remembered before, what happened and when (boot clock), what came of it."""

    before: Memory
    event: Event
    at: float
    after: Memory
    actions: tuple[Action, ...]


def document(decision: Decision, boot: str, version: str) -> dict[str, Any]:
    """The ``decision`` object of an event; ``memory`` has what differs from a memory without any past."""
    before = zip(Memory._fields, decision.before, _BLANK)
    return {
        "event": type(decision.event).__name__,
        "fields": decision.event._asdict(),
        "at": decision.at,
        "boot": boot,
        "memory": {field: value for field, value, blank in before if value != blank},
        "actions": deeds(decision.after, decision.actions, decision.at),
        "version": version,
    }


def deeds(after: Memory, actions: tuple[Action, ...], at: float) -> list[str]:
    """What was decided, in words that can be compared; sentences for people are no part of it."""
    found = [f"state {after.phase.value}"]
    if after.next_start is not None:
        found.append(f"next start in {round(after.next_start - at, 3):g} s")
    for action in actions:
        if isinstance(action, (Note, Alert)):
            found.append(f"{'event' if isinstance(action, Note) else 'alert'} {action.kind}")
        elif isinstance(action, (Start, Kill)):
            found.append(type(action).__name__.lower())
    return found
