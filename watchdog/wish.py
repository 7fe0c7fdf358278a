"""The operator's word: `stop` and maintenance. It lies beside the locks, so every configuration of a bot obeys it."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from . import clock, store
from .instance import Instance

STOPPED = "stopped"
RUN = "run"


class Desired(NamedTuple):
    """What the operator wants: ``run`` or ``stopped``, who said so, when (UTC stamp) and why."""

    state: str = RUN
    by: str | None = None
    since: str | None = None
    reason: str | None = None

    @property
    def wanted(self) -> bool:
        """True when a bot should be running."""
        return self.state != STOPPED


class Maintenance(NamedTuple):
    """A time in which nothing is started or stopped by itself. ``until`` is a UTC stamp, ``remaining`` in seconds."""

    owner: str
    reason: str
    since: str
    until: str
    remaining: float


def read_desired(instance: Instance) -> Desired:
    """The recorded wish; ``run`` where nothing was ever said. A damaged record still counts as the word it contains."""
    try:
        found = store.load(instance.desired)
    except ValueError:
        return Desired(STOPPED if _mentions_stop(instance.desired) else RUN, None, None, "the record is damaged")
    if found is None:
        return Desired()
    state = STOPPED if found.get("desired") == STOPPED else RUN
    return Desired(state, _text(found, "by"), _text(found, "since"), _text(found, "reason"))


def write_desired(instance: Instance, state: str, by: str, reason: str) -> None:
    """Record the wish durably. Raises OSError."""
    record = {"desired": state, "by": by, "since": clock.stamp(), "reason": reason, "script": instance.script[-120:]}
    store.record(instance.desired, record)


def inherit(instance: Instance) -> None:
    """Take over the wish of an earlier instance of the same script path, as after a deploy that moved a symbolic link.

    The instance directory follows the script's real path; the operator's word must not get lost on the way.
    """
    if os.path.exists(instance.desired):
        return
    base = os.path.dirname(instance.directory)
    found: list[tuple[str, str]] = []
    for name in os.listdir(base):
        with contextlib.suppress(ValueError):
            record = store.load(os.path.join(base, name, "desired")) or {}
            if record.get("script") == instance.script[-120:] and isinstance(record.get("since"), str):
                found.append((record["since"], name))
    for name in [name for _, name in sorted(found)[-1:]]:
        for file in ("maintenance", "desired"):
            with contextlib.suppress(OSError, ValueError):
                taken = store.load(os.path.join(base, name, file))
                if taken:
                    store.record(os.path.join(instance.directory, file), taken)


def read_maintenance(instance: Instance) -> Maintenance | None:
    """The maintenance in force, None when there is none or its end has passed.

    Within one boot the end is measured on the boot clock, so that a changed wall clock neither ends nor prolongs it.
    """
    try:
        found = store.load(instance.maintenance)
    except ValueError:
        return None
    if not found or not isinstance(found.get("until_utc"), (int, float)):
        return None
    if found.get("boot") == clock.boot_id() and isinstance(found.get("until_boot"), (int, float)):
        remaining = found["until_boot"] - clock.now()
    else:
        remaining = found["until_utc"] - clock.utc()
    if remaining <= 0:
        return None
    return Maintenance(
        _text(found, "owner") or "unknown",
        _text(found, "reason") or "",
        _text(found, "since") or "",
        clock.stamp(clock.utc() + remaining),
        remaining,
    )


def write_maintenance(instance: Instance, owner: str, reason: str, seconds: float) -> None:
    """Begin maintenance, or replace the one in force. Raises OSError."""
    store.record(
        instance.maintenance,
        {
            "owner": owner,
            "reason": reason,
            "since": clock.stamp(),
            "until_utc": clock.utc() + seconds,
            "until_boot": clock.now() + seconds,
            "boot": clock.boot_id(),
        },
    )


def end_maintenance(instance: Instance) -> None:
    """End it. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(instance.maintenance)


def _text(found: dict[str, object], key: str) -> str | None:
    value = found.get(key)
    return value if isinstance(value, str) and value else None


def _mentions_stop(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return STOPPED.encode() in file.read(4096)
    except OSError:
        return False
