"""Text for a terminal: what came from a host is made harmless, durations and sizes are made short."""

from __future__ import annotations

import itertools
import re
import unicodedata

_ESCAPE_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]P^_X][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, PM, APC, SOS: titles, clipboard
    r"|\x1b[ -/]*[0-~]"
)
# Cc, Cs and the invisible Cf characters: bidirectional overrides can make a line read backwards.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean(text: object) -> str:
    """One line of remote text without escape sequences, control and invisible characters; tabs become spaces."""
    line = _ESCAPE_SEQUENCES.sub("", str(text).expandtabs(4))
    if line.isascii() and line.isprintable():
        return line
    kept = (" " if char in "\r\n" or unicodedata.category(char) == "Zs" else char for char in line)
    return "".join(char for char in kept if unicodedata.category(char) not in _HIDDEN_CATEGORIES).rstrip()


def width(text: str) -> int:
    """Columns that ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """``text`` cut to ``columns``, the last of them a "…" where something is missing."""
    if width(text) <= columns:
        return text
    kept: list[str] = []
    room = columns - 1
    for char in text:
        room -= _char_width(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def pad(text: str, columns: int) -> str:
    """``text`` with blanks up to ``columns``."""
    return text + " " * (columns - width(text))


def duration(seconds: float) -> str:
    """Two units at most: ``45s``, ``12m 3s``, ``4h 12m``, ``3d 4h``."""
    left = max(0, int(seconds))
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    for (name, size), (next_name, next_size) in itertools.pairwise(units):
        if left >= size:
            rest = left % size // next_size
            return f"{left // size}{name} {rest}{next_name}" if rest else f"{left // size}{name}"
    return f"{left}s"


def size(count: float) -> str:
    """Bytes as ``512B``, ``12.3M``, ``1.2G``."""
    if count < 1024:
        return f"{int(count)}B"
    for unit in "KMGT":
        count /= 1024
        if count < 1000 or unit == "T":
            return f"{count:.1f}{unit}" if count < 100 else f"{count:.0f}{unit}"
    raise AssertionError("unreachable")
