"""The last lines that a bot printed in one life, as far as its output file has them."""

from __future__ import annotations

import os
from typing import NamedTuple

from .journal import clean
from .redact import redact

LINES = 20
WIDTH = 300
"""Bounds of what goes into an event, the status and a mail."""

_READ = 16_384


class Span(NamedTuple):
    """A part of an output file, in bytes: what one life has written there."""

    path: str
    start: int
    end: int

    def lines(self, secrets: tuple[str, ...]) -> list[str]:
        """Its last lines, printable, redacted and bounded. Never raises OSError."""
        return [redact(clean(line), secrets)[:WIDTH] for line in self._raw()]

    def _raw(self) -> list[str]:
        try:
            with open(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                end = min(self.end, size)
                start = self.start if self.start <= end else 0  # it was cut off or made anew meanwhile
                begin = max(start, end - _READ)
                file.seek(begin)
                found = file.read(end - begin).decode("utf-8", "replace").splitlines()
        except OSError:
            return []
        whole = found[1:] if begin > start and len(found) > 1 else found  # the first line may have lost its head
        return [line for line in whole if line.strip()][-LINES:]


def whole(path: str) -> Span:
    """All that the file has: for a life whose beginning nobody wrote down."""
    return Span(path, 0, size(path))


def size(path: str) -> int:
    """Bytes in the file now, 0 when it cannot be told."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
