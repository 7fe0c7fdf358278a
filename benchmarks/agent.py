"""What the agent itself takes, beside the budgets of its design: tick, memory, idle processor time, heir.

    ./dev bench agent --write

Deployed by its role on a lab host of its own. Needs root, as every lab does.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report, tables, trials, usage
from benchmarks.figures import NOTHING, Summary, number, summary
from benchmarks.run import Run
from benchmarks.stand import HOME, HOST, PYTHON, Stand, kill, refusals, wait
from benchmarks.supervisor import CALM, PATIENCE
from benchmarks.watchdog import Watchdog
from lab.api import session
from lab.errors import LabError
from lab.image import BOT_USER
from tests.lab.chain.processes import AGENT, DOOR, heirs

_PROBE = Path(__file__).with_name("probe.py")
_LIB = str(Path(AGENT).parent.parent / "lib")
#: Seconds of the idle part, ticks, kills of the guard.
FULL, QUICK = (60.0, 40, 20), (10.0, 5, 3)
OTHER_PYTHONS = 4


def measure(run: Run, ours: Watchdog, quick: bool) -> dict[str, Any]:
    """All figures: milliseconds, MB of guard and heir together, percent of one core."""
    stand, (idle, ticks, kills) = run.stand, QUICK if quick else FULL
    run.progress.say("ticks")
    found: dict[str, Any] = _probe(stand, "ticks", str(ticks), DOOR)
    trials.idle(run, idle)
    result = run.result(ours)
    if result.cpu_ms is None:
        raise LabError("; ".join(result.trouble))
    found |= {"cpu_percent": result.cpu_ms / 600, "pss_bot": result.pss_mb}
    run.progress.say("memory")
    found["pss_others"] = _beside_others(stand, ours)
    found["heir"] = [_succession(run, number) for number in range(1, kills + 1)]
    run.progress.say("memory without a bot")
    stand.run(DOOR, "stop", user=BOT_USER)
    _wait_for_heir(stand)
    found["pss_alone"] = usage.memory_mb(ours.processes(stand))
    return found


def table(found: dict[str, Any]) -> tables.Table:
    """Each figure beside its budget in the design."""
    tick, bare, heir = (summary(found[key]) for key in ("tick", "python", "heir"))
    rows = [
        ("tick with a live guard, ms", tick, 25.0),
        ("bare `python3 -c pass`, ms", bare, None),
        ("guard killed → heir answers, ms", heir, 50.0),
        ("guard + heir, PSS without any bot, MB", found["pss_alone"], 10.0),
        ("guard + heir, PSS beside the bot, MB", found["pss_bot"], 10.0),
        (f"guard + heir, PSS beside {OTHER_PYTHONS + 1} bots, MB", found["pss_others"], 10.0),
        ("guard + heir, CPU while idle, % of a core", found["cpu_percent"], 0.05),
    ]
    return tables.Table("The agent and its budgets", ("", "median", "worst", "budget"), [_row(*row) for row in rows])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="./dev bench agent", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few of each, and a short idle part")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args(argv)
    if args.write and args.quick:
        parser.error("--write takes a whole run, since that is what the page describes: no --quick")
    with refusals():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    facts, began = report.machine(), time.monotonic()
    with session(1) as lab:
        ours = Watchdog()
        run = Run(Stand(lab), [ours])
        try:
            run.progress.say("install")
            ours.install(run.stand)
            ours.afresh(run.stand)
            _wait_for_heir(run.stand)
            found = measure(run, ours, args.quick)
        finally:
            run.progress.end()
    shown = table(found)
    if args.json:
        print(json.dumps({"schema": 1, **facts, "took_s": round(time.monotonic() - began, 1), **found}, indent=2))
    else:
        print(tables.plain(shown))
    if args.write:
        tables.publish("agent", f"{textwrap.fill(report.said(facts) + '.', tables.WIDTH)}\n\n{tables.markdown(shown)}")
    return 0


def _row(name: str, found: Any, budget: float | None) -> list[str]:
    """Of a summary, or of a single figure."""
    middle, worst = (found.median, found.worst) if isinstance(found, Summary) else (found, None)
    digits = 3 if budget is not None and budget < 1 else 1
    limit = NOTHING if budget is None else f"{budget:g}"
    return [name, number(middle, digits), number(worst), limit]


def _probe(stand: Stand, *words: str) -> Any:
    """Run the probe in the host, as the bot's user; what it prints."""
    return json.loads(stand.run(PYTHON, "-", *words, user=BOT_USER, text=_PROBE.read_text(encoding="utf-8")))


def _beside_others(stand: Stand, ours: Watchdog) -> float:
    """Memory while more bots share the pages of the Python that all of them run."""
    folders = [f"{HOME}/other-{number}" for number in range(OTHER_PYTHONS)]
    for folder in folders:
        stand.install_bot(folder)
        stand.bot_by_hand(folder)
    try:
        return usage.memory_mb(ours.processes(stand))
    finally:
        kill([pid for folder in folders for pid in stand.bots_of(folder)])


def _succession(run: Run, number: int) -> float:
    """One kill of the guard; milliseconds until the heir answers."""
    run.progress.say(f"killed guard {number}")
    _wait_for_heir(run.stand)
    return float(_probe(run.stand, "heir", _LIB, f"{HOME}/dcaTrader/main_app.py"))


def _wait_for_heir(stand: Stand) -> None:
    if not wait(lambda: bool(heirs(stand.lab, HOST)), PATIENCE):
        raise LabError(f"the guard has no heir after {PATIENCE:g} s")
    time.sleep(CALM)


if __name__ == "__main__":
    sys.exit(main())
