"""How long is nobody there after kill -9? The watchdog beside a shell loop and plain systemd units, on one lab host.

    python -m benchmarks.revive --kills 20

The clock starts right before the signal is sent and stops where the new process itself prints its first line. All
supervisors start the same stand-in bot with the same Python. Needs root, as every lab does.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from demo.project import Project
from lab.api import Lab, session
from lab.errors import LabError
from lab.image import BOT_USER
from tests.lab.chain.fleet import BOT, Fleet, deployed
from tests.lab.chain.processes import number_inside
from tests.lab.chain.revival import HEADING, PATIENCE, Revival, Watched, row
from tests.lab.chain.waiting import until

#: The other supervisors: what they are called, their unit's settings, and whether a shell loop does the restarting.
_UNLIMITED = "StartLimitIntervalSec=0"
PEERS = (
    ("shell loop", "loop", ("Restart=no",), True),
    ("systemd, RestartSec=0", "unit-at-once", ("Restart=always", "RestartSec=0", _UNLIMITED), False),
    ("systemd, RestartSec by default", "unit-default", ("Restart=always", _UNLIMITED), False),
)


def watchdog(fleet: Fleet, host: str, kills: int) -> list[Revival]:
    """Kill the deployed bot that often. After each kill the delays begin anew, as they do after ten healthy minutes."""
    watched, mails = Watched(fleet.lab, host, BOT), len(fleet.mails_of(host))
    revivals = []
    for number in range(1, kills + 1):
        revivals.append(watched.revive())
        fleet.wait_for_mails(host, mails + number)  # until then the start is not verified
        fleet.door(host, "start")
    return revivals


def peer(lab: Lab, host: str, name: str, properties: Sequence[str], loop: bool, kills: int) -> list[Revival]:
    """Kill the bot of another supervisor that often."""
    with _unit(lab, host, name, properties, loop) as watched:
        revivals = []
        for _ in range(kills):
            _wait_until_at_work(watched)
            revivals.append(watched.revive())
        return revivals


def _wait_until_at_work(watched: Watched) -> None:
    said = f"PID {number_inside(watched.bot())} buys"
    until(lambda: said in watched.read(watched.project.log), PATIENCE, said)


@contextlib.contextmanager
def _unit(lab: Lab, host: str, name: str, properties: Sequence[str], loop: bool) -> Iterator[Watched]:
    """A copy of the bot's project, started by a transient unit of the host's systemd."""
    project = Project(Path(f"/home/{BOT_USER}/{name}"))
    prepare = 'mkdir -p "$1/logs" && cp -r "$2" "$1"'
    lab.exec(host, ["sh", "-c", prepare, "prepare", str(project.folder), str(BOT.script.parent)], user=BOT_USER)
    start = ["/usr/bin/python3", str(project.script)]
    command = ["sh", "-c", f"while :; do {' '.join(start)}; done"] if loop else start
    output = f"append:{project.output}"
    settings = [f"StandardOutput={output}", f"StandardError={output}", f"User={BOT_USER}", *properties]
    options = [f"--unit={name}", "--quiet", "--collect", f"--working-directory={project.folder}"]
    options += ["--setenv=PYTHONUNBUFFERED=1", *(f"--property={text}" for text in settings)]
    lab.exec(host, ["systemd-run", *options, *command])
    watched = Watched(lab, host, project)
    try:
        until(watched.first_lines, PATIENCE, f"{name} has started its bot")
        yield watched
    finally:
        lab.exec(host, ["systemctl", "stop", name])


def measure(fleet: Fleet, kills: int, say: Callable[[str], None]) -> None:
    """Measure all supervisors one after the other and say a row for each."""
    host = fleet.hosts[0]
    say(HEADING)
    say(row("watchdog", watchdog(fleet, host, kills)))
    fleet.door(host, "stop")
    for shown, name, properties, loop in PEERS:
        say(row(shown, peer(fleet.lab, host, name, properties, loop, kills)))


def main(argv: list[str] | None = None) -> int:
    """Measure on a lab host of its own and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.revive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="per supervisor (20)")
    parser.add_argument("--suite", default="bookworm", help="bullseye, bookworm (default) or trixie")
    args = parser.parse_args(argv)
    if args.kills < 1:
        parser.error("--kills takes a number above 0")
    try:
        with session(1, args.suite) as lab, deployed(lab) as fleet:
            measure(fleet, args.kills, lambda text: print(text, flush=True))
    except LabError as error:
        print(f"revive: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
