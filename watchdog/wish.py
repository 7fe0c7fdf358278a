"""The operator's word: `stop` and maintenance. It lies beside the locks, so every configuration of a bot obeys it."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from . import clock, store
from .instance import Instance

LONGEST = 30 * 86400.0
"""Seconds that maintenance may last at most; `stop` has no end."""

STOPPED = "stopped"
RUN = "run"


class Desired(NamedTuple):
    """What the operator wants: ``run`` or ``stopped``, who said so, when (UTC stamp, and on the clock of which boot)
    and why.
    """

    state: str = RUN
    by: str | None = None
    since: str | None = None
    reason: str | None = None
    said: float | None = None
    boot: str | None = None

    @property
    def wanted(self) -> bool:
        """True when a bot should be running."""
        return self.state != STOPPED

    def ends(self, start: int, boot: str) -> bool:
        """True when `stop` was said while a bot ran that was started at ``start`` (ticks since that boot): it was said
        of this very bot. One that was started by hand afterwards is left alone.
        """
        if self.wanted or self.said is None or self.boot != boot:
            return False
        return (start + 1) / clock.TICKS_PER_SECOND <= self.said


class Maintenance(NamedTuple):
    """A time in which nothing is started or stopped by itself. ``until`` is a UTC stamp, ``remaining`` in seconds."""

    owner: str
    reason: str
    since: str
    until: str
    remaining: float


def read_desired(instance: Instance) -> Desired:
    """The recorded wish; ``run`` where nothing was ever said. A damaged record still counts as the word it contains.

    Raises OSError when the record is there and cannot be read: then nobody knows what the operator wants.
    """
    try:
        found = store.load(instance.desired)
    except ValueError:
        return Desired(STOPPED if _mentions_stop(instance.desired) else RUN, None, None, "the record is damaged")
    if found is None:
        return Desired()
    state = STOPPED if found.get("desired") == STOPPED else RUN
    said = found.get("said")
    moment = float(said) if isinstance(said, (int, float)) else None
    return Desired(
        state, _text(found, "by"), _text(found, "since"), _text(found, "reason"), moment, _text(found, "boot")
    )


def write_desired(instance: Instance, state: str, by: str, reason: str) -> None:
    """Record the wish durably. Raises OSError, except where a disk that takes nothing has the same word already."""
    try:
        moment = {"since": clock.stamp(), "said": clock.now(), "boot": clock.boot_id()}
        store.record(instance.desired, {"desired": state, "by": by, "reason": reason, **moment})
    except OSError:
        if not _says(instance, state):
            raise


def inherit(instance: Instance) -> None:
    """Take over the word said to an earlier instance of the same script path, as when a deploy moved a symbolic link.

    The instance directory follows the script's real path; the operator's word must not get lost on the way. Best
    effort. A blank record is left behind as well, so that a first `stop` on a full disk has a place to be written to.
    """
    if os.path.exists(instance.desired):
        return
    for old in earlier(instance)[-1:]:
        for file in ("maintenance", "desired"):
            with contextlib.suppress(OSError, ValueError):
                taken = store.load(os.path.join(old, file))
                if taken:
                    store.record(os.path.join(instance.directory, file), taken)
                    os.unlink(os.path.join(old, file))
    if not os.path.exists(instance.desired):
        with contextlib.suppress(OSError):
            store.record(instance.desired, {"desired": RUN})


def earlier(instance: Instance) -> list[str]:
    """Other instance directories of the same script path, the one in which something was said last at the end."""
    base = os.path.dirname(instance.directory)
    found: list[tuple[float, str]] = []
    try:
        names = os.listdir(base)
    except OSError:
        return []
    for name in names:
        directory = os.path.join(base, name)
        with contextlib.suppress(OSError):
            same = store.read(os.path.join(directory, os.path.basename(instance.script_record)))
            if directory != instance.directory and same == os.fsencode(instance.script):
                said = [os.path.join(directory, file) for file in ("desired", "maintenance")]
                found.append(
                    (max((os.stat(file).st_mtime for file in said if os.path.exists(file)), default=0.0), directory)
                )
    return [directory for _, directory in sorted(found)]


def read_maintenance(instance: Instance) -> Maintenance | None:
    """The maintenance in force, None when there is none or its end has passed.

    Within one boot the end is measured on the boot clock, so that a changed wall clock neither ends nor prolongs it.
    """
    try:
        found = store.load(instance.maintenance) or {}
        span = float(found.get("span", 0))
        same_boot = found.get("boot") == clock.boot_id()
        until, now = (found["until_boot"], clock.now()) if same_boot else (found["until_utc"], clock.utc())
        remaining = min(float(until) - now, span)  # a wall clock that fell back makes it no longer than it was meant
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not 0 < remaining <= LONGEST:
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
            "span": seconds,
            "until_utc": clock.utc() + seconds,
            "until_boot": clock.now() + seconds,
            "boot": clock.boot_id(),
        },
    )


def end_maintenance(instance: Instance) -> None:
    """End it. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(instance.maintenance)


def _says(instance: Instance, state: str) -> bool:
    try:
        return read_desired(instance).state == state
    except OSError:
        return False


def _text(found: dict[str, object], key: str) -> str | None:
    value = found.get(key)
    return value if isinstance(value, str) and value else None


def _mentions_stop(path: str) -> bool:
    return STOPPED.encode() in store.read(path)
