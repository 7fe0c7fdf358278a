"""One run of the benchmark: who takes part, what was found, and what went wrong with whom."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.stand import Stand
from benchmarks.supervisor import Supervisor
from lab.errors import LabError

#: Mostly they wait, for each other's processes to start and to end.
_AT_A_TIME = 6


class Progress:
    """One line that is written over, on a terminal; nothing in a pipe."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """What is being done now."""
        if self._shown:
            print(f"\r\033[K{time.monotonic() - self._began:4.0f} s  {text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@dataclass
class Result:
    """What is known about one supervisor; None is "not measured"."""

    key: str
    title: str
    seconds: list[float] = field(default_factory=list)
    pss_mb: float | None = None
    cpu_ms: float | None = None
    tick_ms: float | None = None
    crash_starts: int | None = None
    hung: str | None = None
    duplicate: str | None = None
    adopted: str | None = None
    killed: dict[str, str] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Run:
    """The stand, the supervisors on it and their results."""

    def __init__(self, stand: Stand, rows: Sequence[Supervisor]) -> None:
        self.stand = stand
        self.progress = Progress()
        self.background: Callable[[], None] = lambda: None
        self._rows = list(rows)
        self._results = {one.key: Result(one.key, one.title) for one in rows}
        self._missing: set[str] = set()
        self._failed: set[str] = set()

    def result(self, one: Supervisor) -> Result:
        """Its row."""
        return self._results[one.key]

    def results(self) -> list[Result]:
        """All rows, in order."""
        return list(self._results.values())

    def present(self, slow: bool = True) -> list[Supervisor]:
        """Who still takes part; without the slow one, if nobody is to wait for it."""
        gone = self._missing | self._failed
        return [one for one in self._rows if one.key not in gone and (slow or not one.slow)]

    def part(self, doing: str) -> list[Supervisor]:
        """Begin a part: every supervisor but the slow one gets one new bot; who failed before may try again."""
        self._failed.clear()
        self.each(self.present(slow=False), lambda one: one.afresh(self.stand), f"{doing}: all begin anew")
        self.progress.say(doing)
        return self.present(slow=False)

    def each(self, rows: Sequence[Supervisor], act: Callable[[Supervisor], None], doing: str) -> None:
        """Do it with every one of them, some at a time; a failure concerns that one alone."""

        def attempt(one: Supervisor) -> None:
            with self.allowed_to_fail(one):
                act(one)

        self.progress.say(doing)
        threads = ThreadPoolExecutor(_AT_A_TIME)
        try:
            list(threads.map(attempt, rows))
        finally:  # after Ctrl-C nobody waits for them: the host goes away, and they fail
            threads.shutdown(wait=False, cancel_futures=True)

    def leave_out(self, one: Supervisor, why: str) -> None:
        """It cannot be had here: its row says why, and the run goes on without it."""
        self._missing.add(one.key)
        self.result(one).trouble.append(why)

    def leave_out_failed(self) -> None:
        """Who has failed so far does not get another chance."""
        self._missing |= self._failed

    @contextmanager
    def allowed_to_fail(self, one: Supervisor) -> Iterator[None]:
        """A failure inside concerns this supervisor alone, until the next part begins."""
        try:
            yield
        except (LabError, OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
            self._failed.add(one.key)
            self.result(one).trouble.append(" ".join(str(error).split())[:200] or type(error).__name__)

    def sleep(self, seconds: float) -> None:
        """Wait, while what is due in the background gets done."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.background()
            time.sleep(0.2)
