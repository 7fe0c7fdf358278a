"""A bot that dies again and again: how often it is started, how much mail that makes, and where it ends.

    ./dev bench crash-loop --write

Whole days on a virtual clock, and five real minutes with a reboot after them on lab hosts (root, as every lab needs).
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence

from benchmarks import crash_days, crash_host, report, tables
from benchmarks.run import Progress
from benchmarks.stand import refusals
from demo.project import REPOSITORY
from lab.api import session

PAGE = REPOSITORY / "docs" / "crash-loops.md"
SECONDS = 300.0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="./dev bench crash-loop", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the real crash loops last (300)")
    parser.add_argument("--virtual", action="store_true", help="only the days on the virtual clock: no lab, no root")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/crash-loops.md")
    args = parser.parse_args(argv)
    if args.seconds <= 0:
        parser.error("--seconds takes a number above 0")
    if args.write and args.seconds < SECONDS:
        parser.error(f"--write takes a whole run, since that is what the page describes: {SECONDS:g} s at least")
    with refusals():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    facts, days = report.machine(), crash_days.outcomes()
    shown, real = [crash_days.table(days)], None
    if not args.virtual:
        real = _on_hosts(args.seconds)
        shown.append(crash_host.table(real))
    if args.json:
        found = {"virtual": _documents(days), "real": None if real is None else _documents(real)}
        print(json.dumps({"schema": 1, **facts, **found}, indent=2))
    else:
        print("\n\n".join(tables.plain(one) for one in shown))
    if args.write:
        publish("virtual", tables.markdown(shown[0]))
        if real is not None:
            machine = textwrap.fill(f"{report.said(facts)}.", tables.WIDTH)
            publish("real", f"{machine}\n\n{tables.markdown(shown[1])}")
    return 0


def publish(name: str, text: str) -> None:
    """Put `text` between the marks of that name in the page of the crash loops."""
    PAGE.write_text(tables.between_marks(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")


def _on_hosts(seconds: float) -> list[crash_host.Outcome]:
    progress = Progress()
    progress.say("lab")
    try:
        with session(list(crash_host.LIVES)) as lab:
            return crash_host.live(lab, seconds, progress.say)
    finally:
        progress.end()


def _documents(found: Sequence[crash_days.Outcome] | Sequence[crash_host.Outcome]) -> list[dict[str, object]]:
    return [
        {name: part._asdict() if isinstance(part, crash_host.Record) else part for name, part in one._asdict().items()}
        for one in found
    ]


if __name__ == "__main__":
    sys.exit(main())
