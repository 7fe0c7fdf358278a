"""The bot that is being watched, and what its end tells."""

from __future__ import annotations

import os
from typing import NamedTuple

from . import clock, exits, lastwords, oom
from .identity import Identity
from .lastwords import Span


class Bot(NamedTuple):
    """``pidfd`` becomes readable when it dies; ``child`` says that we can reap it. ``output`` is the file that it
    prints to and ``printed`` how long that was before; ``memory`` counts kills for want of memory.
    """

    identity: Identity
    pidfd: int
    child: bool
    verified: bool
    output: str
    printed: int
    memory: oom.Gauge

    @property
    def uptime(self) -> float:
        """Seconds since it was started."""
        return clock.now() - self.identity.start / clock.TICKS_PER_SECOND

    def said(self) -> Span:
        """What it has printed up to now."""
        return Span(self.output, self.printed, lastwords.size(self.output))

    def end(self) -> exits.Exit:
        """How it ended, which it has; a child is reaped."""
        return exits.of(self.identity.pid, self.pidfd, self.child, self.memory)

    def weighed(self) -> Bot:
        """The same, with the kills so far counted anew: only later ones can be its own."""
        return self._replace(memory=oom.gauge(self.identity.pid))


def bot(found: Identity, pidfd: int, child: bool, verified: bool, output: str, printed: int = 0) -> Bot:
    """Begin to watch a living process."""
    return Bot(found, pidfd, child, verified, output, printed, oom.gauge(found.pid))


def output_of(pid: int, known: list[str]) -> str:
    """The file that a bot found running prints to: one of those that we would have given it, else the first."""
    try:
        named = os.readlink(f"/proc/{pid}/fd/1")
    except OSError:
        return known[0]
    return named if named in known else known[0]


def release(watched: Bot) -> None:
    """Watch it no longer."""
    os.close(watched.pidfd)
