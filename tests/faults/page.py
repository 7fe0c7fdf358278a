"""docs/faults.md: the fault matrix with the tests that prove it and how their last run ended."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.catalogue import PARTS, Row
from tests.faults.marks import Test

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"

Results = dict[Test, bool]
"""What ran, and whether it passed."""

NOT_RUN = "not run"

HEAD = """# What it survives

Each row is a situation that operators of such bots have met, and what must
happen then. `./dev faults` runs the tests that bear a row's number and writes
this page; `--no-lab` leaves out those that need real hosts, `--only F04,F09`
runs some rows and keeps what the page says about the others, `--no-run` only
names the tests that bear the numbers by now. Paths are below `tests/`. Names
below `unit/` are tests of a part, all others run real processes; those below
`lab/` run real hosts.

Around every test in `tests/faults` six oracles look on from outside:

1. never more than one bot, looked at every 10 ms;
2. what cannot be identified is neither started over nor ended, and there is an
   alert;
3. every verb ends within 50 s;
4. no traceback anywhere, and only documented exit codes;
5. each change of state is told exactly once, and not before the restart;
6. the PID file of a live bot is neither removed nor made to name another
   process.

`tests/faults/test_oracles.py` shows that each of them can fail.
"""


def verdict(row: Row, tests: list[Test], results: Results) -> str:
    """The last column of a row."""
    if not tests:
        return f"not proved: {row.unproved}"
    ran = [results[test] for test in tests if test in results]
    if not all(ran):
        return "**failed**"
    if not ran:
        return f"in the lab; {NOT_RUN}" if all(test.lab for test in tests) else NOT_RUN
    left = [test for test in tests if test not in results]
    if not left:
        return "passed"
    return f"passed; {'the lab' if all(test.lab for test in left) else f'{len(left)} of {len(tests)} tests'} {NOT_RUN}"


def render(marks: dict[str, list[Test]], verdicts: dict[str, str]) -> str:
    """The whole page."""
    lines = [HEAD]
    for part in PARTS:
        lines += [f"## {part.title}", "", "| row | what happens | proved by | result |", "|---|---|---|---|"]
        lines += [
            f"| {row.number} | {row.what} | {_names(marks.get(row.number, []))} | {verdicts[row.number]} |"
            for row in part.rows
        ]
        lines.append("")
    return "\n".join(lines)


def parse(text: str) -> dict[str, tuple[list[Test], str]]:
    """What a page says about each row: the tests and the result."""
    found = {}
    for line in text.splitlines():
        if re.match(r"\| F\d\d \|", line):
            number, _, names, result = (cell.strip() for cell in line.strip("|").split(" | "))
            tests = [
                Test(path, name)
                for path, those in re.findall(r"`([\w/]+\.py)`((?: `test_\w+`,?)+)", names)
                for name in re.findall(r"`(test_\w+)`", those)
            ]
            found[number] = (tests, result)
    return found


def _names(tests: list[Test]) -> str:
    paths = dict.fromkeys(test.path for test in tests)
    return "; ".join(f"`{path}` {', '.join(f'`{test.name}`' for test in tests if test.path == path)}" for path in paths)
