"""A line on the terminal while hosts are being asked. Nothing at all in a pipe, or when they answer at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from .style import is_terminal
from .text import clean, fit

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES = "|/-\\"
_DELAY = 0.4  # seconds of silence before the first sign
_STEP = 0.1
_ERASE = "\r\x1b[K"


class Progress:
    """Shows ``12/50 hosts, waiting for bot7, bot9`` on standard error until it is left."""

    def __init__(self, names: Sequence[str], columns: int) -> None:
        self._waiting = dict.fromkeys(names)
        self._total = len(names)
        self._columns = columns
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if is_terminal(sys.stderr):
            self._thread = threading.Thread(target=self._spin, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def answered(self, name: str) -> None:
        """Take the host off the list of those waited for."""
        with self._lock:
            self._waiting.pop(name, None)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """While something else is printed."""
        with self._lock:
            if self._thread:
                sys.stderr.write(_ERASE)
                sys.stderr.flush()
            yield

    def _spin(self) -> None:
        frames = _FRAMES if (sys.stderr.encoding or "").lower().startswith("utf") else _PLAIN_FRAMES
        step = 0
        if self._stop.wait(_DELAY):
            return
        while True:
            with self._lock:
                text = f"{frames[step % len(frames)]} {self._text()}"
                sys.stderr.write(_ERASE + fit(text, self._columns - 1))
                sys.stderr.flush()
            step += 1
            if self._stop.wait(_STEP):
                break
        sys.stderr.write(_ERASE)
        sys.stderr.flush()

    def _text(self) -> str:
        waiting = ", ".join(clean(name) for name in self._waiting)
        if self._total == 1:
            return f"waiting for {waiting}"
        return f"{self._total - len(self._waiting)}/{self._total} hosts, waiting for {waiting}"
