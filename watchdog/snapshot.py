"""state.json: what the policy remembers and which process the bot was, over restarts of guard and host."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from . import clock, model, policy, store
from .identity import Identity
from .states import State

VERSION = 1


class Snapshot(NamedTuple):
    """``bot`` is the bot seen last, alive or not; ``last_exit`` is the JSON object that ``status`` shows."""

    memory: model.Memory = model.Memory()
    bot: Identity | None = None
    last_exit: dict[str, Any] | None = None


def load(path: str) -> Snapshot:
    """Read it back, deadlines moved onto this boot's clock. Raises ValueError for what cannot be used.

    UTC counts only over a reboot: the time that passed by the wall clock, never less than none.
    """
    found = store.load(path)
    if found is None:
        return Snapshot()
    if found.get("version") != VERSION:
        raise ValueError(f"{path}: version {str(found.get('version'))[:20]}, not {VERSION}")
    try:
        kept = memory(found["memory"])
        if found["boot"] != clock.boot_id():
            passed = max(0.0, clock.utc() - float(found["saved_utc"]))
            kept = policy.shifted(kept, clock.now() - float(found["saved_boot"]) - passed)
        kept = policy.sane(kept, clock.now())
        bot = None if found["bot"] is None else Identity(*found["bot"])
        if bot is not None and not _plausible(bot):
            raise TypeError("bot")
        last_exit = _exit(found["last_exit"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path}: {type(error).__name__} {str(error)[:80]}") from None
    return Snapshot(kept, bot, last_exit)


def save(path: str, snapshot: Snapshot) -> None:
    """Write it in one step. Raises OSError."""
    document = {
        "version": VERSION,
        "boot": clock.boot_id(),
        "saved_boot": clock.now(),
        "saved_utc": clock.utc(),
        "memory": snapshot.memory._asdict(),
        "bot": snapshot.bot,
        "last_exit": snapshot.last_exit,
    }
    try:
        store.replace(path, document)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        store.replace(path, document)


def _plausible(bot: Identity) -> bool:
    """PID 0, 1 and numbers that no kernel gives out name nobody whom we may ever signal (PID_MAX_LIMIT is 2^22)."""
    typed = all(type(value) is kind for value, kind in zip(bot, (int, int, str, bool)))
    return typed and 1 < bot.pid <= 1 << 22 and bot.start >= 0


def _exit(found: Any) -> dict[str, Any] | None:
    """The object as `exits.Exit.document` makes it, whatever an older or a damaged file has."""
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("time", "text")):
        return None

    def only(key: str, kind: type) -> Any:
        value = found.get(key)
        return value if type(value) is kind else None

    lines = found.get("last_lines")
    return {
        "time": found["time"],
        "pid": only("pid", int),
        "code": only("code", int),
        "signal": only("signal", int),
        "oom": only("oom", bool),
        "text": found["text"],
        "output": only("output", str),
        "last_lines": [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else [],
    }


def memory(found: dict[str, Any]) -> model.Memory:
    """What the policy remembers, from a JSON object that may lack fields. Raises ValueError or TypeError."""
    blank = model.Memory()
    values: dict[str, Any] = {}
    for field, default in blank._asdict().items():
        value = found.get(field, default)
        if field == "phase":
            value = State(value)
        elif field in ("failures", "told_at", "doubts_told_at", "hung_at"):
            value = tuple(float(at) for at in value or ())
        elif field == "doubts":
            value = tuple(str(kind) for kind in value or ())
        elif default is None:
            value = None if value is None else (int(value) if field == "hold_code" else float(value))
        elif not isinstance(value, type(default)):
            raise TypeError(field)
        values[field] = value
    return model.Memory(**values)
