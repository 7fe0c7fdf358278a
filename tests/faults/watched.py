"""A world with all six oracles of the fault matrix around it, seen from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults import alerts
from tests.faults.deadlines import Deadlines
from tests.faults.pid_file_watch import PidFileWatch
from tests.process import oracle
from tests.process.world import TRACE, Done, World

ALLOWED_CODES = frozenset({0, 1, 2, 3, 4, 5, 75, 78, -signal.SIGALRM})
"""How a verb may end (docs/verbs.md); a shell shows the last one as 142."""


class Begun(subprocess.Popen[str]):
    """A verb that a test began; it keeps what it heard of it."""

    heard = ""

    def communicate(self, *args: Any, **options: Any) -> tuple[str, str]:
        out, err = super().communicate(*args, **options)
        self.heard += f"{out or ''}{err or ''}"
        return out, err

    def drain(self) -> None:
        """Hear what nobody has read."""
        for stream in (self.stdout, self.stderr):
            if stream and not stream.closed:
                os.set_blocking(stream.fileno(), False)
                with contextlib.suppress(BlockingIOError):
                    self.heard += os.read(stream.fileno(), 1 << 20).decode(errors="replace")


class WatchedWorld(World):
    """I1 (one bot) is the World's own sampler; I2 is `hands_off`; I3 to I6 are judged when it closes."""

    def __init__(self, folder: Path, name: str = "dcaTrader") -> None:
        super().__init__(folder, name)
        self._waived: dict[str, str] = {}
        self._begun: list[tuple[tuple[str, ...], Begun]] = []
        self._deadlines = Deadlines()
        self._pid_file_watch = PidFileWatch(self.pid_file, self.script, self.instance / "bot.lock")
        self._deadlines.start()
        self._pid_file_watch.start()

    def waive(self, **reasons: str) -> None:
        """Leave an oracle out of this test, for a reason: ``waive(I5="the disk takes no events")``."""
        self._waived.update(reasons)

    def verb(self, *words: str, **options: Any) -> Done:
        done = super().verb(*words, **options)
        self._deadlines.judge(" ".join(words), done.seconds)
        return done

    def begin(self, *words: str, cwd: Path | None = None, **more: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = Begun(
            self.command(*words), cwd=cwd or self.folder, env=self.environment(**more), stdin=pipe, stdout=pipe,
            stderr=pipe, text=True,
        )  # fmt: skip
        self._started.append(process)
        self._begun.append((words, process))
        self._deadlines.watch(process, words)
        return process

    def lose_pid_file(self) -> None:
        self._pid_file_watch.expect_removal()
        super().lose_pid_file()

    @contextlib.contextmanager
    def hands_off(self, *bystanders: int, told: str = "unknown", within: float = 15) -> Iterator[None]:
        """I2: meanwhile nothing is started, none of these processes is touched, and exactly one alert is new."""
        lives, before = len(self.births()), [oracle.stat(pid) for pid in bystanders]
        alerted = len(self._alerts())
        events = len(self.events(told))
        yield
        assert len(self.births()) == lives, f"something was started:\n{self.log}"
        after = [oracle.stat(pid) for pid in bystanders]
        for one, other in zip(before, after, strict=True):
            assert one and other and (one.pid, one.start) == (other.pid, other.start), f"{one} was ended:\n{self.log}"
            assert (one.state in "TZ") == (other.state in "TZ"), f"{one} is {other}"
        assert len(self.events(told)) == events + 1, self.log
        if self.env.get("SMTP_SERVER"):
            oracle.until(lambda: len(self._alerts()) > alerted, "an alert", within)
            assert len(self._alerts()) == alerted + 1, self._alerts()

    def close(self) -> None:
        """Judge, end everything, and say what the oracles saw."""
        broken: dict[str, list[str]] = {}
        try:
            broken["I5"] = self._told_wrongly()
            self._pid_file_watch.stop()
            self._deadlines.stop()
            broken |= {"I3": self._deadlines.broken, "I6": self._pid_file_watch.broken}
            broken["I4"] = self._tracebacks()
        finally:
            log = self.log
            super().close()
        wrong = [f"{name} broken: {one}" for name, ones in broken.items() if name not in self._waived for one in ones]
        assert not wrong, "\n".join([*wrong, log])

    def _alerts(self) -> list[alerts.Alert]:
        return alerts.collect({self.instance / "outbox", self.state_dir / "outbox"}, self.sinks)

    def _told_wrongly(self) -> list[str]:
        if not self.env.get("SMTP_SERVER") or "I5" in self._waived:
            return []
        with contextlib.suppress(AssertionError):
            oracle.until(lambda: not alerts.untold(self.events(), self._alerts()), "all is told", every=0.05)
        events, found = self.events(), self._alerts()
        return [
            *alerts.untold(events, found), *alerts.excess(events, found), *alerts.premature(found, self.births())
        ]  # fmt: skip

    def _tracebacks(self) -> list[str]:
        broken = [f"an error of the agent's own: {event}" for event in self.events() if event.get("trace")]
        broken += [f"in the log: {found[0]}" for found in TRACE.finditer(self.log)]
        for words, process in self._begun:
            process.drain()
            code = process.poll()
            if "Traceback" in process.heard:
                broken.append(f"`{' '.join(words)}` said {process.heard}")
            killed = code in (None, -signal.SIGKILL, -signal.SIGTERM)
            if "run" not in words and not killed and code not in ALLOWED_CODES:
                broken.append(f"`{' '.join(words)}` ended with {code}: {process.heard}")
        return broken
