"""The rows of the table, in order, and how each is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.process.world import AGENT, REPOSITORY
from tests.torture import pool
from tests.torture.outcome import Outcome, summed

Tell = Callable[[str, int, int], None]

#: Rows that hurt point by point.
POINT_ROWS = (
    "lines: start by cron", "lines: restart", "lines: stop by hand", "lines: restart by hand", "lines: check",
    "calls: start", "calls: restart", "failing: start", "failing: restart", "spawn window", "heir", "stress",
)  # fmt: skip

#: Rows that measure or load the machine: they have one worker for each CPU.
BUSY_ROWS = ("spawn window", "heir", "stress")

#: Rows whose points wait most of their time, for the agent to try again what has failed.
PATIENT_ROWS = ("failing: start", "failing: restart")

#: Seconds for the explorer of orders, which is a test of its own: `python -m tests.torture.interleave` takes more.
ORDERS = 20.0

#: What the mutant is hurt by, and how densely.
MUTANT_ROWS = {"lines: start by cron": 20, "lines: restart": 20, "calls: start": 8}

MUTANT = '''

def _by_pid_file(self: Claim, known: Identity | None, patient: bool) -> Finding:
    """The mutant: what the PID file says is true, and the lock is nothing."""
    if self.descriptor is None:
        self.descriptor = os.open(os.devnull, os.O_RDONLY)
    pid = identity.read_pid_file(self._config.pid_file)
    found = identity.identify(pid) if pid else None
    return Finding("bot", "named by the PID file", found) if found else Finding("vacant")


Claim.examine = _by_pid_file
'''


class Options(NamedTuple):
    """What a run is told."""

    every: int = 1
    part: int = 0
    seed: int = 1
    seconds: float = 60.0
    workers: int = 2
    point: int | None = None


def run(name: str, options: Options, tell: Tell) -> tuple[Outcome, list[pool.Answer]]:
    """Run one row: its outcome, and the answers for its points."""
    if name == "orders":
        return _orders(options), []
    if name == "mutant":
        return _mutant(options, tell)
    with pool.workers(options.workers) as team:
        return _hurt(team, name, options, 1, tell)


def names() -> list[str]:
    """All rows."""
    return [*POINT_ROWS, "mutant", "orders"]


def at_once(name: str) -> int:
    """How many workers a row keeps a machine of its own busy with."""
    return (os.cpu_count() or 2) * (1 if name in BUSY_ROWS else 6 if name in PATIENT_ROWS else 2)


def _hurt(
    team: list[pool.Worker], name: str, options: Options, every: int, tell: Tell
) -> tuple[Outcome, list[pool.Answer]]:
    listed = team[0].ask({"row": name, "options": options._asdict()})
    points = [(number, words, point) for number, (words, point) in enumerate(listed, 1)]
    if options.point is not None:
        points = [point for point in points if point[0] == options.point]
    else:
        points = points[options.part :: every * (1 if name == "stress" else options.every)]
    done = 0

    def answered(_: pool.Answer) -> None:
        nonlocal done
        done += 1
        tell(name, done, len(points))

    answers = pool.hurt(team, name, points, answered)
    return summed(name, answers), answers


def _mutant(options: Options, tell: Tell) -> tuple[Outcome, list[pool.Answer]]:
    answers: list[pool.Answer] = []
    caught = []
    with mutant() as agent, pool.workers(options.workers, agent) as team:
        for name, every in MUTANT_ROWS.items():
            outcome, more = _hurt(team, name, options._replace(point=None), every, tell)
            answers += more
            found = sum(bool(verdict["doubles"]) for _, _, verdict in more)
            caught.append(f"{name}, {found} of {outcome.points}")
    return summed("mutant", answers, caught=True)._replace(remark="; ".join(caught)), answers


@contextmanager
def mutant() -> Iterator[Path]:
    """A copy of the agent that trusts the PID file: it doubles bots, and the harness must see it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder, "watchdog")
        shutil.copytree(AGENT / "watchdog", copy, ignore=shutil.ignore_patterns("__pycache__"))
        with (copy / "claim.py").open("a") as file:
            file.write(MUTANT)
        yield Path(folder)


def _orders(options: Options) -> Outcome:
    """The explorer of interleavings, a program of its own."""
    argv = [sys.executable, "-m", "tests.torture.interleave", "--json", "--seed", str(options.seed)]
    done = subprocess.run(
        [*argv, "--seconds", str(min(options.seconds, ORDERS))],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"runs": 0, "violation": done.stderr[-2000:]}
    bad = int(bool(found["violation"]))
    remark = str(found["violation"] or f"{found['steps']} steps")
    return Outcome("orders", int(found["runs"]), bad, 0, 0, 1, 1, remark)
