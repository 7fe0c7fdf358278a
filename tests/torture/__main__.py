"""``python -m tests.torture``: hurt the agent at every line and every system call, and print what it survived."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tests.torture import suite
from tests.torture.outcome import Outcome, table, write
from tests.torture.pool import Answer

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "torture.md"


def main() -> int:
    """Run the rows; 1 when one of them fails."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", metavar="ROW", help="rows whose name contains this; may be repeated")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th point alone")
    parser.add_argument("--point", type=int, metavar="N", help="this point of the one row alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to stress (60)")
    parser.add_argument("--workers", type=int, help="processes at once (1, 2 or 6 for each CPU, as points wait)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--write", action="store_true", help="put these rows into docs/torture.md")
    words = parser.parse_args()
    chosen = _chosen(words.only or [""])
    if not chosen or (words.point is not None and len(chosen) != 1):
        parser.error(f"rows are: {', '.join(suite.names())}; a --point needs one of them")
    outcomes: list[Outcome] = []
    began = time.monotonic()
    for name in chosen:
        count = words.workers or suite.at_once(name)
        options = suite.Options(words.every, 0, words.seed, words.seconds, count, words.point)
        outcome, answers = suite.run(name, options, _progress)
        _progress("", 0, 0)
        _report(outcome, answers, verbose=words.point is not None)
        outcomes.append(outcome)
    if words.json:
        print(json.dumps([{**outcome._asdict(), "good": outcome.good} for outcome in outcomes]))
    else:
        print(table([outcome.cells for outcome in outcomes]))
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if words.write:
        write(DOCUMENT, outcomes, suite.names())
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _chosen(parts: list[str]) -> list[str]:
    """The rows that are named, or that contain what is no name."""
    names = suite.names()
    return [name for name in names if any(part == name if part in names else part in name for part in parts)]


def _progress(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{name}: {done}/{total}" if name else "\r\x1b[K", end="", file=sys.stderr, flush=True)


def _report(outcome: Outcome, answers: list[Answer], verbose: bool) -> None:
    """The points that went wrong, each with the words that repeat it."""
    if outcome.caught:
        return
    for number, name, verdict in sorted(answers, key=lambda answer: answer[0]):
        if verbose or verdict["doubles"] or verdict["lost"] or verdict["tracebacks"]:
            print(f"--only '{outcome.row}' --point {number} ({name}): {verdict['note'] or 'ok'}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("torture: interrupted", file=sys.stderr)
        sys.exit(130)
