"""How long is nobody there after kill -9, and what does it cost? The watchdog beside its peers, on one lab host.

    ./dev bench recovery --kills 50 --write

Every supervisor keeps a bot of its own, the same one, under the same Python. Needs root, as every lab does.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import peers_image, report, rounds, tables, trials
from benchmarks.peers import floor, peers
from benchmarks.run import Run
from benchmarks.stand import PYTHON, Stand, refusals
from benchmarks.supervisor import Supervisor
from benchmarks.watchdog import Watchdog
from lab.api import session
from watchdog import __version__

#: Seconds until a hung bot has to be replaced: our guard looks every 15 s, and restarts what it sees stopped for 60 s.
HUNG = 90.0
#: Seconds of the idle part, the crash loop, the hung bot, the second bot; and the kills of the slow one.
FULL, QUICK = (60.0, 60.0, HUNG, 40.0, 3), (10.0, 10.0, HUNG, 35.0, 0)


def measure(run: Run, kills: int, quick: bool) -> None:
    """All parts, one after the other."""
    idle, crash, hung, second, few = QUICK if quick else FULL
    rows = run.part("start")
    for one in [one for one in run.present() if one.slow]:
        with run.allowed_to_fail(one):
            one.afresh(run.stand)
    run.leave_out_failed()
    trials.idle(run, idle)
    for ours in [one for one in rows if isinstance(one, Watchdog)]:
        with run.allowed_to_fail(ours):
            run.result(ours).tick_ms = ours.tick_s(run.stand) * 1000
    waiting = [rounds.Background(run, one, few) for one in run.present() if one.slow]

    def background() -> None:
        for one in waiting:
            one.step()

    run.background = background
    rounds.interleaved(run, rows, kills)
    trials.hung(run, hung)
    trials.duplicate(run, second)
    trials.adopted(run)
    trials.killed(run)
    trials.crash_loop(run, crash)
    run.progress.say("the last kills of the slow one")
    while not all(one.done() for one in waiting):
        run.sleep(1)


def install(run: Run, rows: Sequence[Supervisor], missing: dict[str, str]) -> None:
    """Put each on the host; who cannot be had is left out."""
    for one in rows:
        lacking = [f"no {name}: {missing[name]}" for name in one.packages if name in missing]
        if lacking:
            run.leave_out(one, lacking[0])
    run.each(run.present(), lambda one: one.install(run.stand), "install")
    run.leave_out_failed()


def versions(stand: Stand, packages: dict[str, str]) -> dict[str, str]:
    """Of everything that takes part."""
    systemd = stand.run("systemctl", "--version").split()[1]
    python = stand.run(PYTHON, "--version").split()[1]
    return {"watchdog": __version__, "python": python, "systemd": systemd, **packages}


def document(run: Run, facts: dict[str, Any], named: dict[str, str], kills: int, took: float) -> dict[str, Any]:
    """Everything, for machines."""
    rows = [one.document() for one in run.results()]
    return {"schema": 1, **facts, "versions": named, "kills": kills, "took_s": round(took, 1), "rows": rows}


def page(found: dict[str, Any], run: Run, crash_s: float) -> str:
    """What goes into the docs."""
    named = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    about = f"{report.said(found)}. {found['kills']} kills each. {named}."
    parts = [
        textwrap.fill(about, tables.WIDTH),
        *(tables.markdown(one) for one in report.tables(run.results(), crash_s)),
    ]
    parts += [textwrap.fill(f"Not as planned: {line}", tables.WIDTH) for line in report.troubles(run.results())]
    return "\n\n".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="./dev bench recovery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="of each supervisor's bot (50)")
    parser.add_argument("--quick", action="store_true", help="short windows, and nothing that waits for minutes")
    parser.add_argument("--only", help="keys of supervisors, separated by commas; the floor and ours come along")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    args = parser.parse_args(argv)
    if args.kills < 1:
        parser.error("--kills takes a number above 0")
    if args.write and (args.quick or args.only):
        parser.error("--write takes a whole run, since that is what the page describes: no --quick, no --only")
    with refusals():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    facts, began = report.machine(), time.monotonic()
    known = peers_image.ensure(lambda text: print(f"bench: {text}", file=sys.stderr, flush=True))
    wanted = None if args.only is None else args.only.split(",")
    rows = [Watchdog(), floor(), *(one for one in peers() if wanted is None or one.key in wanted)]
    with session(1, peers_image.SUITE, base=known.folder) as lab:
        run = Run(Stand(lab), rows)
        try:
            install(run, rows, known.missing)
            named = versions(run.stand, known.versions)
            measure(run, args.kills, args.quick)
        finally:
            run.progress.end()
    crash_s = (QUICK if args.quick else FULL)[1]
    found = document(run, facts, named, args.kills, time.monotonic() - began)
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n\n".join(tables.plain(one) for one in report.tables(run.results(), crash_s)))
        for line in report.troubles(run.results()):
            print(f"\n{line}", file=sys.stderr)
    if args.write:
        tables.publish("recovery", page(found, run, crash_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
