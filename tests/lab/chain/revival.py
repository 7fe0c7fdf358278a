"""One kill -9 and what comes after it, by the word of the bot itself; and how many of them look in a table."""

from __future__ import annotations

import os
import re
import signal
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from demo.project import Project
from lab.api import Lab
from tests.lab.chain.processes import bots, now
from tests.lab.chain.waiting import until

PATIENCE = 30.0
"""Seconds in which a killed bot has to be back."""


class Revival(NamedTuple):
    """One kill: this machine's PIDs of the bot before and after, and the seconds from the signal to the first line."""

    old: int
    new: int
    seconds: float


class Watched(NamedTuple):
    """A stand-in bot on a lab host, under whatever supervisor."""

    lab: Lab
    host: str
    project: Project

    def bot(self) -> int:
        """Its PID on this machine. Raises AssertionError unless there is exactly one."""
        found = bots(self.lab, self.host, str(self.project.script))
        assert len(found) == 1, f"{self.host} has {len(found)} bots of {self.project.folder}"
        return found[0]

    def read(self, path: Path) -> str:
        """A file of the host, empty if it is missing."""
        try:
            return Path(f"/proc/{self.lab.hosts[self.host].init_pid()}/root{path}").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def first_lines(self) -> list[float]:
        """When each bot so far printed its first line, by its own word; seconds of CLOCK_BOOTTIME."""
        found = re.findall(r"^BOOTTIME=([\d.]+) ", self.read(self.project.output), re.MULTILINE)
        return [float(stamp) for stamp in found]

    def revive(self) -> Revival:
        """Kill the bot with -9 and wait until exactly one new one has printed its first line.

        The clock, CLOCK_BOOTTIME, is the same here and on the host.
        """
        old, before = self.bot(), len(self.first_lines())
        killed = now()
        os.kill(old, signal.SIGKILL)
        until(lambda: len(self.first_lines()) > before, PATIENCE, "a new bot prints its first line")
        stamps = self.first_lines()
        assert len(stamps) == before + 1, f"{len(stamps) - before} bots were started after one death"
        return Revival(old, self.bot(), stamps[-1] - killed)


HEADING = f"{'kill -9 → first line of the new bot':<36}{'kills':>6}{'best':>10}{'median':>10}{'worst':>10}  (ms)"


def row(name: str, revivals: Sequence[Revival]) -> str:
    """One line below the heading."""
    times = [one.seconds * 1000 for one in revivals]
    cells = (min(times), statistics.median(times), max(times))
    return f"{name:<36}{len(times):>6}" + "".join(f"{cell:>10.1f}" for cell in cells)
