"""SIGKILL at the n-th line of the agent's own code that a process comes to for the first time (sys.settrace)."""

from __future__ import annotations

import inspect
import mmap
import os
import signal
import sys
import types
from pathlib import Path

import watchdog
from tests.torture.ground import Ground

PACKAGE = os.path.dirname(os.path.realpath(watchdog.__file__)) + os.sep

#: Modules that only reckon. A kill in one of them leaves the world as the next line outside of them finds it.
PURE = frozenset(
    f"{PACKAGE}{name}.py"
    for name in (
        "argv", "decision", "desk", "doubt", "evidence", "growth", "judgement", "limits", "model", "outcome", "policy",
        "quiet", "redact", "states", "units",
    )
)  # fmt: skip


class Lines:
    """Kill at line ``number``; with 0 nobody is killed and every line is noted: the reference.

    A page of shared memory carries what worker and victim tell each other: the first byte arms the tracer, the second
    says that somebody was killed, four more say who.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def attach(self, ground: Ground, victim: int, now: bool) -> None:
        """From now on lines count."""
        self._page[0] = 1

    def struck(self) -> int | None:
        """PID of the process that was killed."""
        return int.from_bytes(self._page[2:6], "little") if self._page[1] else None

    def close(self, ground: Ground) -> None:
        """Each note was written at once."""

    def begin(self, notes: Path, now: bool) -> None:
        """In the victim: trace the package's lines and nothing else."""
        if now:
            self._page[0] = 1
        page, last, seen = self._page, self._number, set[tuple[str, int]]()

        def line(frame: types.FrameType, event: str, argument: object) -> object:
            if event == "line" and page[0]:
                place = (frame.f_code.co_filename, frame.f_lineno)
                if place not in seen:
                    seen.add(place)
                    if not last:
                        _note(notes, place)
                    elif len(seen) == last:
                        page[2:6] = os.getpid().to_bytes(4, "little")
                        page[1] = 1
                        os.kill(os.getpid(), signal.SIGKILL)
            return line

        def call(frame: types.FrameType, event: str, argument: object) -> object:
            code = frame.f_code
            in_function = code.co_flags & inspect.CO_OPTIMIZED  # not while importing
            file = code.co_filename
            return line if in_function and file.startswith(PACKAGE) and file not in PURE else None

        sys.settrace(call)


def _note(notes: Path, place: tuple[str, int]) -> None:
    descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{os.getpid()} {os.path.basename(place[0])}:{place[1]}\n".encode())
    os.close(descriptor)


def noted(notes: Path) -> list[str]:
    """The lines of the process that came to most of them, with those its forefathers had come to before the fork."""
    lines = [line.split() for line in notes.read_text().splitlines()]
    return list(dict.fromkeys(place for _, place in lines))
