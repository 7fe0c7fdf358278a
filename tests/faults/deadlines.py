"""Oracle I3: every verb ends within its deadline, also one that nobody waits for."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from typing import Any

LIMIT = 50.0
"""Seconds that a verb may take; cron calls again after 60."""

ENDLESS = ({"run"}, {"guard", "--foreground"}, {"logs", "--follow"}, {"logs", "-f"})
"""Verbs that last as long as they are wanted."""


class Deadlines(threading.Thread):
    """Notes how long the verbs took that a test began; those over the limit are in `broken`."""

    def __init__(self) -> None:
        super().__init__(name="deadlines", daemon=True)
        self.broken: list[str] = []
        self._open: dict[int, tuple[str, float]] = {}
        self._wake, self._bell = os.pipe()
        self._over = False

    def watch(self, process: subprocess.Popen[Any], words: tuple[str, ...]) -> None:
        """From now on until its end."""
        if any(endless <= set(words) for endless in ENDLESS):
            return
        try:
            self._open[os.pidfd_open(process.pid)] = (" ".join(words) or "check", time.monotonic())
        except OSError:  # over already
            return
        os.write(self._bell, b"x")

    def judge(self, words: str, seconds: float) -> None:
        """A verb took so long."""
        if seconds > LIMIT:
            self.broken.append(f"`{words}` took {seconds:.1f} s")

    def run(self) -> None:
        """Wait for ends until `stop`."""
        while not self._over:
            poll = select.poll()
            for descriptor in (self._wake, *list(self._open)):
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll():
                if descriptor == self._wake:
                    os.read(self._wake, 4096)
                else:
                    words, begun = self._open.pop(descriptor)
                    os.close(descriptor)
                    self.judge(words, time.monotonic() - begun)

    def stop(self) -> None:
        """Judge those that still run and end the thread."""
        if self.is_alive():
            self._over = True
            os.write(self._bell, b"x")
            self.join()
            for descriptor, (words, begun) in self._open.items():
                self.judge(words, time.monotonic() - begun)
                os.close(descriptor)
            for descriptor in (self._wake, self._bell):
                os.close(descriptor)
