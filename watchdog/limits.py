"""How much doubt is too much: the settings by which a living bot is judged, parsed and checked once."""

from __future__ import annotations

from typing import Callable, NamedTuple

from . import quiet
from .errors import ConfigError

KINDS = ("stopped", "backlog", "heartbeat", "file", "deaf", "memory", "cpu", "descriptors")
"""Every kind of sign that a bot may be ill."""

SETTINGS = tuple(
    f"WATCHDOG_{word}"
    for word in (
        "HANG_AFTER", "HEARTBEAT", "FRESH_AFTER", "DEAF_AFTER", "DEAF_BYTES", "QUIET_HOURS", "RESTART_ON", "MAX_MEMORY",
        "MAX_CPU", "MAX_DESCRIPTORS", "LIMIT_SAMPLES", "SAMPLE_EVERY",
    )
)  # fmt: skip
"""The settings that are parsed here."""

MONTH = 30 * 86400.0

Fail = Callable[[str, str], ConfigError]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class Limits(NamedTuple):
    """Seconds, bytes, percent of one core; 0 turns a judgement off. ``heartbeat`` None: learned from the bot.

    ``descriptors`` is a share of the bot's own limit. ``of`` (4, 5) means four of the last five samples.
    """

    hang_after: float = 120.0
    heartbeat: float | None = None
    fresh_after: float = 0.0
    deaf_after: float = 0.0
    deaf_bytes: int = 200
    quiet: quiet.Hours = quiet.NONE
    restart_on: tuple[str, ...] = ("stopped", "backlog", "heartbeat")
    memory: int = 0
    cpu: float = 0.0
    descriptors: float = 0.9
    of: tuple[int, int] = (4, 5)
    sample_every: float = 60.0

    @property
    def look_every(self) -> float:
        """Seconds between two looks at the bot: often enough for the shortest of the limits, fifteen at most."""
        shortest = min((span for span in (self.hang_after, self.heartbeat, self.fresh_after) if span), default=120.0)
        return min(15.0, max(0.1, shortest / 8))

    @property
    def promise(self) -> float:
        """Seconds between two heartbeats that the bot is told of (WATCHDOG_USEC, sd_watchdog_enabled(3)); 0: none."""
        return self.heartbeat or self.hang_after / 2


def parse(values: dict[str, str], fail: Fail) -> Limits:
    """Check every limit. ``fail(key, what)`` makes the error, which is raised."""

    def number(key: str, least: float, most: float, off: bool = True) -> float:
        try:
            found = float(values[key])
        except ValueError:
            found = float("nan")
        if not (least <= found <= most or (off and found == 0)):
            none = ", or 0 for none" if off and least > 0 else ""
            raise fail(key, f"is not a number of seconds from {least:g} to {most:g}{none}")
        return found

    after = number("WATCHDOG_FRESH_AFTER", 1, MONTH)
    if after and not values["WATCHDOG_FRESH_FILE"]:
        raise fail("WATCHDOG_FRESH_AFTER", "needs WATCHDOG_FRESH_FILE, the file that the bot keeps changing")
    return Limits(
        hang_after=number("WATCHDOG_HANG_AFTER", 1, 86400),
        heartbeat=number("WATCHDOG_HEARTBEAT", 0.5, 86400, off=False) if values["WATCHDOG_HEARTBEAT"] else None,
        fresh_after=after,
        deaf_after=number("WATCHDOG_DEAF_AFTER", 1, MONTH),
        deaf_bytes=_whole(values, "WATCHDOG_DEAF_BYTES", fail),
        quiet=_hours(values, fail),
        restart_on=_kinds(values, fail),
        memory=_bytes(values, fail),
        cpu=_percent(values, "WATCHDOG_MAX_CPU", 100_000, fail),
        descriptors=_percent(values, "WATCHDOG_MAX_DESCRIPTORS", 100, fail) / 100,
        of=_share(values, fail),
        sample_every=number("WATCHDOG_SAMPLE_EVERY", 0.1, 3600, off=False),
    )


def _whole(values: dict[str, str], key: str, fail: Fail) -> int:
    if not values[key].isdecimal() or not values[key].isascii() or len(values[key]) > 12:
        raise fail(key, "is not a whole number of bytes")
    return int(values[key])


def _hours(values: dict[str, str], fail: Fail) -> quiet.Hours:
    try:
        return quiet.parse(values["WATCHDOG_QUIET_HOURS"])
    except ValueError as error:
        raise fail("WATCHDOG_QUIET_HOURS", str(error)) from None


def _kinds(values: dict[str, str], fail: Fail) -> tuple[str, ...]:
    found = [word.strip() for word in values["WATCHDOG_RESTART_ON"].split(",")]
    if found == ["none"]:
        return ()
    for word in found:
        if word not in KINDS:
            raise fail("WATCHDOG_RESTART_ON", f"knows {', '.join(KINDS)}, or none alone; not {word!r}")
    return tuple(kind for kind in KINDS if kind in found)


def _bytes(values: dict[str, str], fail: Fail) -> int:
    text = values["WATCHDOG_MAX_MEMORY"].upper().removesuffix("B")
    if not text:
        return 0
    amount, unit = (text[:-1], text[-1]) if text[-1] in _UNITS else (text, "")
    if not amount.isdecimal() or not amount.isascii() or len(amount) > 12:
        raise fail("WATCHDOG_MAX_MEMORY", "is not a number of bytes such as 500M or 2G")
    return int(amount) * _UNITS[unit]


def _percent(values: dict[str, str], key: str, most: float, fail: Fail) -> float:
    text = values[key].removesuffix("%").strip()
    try:
        found = float(text) if text else 0.0
    except ValueError:
        found = -1.0
    if not 0 <= found <= most:
        raise fail(key, f"is not a percentage from 0 to {most:g}")
    return found


def _share(values: dict[str, str], fail: Fail) -> tuple[int, int]:
    enough, _, samples = values["WATCHDOG_LIMIT_SAMPLES"].partition("/")
    if enough.isdecimal() and samples.isdecimal() and 1 <= int(enough) <= int(samples) <= 60:
        return int(enough), int(samples)
    raise fail("WATCHDOG_LIMIT_SAMPLES", "is not two numbers such as 4/5, 60 at most")
