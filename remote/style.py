"""Colours, for terminals only. NO_COLOR (https://no-color.org) and TERM=dumb turn them off."""

from __future__ import annotations

import os
from typing import IO

_CODES = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
}

PREFIX_COLOURS = ("cyan", "magenta", "yellow", "green", "blue")


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person is looking at the stream."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


class Style:
    """Paints text for one output stream, or leaves it alone."""

    def __init__(self, stream: IO[str]) -> None:
        self.on = is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, *colours: str) -> str:
        """``text`` in the named colours, for example ``paint("down", "red", "bold")``."""
        codes = [_CODES[name] for name in colours if name]
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.on and codes else text
