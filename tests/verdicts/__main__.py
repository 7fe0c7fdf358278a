"""``python -m tests.verdicts``: healthy and sick bots on a virtual clock, and what the guard would make of each."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.verdicts import table


def main() -> int:
    """Run the trials; 1 when a healthy bot would be restarted, or a sick one is missed that must not be."""
    parser = argparse.ArgumentParser(prog="verdicts", description=__doc__.partition(": ")[2])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400, help="how many lives at random (400)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/verdicts.md")
    words = parser.parse_args()
    began = time.monotonic()
    named, random = table.matrix(words.seed), table.at_random(words.seed, words.count)
    figures = table.figures(random)
    rows = table.markdown(table.MATRIX_HEAD, table.matrix_rows(named))
    lives = table.markdown(table.LIVES_HEAD, table.lives_rows(random)) + "\n\n" + figures.text
    bad = [trial.name for trial, outcome in named if not table.good(trial, outcome)]
    if words.json:
        found = [
            {"behaviour": trial.name, "truth": trial.truth, "verdict": table.verdict(outcome), **outcome._asdict()}
            for trial, outcome in named
        ]
        print(json.dumps({"schema": 1, "behaviours": found, "bad": bad, "lives": figures._asdict()}))
    else:
        print(f"{rows}\n\n{lives}")
        print(f"{time.monotonic() - began:.0f} s; not as it has to be: {', '.join(bad) or 'none'}", file=sys.stderr)
    if words.write:
        table.write(rows, lives)
    return 1 if bad or figures.restarted_well else 0


if __name__ == "__main__":
    sys.exit(main())
