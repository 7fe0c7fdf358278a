"""A point in time that must not be passed."""

from __future__ import annotations

import time


class Deadline:
    """``seconds`` from now on the monotonic clock. May be moved while somebody waits for it."""

    def __init__(self, seconds: float) -> None:
        self.move(seconds)

    def move(self, seconds: float) -> None:
        """Start again: ``seconds`` from now."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the end, 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.left() == 0.0

    def overdue(self, seconds: float) -> bool:
        """Whether the end passed more than ``seconds`` ago."""
        return time.monotonic() - self._end > seconds
