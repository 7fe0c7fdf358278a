"""The bot, the guard and the heir of a lab host, as this machine's process table shows them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType

from lab.api import Lab
from lab.inventory import APP_DIR
from tests.lab.chain.waiting import until

SCRIPT = f"{APP_DIR}/src/main_app.py"
AGENT = "/opt/dca-watchdog/dcaTrader/current/bin/watchdog"
DOOR = "/opt/dca-watchdog/bin/dcaTrader"


def bots(lab: Lab, host: str, script: str = SCRIPT) -> list[int]:
    """Live processes of that host that run the bot's script, by this machine's PIDs.

    A Python that merely has the script's path among its arguments, as the role's look at the host does, is none.
    """
    return [pid for pid, words in lab.pids(host).items() if "python" in Path(words[0]).name and words[1:2] == [script]]


def guards(lab: Lab, host: str) -> list[int]:
    """Guards of that host; for some milliseconds a cron tick looks like one, too."""
    return [pid for pid, words in lab.pids(host).items() if AGENT in words and "guard" in words]


def heirs(lab: Lab, host: str) -> list[int]:
    """Heirs of that host: flock(1), waiting for the guard's lock."""
    return [pid for pid, words in lab.pids(host).items() if Path(words[0]).name == "flock" and DOOR in words]


def calls(lab: Lab, host: str, verb: str) -> list[int]:
    """Processes of that host that carry out this verb of the agent, sudo(8) in front of them included."""
    return [pid for pid, words in lab.pids(host).items() if {AGENT, DOOR} & set(words) and verb in words]


def number_inside(pid: int) -> int:
    """The PID that the host itself gave to this process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])


def kill_together(lab: Lab, host: str, pids: Collection[int]) -> None:
    """SIGKILL for all of them at one instant: none sees another one die. Returns when all are gone."""
    lab.freeze(host)
    try:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    finally:
        lab.freeze(host, frozen=False)
    until(lambda: not set(pids) & set(lab.pids(host)), 15, f"{host}: {pids} are dead")


class Headcount:
    """Counts the live bots of some hosts about every 10 ms, for the length of a `with` block (oracle I1)."""

    def __init__(self, lab: Lab, hosts: Iterable[str]) -> None:
        self._lab, self._hosts = lab, tuple(hosts)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, name="headcount", daemon=True)
        #: How often each number of bots was seen, per host.
        self.seen: dict[str, Counter[int]] = {host: Counter() for host in self._hosts}

    def __enter__(self) -> Headcount:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def never_two(self) -> bool:
        """Whether no look found more than one bot on a host, and every host was looked at."""
        return all(counts and max(counts) <= 1 for counts in self.seen.values())

    def _count(self) -> None:
        while not self._over.wait(0.01):
            for host in self._hosts:
                with contextlib.suppress(OSError):  # its processes come and go
                    self.seen[host][len(bots(self._lab, host))] += 1


def now() -> float:
    """Seconds of the clock that the bot's BOOTTIME stamps are in; hosts share it with this machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
