"""Run the fault matrix and write docs/faults.md: ``python -m tests.faults.report``, behind ``./dev faults``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from lab.commands import why_not
from tests.faults import marks, page
from tests.faults.catalogue import ROWS

ROOT = Path(__file__).resolve().parents[2]

#: pytest's exit codes for a run that came to its end, and for an empty selection.
FINISHED = (0, 1, 5)


def main(argv: list[str] | None = None) -> int:
    """Exit code 1 when a row failed."""
    arguments = _arguments(argv)
    tests = marks.collect()
    numbers = [] if not arguments.run else arguments.only or [row.number for row in ROWS]
    wanted = sorted({test for number in numbers for test in tests.get(number, [])})
    lab = arguments.lab and any(test.lab for test in wanted)
    refused = why_not() if lab else None
    if refused:
        print(f"tests/lab left out: {refused}", file=sys.stderr)
    begun = time.monotonic()
    results = _run(wanted, lab and not refused)
    before = page.parse(page.PAGE.read_text(encoding="utf-8")) if page.PAGE.exists() else {}
    verdicts = {}
    for row in ROWS:
        mine = tests.get(row.number, [])
        known, said = before.get(row.number, ([], ""))
        kept = row.number not in numbers and mine and known == mine
        verdicts[row.number] = said if kept else page.verdict(row, mine, results)
    page.PAGE.write_text(page.render(tests, verdicts), encoding="utf-8")
    failed = [number for number, said in verdicts.items() if "failed" in said]
    proved = sum(said.startswith("passed") for said in verdicts.values())
    print(
        f"{proved} of {len(ROWS)} rows proved, failed: {' '.join(failed) or 'none'} "
        f"({time.monotonic() - begun:.0f} s); the table is docs/faults.md"
    )
    return 1 if failed else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    known = {row.number for row in ROWS}

    def rows(text: str) -> list[str]:
        numbers = [number for number in text.split(",") if number]
        if unknown := set(numbers) - known:
            raise argparse.ArgumentTypeError(f"no such row: {', '.join(sorted(unknown))}")
        return numbers

    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--only", type=rows, default=[], help="rows, as in F04,F09; the others keep their result")
    parser.add_argument("--no-run", dest="run", action="store_false", help="only bring the page up to the marks")
    parser.add_argument("--no-lab", dest="lab", action="store_false", help="leave out the tests on real hosts")
    return parser.parse_args(argv)


def _run(tests: list[marks.Test], lab: bool) -> page.Results:
    """Run these tests; those on real hosts only with ``lab``, and by whole files, each of which is one story."""
    local = [f"tests/{test.path}::{test.name}" for test in tests if not test.lab]
    remote = sorted({f"tests/{test.path}" for test in tests if test.lab}) if lab else []
    parts = [
        [*local, "-m", "not serial", "--numprocesses=auto", "--dist=worksteal"],
        [*local, "-m", "serial"],
        [*remote, "--numprocesses=3", "--dist=loadfile"],
    ]
    results: page.Results = {}
    for part in (part for part in parts if part[0].startswith("tests/")):
        for test, passed in _pytest(part).items():
            results[test] = results.get(test, True) and passed
    return {test: passed for test, passed in results.items() if test in tests}


def _pytest(arguments: list[str]) -> page.Results:
    """One run: on a terminal it shows how far it is, elsewhere only what fails.

    Ctrl-C reaches pytest too, which ends its bots and hosts; we wait for that.
    """
    shown = sys.stdout.isatty()
    interrupts: list[int] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        report = Path(folder, "report.xml")
        argv = [sys.executable, "-m", "pytest", "-q", *arguments, f"--junitxml={report}"]
        output, errors = (None, None) if shown else (subprocess.PIPE, subprocess.STDOUT)
        before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
        try:
            process = subprocess.Popen(
                argv, cwd=ROOT, text=True, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
            )
            heard, _ = process.communicate()
        finally:
            signal.signal(signal.SIGINT, before)
        if interrupts:
            sys.exit(130)
        if process.returncode not in (0, 5) and heard:
            print(heard)
        if process.returncode not in FINISHED or not report.exists():
            sys.exit(process.returncode or 1)
        return _read(report)


def _read(report: Path) -> page.Results:
    results: page.Results = {}
    for case in ElementTree.parse(report).iter("testcase"):
        path = case.get("classname", "").removeprefix("tests.").replace(".", "/") + ".py"
        test = marks.Test(path, case.get("name", "").partition("[")[0])
        bad = case.find("failure") is not None or case.find("error") is not None
        if bad or case.find("skipped") is None:
            results[test] = results.get(test, True) and not bad
    return results


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
