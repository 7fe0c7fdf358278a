"""The status table: one row per host, as wide as the terminal, whole when nobody looks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from watchdog.states import State

from .report import Report, state_of
from .style import Style
from .text import clean, duration, fit, pad, size, width

_HEADER = ("HOST", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEM", "LAST EVENT")
_RIGHT = frozenset({2, 3, 4, 5, 6})
_GAP = "  "
_WIDEST_HOST = 24
_NARROWEST_EVENT = 12

_COLOURS = {
    State.RUNNING: "green",
    State.STARTING: "yellow",
    State.STOPPING: "yellow",
    State.SUSPECT: "yellow",
    State.BACKOFF: "yellow",
    State.STOPPED: "dim",
    State.HELD: "magenta",
}


@dataclass(frozen=True)
class Row:
    """Cells up to LAST EVENT, or a ``note`` that takes the place of everything after the state."""

    cells: tuple[str, ...]
    note: str = ""
    colour: str = ""


def rows(reports: Iterable[Report], now: datetime) -> list[Row]:
    """A row for each report. Whatever a host has sent, there is a row and no exception."""
    return [_row(item, now) for item in reports]


def _row(item: Report, now: datetime) -> Row:
    if item.error:
        word = "ERROR" if item.error.reachable else "UNREACHABLE"
        return Row((clean(item.host), word), note=clean(item.error.short), colour="red")
    document = item.document
    state = state_of(document)
    word = clean(state.value if state else document.get("state"))
    colour = _COLOURS.get(state, "red") if state else "red"
    if isinstance(document.get("maintenance"), dict):
        word, colour = f"maint:{word}", "cyan"
    cells = (
        clean(item.host),
        fit(word, 16),
        _number(document.get("pid"), "{:.0f}"),
        _number(document.get("uptime_s"), duration).replace(" ", ""),
        _number(document.get("restarts"), "{:.0f}"),
        _number(document.get("cpu_percent"), "{:.1f}%"),
        _number(document.get("memory_bytes"), size),
        last_event(document, now),
    )
    return Row(cells, colour=colour)


def _number(value: Any, form: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return "-"
    return fit(form(value) if callable(form) else form.format(value), 12)


_NEEDS_A_REASON = frozenset(
    {State.UNKNOWN, State.FAILED, State.HELD, State.BACKOFF, State.STUCK, State.SUSPECT, State.HUNG}
)


def last_event(document: dict[str, Any], now: datetime) -> str:
    """What happened last and how long ago; before it whatever explains the state: why, maintenance, a coming start."""
    parts = []
    reason, state = document.get("reason"), document.get("state")
    why = clean(reason) if isinstance(reason, str) and isinstance(state, str) and state in _NEEDS_A_REASON else ""
    if why:
        parts.append(why)
    maintenance = document.get("maintenance")
    if isinstance(maintenance, dict):
        left = _number(maintenance.get("remaining_s"), duration)
        reason = f": {clean(maintenance['reason'])}" if maintenance.get("reason") else ""
        parts.append(f"{left} left ({clean(maintenance.get('owner') or '?')}{reason})")
    next_start = _number(document.get("next_start_in_s"), duration)
    if next_start != "-":
        parts.append(f"next start in {next_start}")
    event = document.get("last_event")
    if isinstance(event, dict):
        said = clean(event.get("message") or event.get("kind") or "")
        if why and why in said:
            parts.remove(why)
        parts.append(" ".join(part for part in (_ago(event.get("time"), now), said) if part))
    return " · ".join(parts) or "-"


def _ago(stamp: Any, now: datetime) -> str:
    try:
        then = datetime.fromisoformat(str(stamp))
        seconds = (now - then.astimezone(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return ""
    return f"{duration(seconds).split()[0]} ago"


def draw(table: Sequence[Row], columns: int | None, style: Style) -> list[str]:
    """The table's lines. ``columns`` is the terminal's width, ``None`` for no limit (a pipe)."""
    widths = _widths(table, columns)
    lines = [style.paint(_line(_HEADER, widths), "bold")]
    for row in table:
        head = pad(fit(row.cells[0], widths[0]), widths[0])
        state = style.paint(pad(row.cells[1], widths[1]), row.colour)
        if row.note:
            room = columns - widths[0] - widths[1] - 2 * len(_GAP) if columns else width(row.note)
            rest = fit(row.note, max(room, _NARROWEST_EVENT))
        else:
            rest = _line(row.cells[2:], widths[2:], first=2)
        lines.append(f"{head}{_GAP}{state}{_GAP}{rest}".rstrip())
    return lines


def cut_events(table: Sequence[Row], columns: int | None) -> dict[str, str]:
    """By host: the event of every bot that is not simply running, where it does not fit the table."""
    room = _widths(table, columns)[-1]
    telling = (row for row in table if not row.note and row.cells[1] != State.RUNNING.value)
    return {row.cells[0]: row.cells[-1] for row in telling if width(row.cells[-1]) > room}


def _widths(table: Sequence[Row], columns: int | None) -> list[int]:
    full = [row.cells for row in table if not row.note]
    widths = [max(width(text) for text in column) for column in zip(_HEADER, *full, strict=True)]
    for column in (0, 1):
        widths[column] = max([widths[column], *(width(row.cells[column]) for row in table)])
    if columns:
        widths[0] = min(widths[0], _WIDEST_HOST)
        room = columns - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1)
        widths[-1] = max(room, _NARROWEST_EVENT)
    return widths


def _line(cells: Sequence[str], widths: Sequence[int], first: int = 0) -> str:
    placed = []
    for position, (cell, room) in enumerate(zip(cells, widths, strict=True), start=first):
        text = fit(cell, room)
        placed.append(" " * (room - width(text)) + text if position in _RIGHT else pad(text, room))
    return _GAP.join(placed).rstrip()


def summary(reports: Iterable[Report]) -> str:
    """One line for a fleet: ``48 running, 1 stopped, 1 unreachable``."""
    counts: dict[str, int] = {}
    for item in reports:
        if item.error:
            word = "failed to answer" if item.error.reachable else "unreachable"
        else:
            state = state_of(item.document)
            word = state.value if state else "unknown"
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items(), key=lambda pair: -pair[1]))
