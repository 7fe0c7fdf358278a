"""Crash loops on real hosts: deployed by the role, mails to a server on this machine, and a reboot at the end."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.crash_days import named
from benchmarks.figures import NOTHING
from benchmarks.tables import Table
from demo.mail import Mail
from lab.api import Lab
from lab.image import BOT_USER
from tests.lab.chain.fleet import BOT, Fleet, deployed
from tests.lab.chain.waiting import until
from watchdog.clock import human

LIVES = {"bot1": 0.0, "bot2": 3.0, "bot3": 30.0}
"""Host -> seconds after which its bot dies, every time."""

PATIENCE = 60.0
"""Seconds until a host and its guard are back after a reboot."""

_SOURCE = """\
import os, sys, time
print(f"BOOTTIME={time.clock_gettime(time.CLOCK_BOOTTIME):.6f} first line", flush=True)
if not os.path.exists("life"):
    time.sleep(1e6)
with open("life") as file:
    time.sleep(float(file.read()))
sys.exit("the exchange refuses this key")
"""
"""The bot runs in its project's folder. No deploy comes between its lives: the code of all of them is the same."""


class Record(NamedTuple):
    """What the agent remembers at one moment: ``state`` and ``next_s`` by its status, the counters by state.json."""

    state: str
    next_s: float | None
    deaths_in_a_row: int
    deaths_within_an_hour: int
    breaker: bool


class Outcome(NamedTuple):
    """One host's loop. ``starts`` until before the reboot, ``mails`` by kind from the first death to the end."""

    life: float
    seconds: float
    starts: int
    mails: Mapping[str, int]
    before: Record
    between_s: float
    after: Record


def live(lab: Lab, seconds: float, say: Callable[[str], None]) -> list[Outcome]:
    """A crash loop on every host of LIVES for so long, then a reboot of all. Raises AssertionError, LabError."""
    say("deploy")
    with deployed(lab) as fleet:
        _everywhere(lambda host: _install(fleet, host))
        before = {host: (_starts(fleet, host), len(fleet.mails_of(host))) for host in LIVES}
        _everywhere(lambda host: _break(fleet, host))
        say(f"{seconds:g} s of crash loops")
        time.sleep(seconds)
        records = {host: _record(fleet, host) for host in LIVES}
        asked = time.monotonic()
        starts = {host: _starts(fleet, host) - before[host][0] for host in LIVES}
        say("reboot")
        _everywhere(lambda host: lab.reboot(host, PATIENCE))
        for host in LIVES:
            fleet.wait_for_guard(host, timeout=PATIENCE)
        between = time.monotonic() - asked
        after = {host: _record(fleet, host) for host in LIVES}
        until(lambda: not any(_queued(fleet, host) for host in LIVES), PATIENCE, "no mail waits to be sent")
        return [
            Outcome(
                life=life,
                seconds=seconds,
                starts=starts[host],
                mails=Counter(kind(mail) for mail in fleet.mails_of(host)[before[host][1] :]),
                before=records[host],
                between_s=between,
                after=after[host],
            )
            for host, life in LIVES.items()
        ]


def kind(mail: Mail) -> str:
    """Of an alert, as the other table has it."""
    if "is still" in mail.text and "failed" in mail.subject:
        return "reminder"
    if "times within an hour" in mail.text:
        return "critical"
    return mail.subject.rpartition(": ")[2].replace("failed to restart", "did not start")


def table(found: list[Outcome]) -> Table:
    """A row for the time before and one for the time after the reboot of each host."""
    head = (
        "dies after", "seen", "starts", "mails", "state", "deaths in a row", "within an hour", "breaker", "next start",
    )  # fmt: skip
    rows = []
    for one in found:
        mails = ", ".join(f"{count} {name}" for name, count in sorted(one.mails.items())) or "none"
        rows.append([named(one.life), f"after {human(one.seconds)}", str(one.starts), mails, *_cells(one.before)])
        rows.append([named(one.life), f"{one.between_s:.0f} s on, rebooted", NOTHING, NOTHING, *_cells(one.after)])
    return Table("On real hosts", head, rows)


def _cells(record: Record) -> list[str]:
    later = NOTHING if record.next_s is None else f"in {record.next_s:.0f} s"
    counts = (str(record.deaths_in_a_row), str(record.deaths_within_an_hour))
    return [record.state, *counts, "open" if record.breaker else "closed", later]


def _everywhere(act: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(len(LIVES)) as pool:
        list(pool.map(act, LIVES))


def _install(fleet: Fleet, host: str) -> None:
    """A bot that does nothing, so far."""
    _write(fleet, host, BOT.script, _SOURCE)
    fleet.door(host, "restart")


def _break(fleet: Fleet, host: str) -> None:
    """Every life from now on is a short one, and this one is over: the first death."""
    _write(fleet, host, BOT.folder / "life", str(LIVES[host]))
    os.kill(fleet.bot(host), signal.SIGKILL)


def _write(fleet: Fleet, host: str, path: Path, text: str) -> None:
    fleet.lab.exec(host, ["sh", "-c", 'cat > "$1"', "write", str(path)], user=BOT_USER, input=text)


def _starts(fleet: Fleet, host: str) -> int:
    return len(fleet.watched(host).first_lines())


def _queued(fleet: Fleet, host: str) -> int:
    return int(fleet.status(host)["alerts"]["queued"])


def _record(fleet: Fleet, host: str) -> Record:
    status = fleet.status(host)
    memory: dict[str, Any] = json.loads(fleet.watched(host).read(Path(status["state_dir"], "state.json")))["memory"]
    return Record(
        state=status["state"],
        next_s=status["next_start_in_s"],
        deaths_in_a_row=memory["attempt"],
        deaths_within_an_hour=len(memory["failures"]),
        breaker=memory["breaker"],
    )
