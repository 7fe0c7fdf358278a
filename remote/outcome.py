"""One line per host for the verbs that act: what was done, and the proof of it."""

from __future__ import annotations

import math
from typing import Any

from .report import Report
from .style import Style
from .text import clean, pad, width

_WIDEST_WORD = 11  # "unreachable"


def outcome_line(item: Report, host_width: int, style: Style) -> str:
    """``bot  restarted    old PID 123 → new PID 456  verified after 3.0 s``."""
    word, colour = _word(item)
    said = clean(item.error) if item.error else _proof(item.document)
    name = pad(clean(item.host), host_width)
    return f"{name}  {style.paint(pad(word, _WIDEST_WORD), colour)}  {said}".rstrip()


def host_width(names: list[str]) -> int:
    """The column width that fits every name."""
    return max((width(clean(name)) for name in names), default=0)


def _word(item: Report) -> tuple[str, str]:
    if item.error:
        return ("ERROR" if item.error.reachable else "UNREACHABLE"), "red"
    document = item.document
    if item.exit_code != 0 or document.get("ok") is False:
        return ("refused" if document.get("action") == "refused" else "FAILED"), "red"
    action = document.get("action")
    if action in ("started", "adopted", "stopped", "restarted"):
        return str(action), "green"
    return "ok", "green"


def _proof(document: dict[str, Any]) -> str:
    """PIDs and the time of the verification where an action was taken, else the agent's own words."""
    old, new = _pid(document.get("old_pid")), _pid(document.get("pid"))
    action = document.get("action") if document.get("ok") is not False else None
    message = clean(document.get("message") or "")
    if action == "restarted" and new:
        proof = f"old PID {old} → new PID {new}" if old else f"was not running → new PID {new}"
    elif action in ("started", "adopted") and new:
        proof = f"PID {new}"
    elif action == "stopped" and old:
        return f"PID {old} is gone"
    else:
        return message
    after = document.get("verified_after_s")
    if isinstance(after, (int, float)) and not isinstance(after, bool) and math.isfinite(after):
        proof += f"  verified after {after:.1f} s"
    return proof


def _pid(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
