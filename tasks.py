"""The local verbs, run as `./dev VERB` or, inside the environment, `invoke VERB`.

Remote verbs (status, restart, logs, ...) live behind `fab` only: here they would act on this machine.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from invoke import Collection, Context, Exit, task

ROOT = Path(__file__).resolve().parent

#: pytest's exit code for an empty selection.
NOTHING_COLLECTED = 5


@task(
    help={
        "only": "run these folders of tests, commas between them: unit, process, faults, ssh, demo, lab",
        "lab": "--no-lab leaves out the tests on real hosts",
        "keyword": "run the tests that match this expression (pytest -k)",
    },
    auto_shortflags=False,
)
def test(_: Context, only: str = "", keyword: str = "", lab: bool = True) -> None:
    """Run the tests; those on real hosts too, where root and the packages are there."""
    chosen = ["-k", keyword] if keyword else []
    folders = only.split(",") if only else ["."]
    local = [f"tests/{folder}" for folder in folders if folder != "lab"] + ["--ignore=tests/lab"]
    parts: list[list[str]] = []
    if folders != ["lab"]:
        workers = (os.cpu_count() or 2) + 1  # many tests wait for processes, and one works meanwhile
        parts.append([*local, *chosen, "-m", "not serial", f"--numprocesses={workers}", "--dist=worksteal"])
        parts.append([*local, *chosen, "-m", "serial"])
    refused = None
    if "lab" in folders or (lab and not only):
        refused = _no_lab()
        if refused is None:
            # In the order of their names: xdist would begin with the most tests, and the longest are among the fewest.
            parts.append(["tests/lab", *chosen, "--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder"])
    with tempfile.TemporaryDirectory(prefix="tests-") as folder:
        reports = [Path(folder, f"{number}.xml") for number in range(len(parts))]
        codes = [_pytest(part, report) for part, report in zip(parts, reports, strict=True)]
        counts = _count(reports)
    if refused:
        print(f"tests/lab left out: {refused}")
    _close(counts, codes, refused)


@task
def lint(_: Context) -> None:
    """Check style, types and the Ansible content."""
    folders = ("watchdog", "bot", "remote", "release", "lab", "demo", "benchmarks")
    python = [name for name in folders if (ROOT / name).is_dir()]
    python += [name for name in ("tasks.py", "fabfile.py") if (ROOT / name).exists()]
    commands = [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy", *python, "requirements/sync.py"],
        ["ansible-lint", "--offline", "--profile=production", "--strict"],
    ]
    failed = []
    for command in commands:
        print(f"$ {' '.join(command)}", flush=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(command[0] if command[0] != "ruff" else " ".join(command[:2]))
    if failed:
        raise Exit(f"lint failed: {', '.join(failed)}", code=1)


@task(
    help={
        "only": "rows of the matrix, as in F04,F09; the page keeps what it says about the others",
        "run": "--no-run only names the tests that bear the marks by now",
        "lab": "--no-lab leaves out the tests on real hosts",
    },
    auto_shortflags=False,
)
def faults(_: Context, only: str = "", run: bool = True, lab: bool = True) -> None:
    """Run the fault matrix, row by row, and write docs/faults.md."""
    left_out = [word for word, wanted in (("--no-run", run), ("--no-lab", lab)) if not wanted]
    _become(["-m", "tests.faults.report", *left_out, *([f"--only={only}"] if only else [])])


@task(
    help={
        "only": "rows whose name contains this, for example lines, heir, mutant",
        "every": "every N-th point alone",
        "point": "one point of one row, by its number",
        "seed": "for what is random",
        "seconds": "how long to stress (60)",
        "json": "one JSON document instead of the table",
        "write": "put these rows into docs/torture.md",
    },
    auto_shortflags=False,
)
def torture(
    _: Context, only: str = "", every: int = 1, point: int = 0, seed: int = 1, seconds: float = 60.0,
    json: bool = False, write: bool = False,
) -> None:  # fmt: skip
    """Kill the agent at every line and every system call, and count bots; what came of it is docs/torture.md."""
    words = [f"--every={every}", f"--seed={seed}", f"--seconds={seconds}"]
    words += [f"--only={only}"] if only else []
    words += [f"--point={point}"] if point else []
    words += [f"--{name}" for name, wanted in (("json", json), ("write", write)) if wanted]
    _become(["-m", "tests.torture", *words])


@task(
    help={
        "seed": "for what is random",
        "count": "how many lives at random (400)",
        "json": "one JSON document instead of the tables",
        "write": "put the tables into docs/verdicts.md",
    },
    auto_shortflags=False,
)
def verdicts(_: Context, seed: int = 1, count: int = 400, json: bool = False, write: bool = False) -> None:
    """Judge healthy and sick bots on a virtual clock: whom the guard would restart, and when; docs/verdicts.md."""
    flags = [f"--{name}" for name, wanted in (("json", json), ("write", write)) if wanted]
    _become(["-m", "tests.verdicts", f"--seed={seed}", f"--count={count}", *flags])


@task(help={"keep": "keep the demonstration's folder with its logs and mails"})
def demo(_: Context, keep: bool = False) -> None:
    """Show it all on this machine in under a minute: deploy, kill, revive, mail, stop, clean up."""
    _become(["-m", "demo.run", *(["--keep"] if keep else [])])


@task(
    positional=["what"],
    help={
        "what": "recovery (beside eight other supervisors), agent (beside its budgets) or crash-loop",
        "kills": "recovery: how often each supervisor's bot is killed (50)",
        "seconds": "crash-loop: how long the real ones last (300)",
        "virtual": "crash-loop: only the days on a virtual clock, without a lab",
        "quick": "recovery, agent: a look in some minutes: short windows, few repetitions",
        "write": "put the tables into docs/benchmarks.md, or docs/crash-loops.md",
        "json": "one JSON document on stdout",
    },
    auto_shortflags=False,
)
def bench(
    _: Context, what: str, kills: int = 0, seconds: float = 0.0, virtual: bool = False, quick: bool = False,
    write: bool = False, json: bool = False,
) -> None:  # fmt: skip
    """Measure on a lab host (root on Linux): bench recovery, bench agent or bench crash-loop."""
    if what not in ("recovery", "agent", "crash-loop"):
        raise Exit(f"no benchmark {what!r}: recovery, agent or crash-loop", code=2)
    options = [f"--{name}={count}" for name, count in (("kills", kills), ("seconds", seconds)) if count]
    flags = (("virtual", virtual), ("quick", quick), ("write", write), ("json", json))
    options += [f"--{name}" for name, wanted in flags if wanted]
    _become(["-m", f"benchmarks.{what.replace('-', '_')}", *options])


@task(help={"arch": "the target's `uname -m`"})
def release(_: Context, arch: str = "x86_64") -> None:
    """Build the archive that carries the agent to a target; prints its path."""
    _become(["-m", "release", "build", "--arch", arch])


@task(
    name="up", help={"hosts": "how many", "suite": "bullseye, bookworm or trixie", "name": "for several labs at once"}
)
def lab_up(_: Context, hosts: int = 3, suite: str = "bookworm", name: str = "lab") -> None:
    """Start real test hosts (root on Linux) and write their inventory."""
    from lab import cli

    with _lab_errors():
        cli.up(hosts, suite, name)


@task(name="down", help={"name": "which lab", "all": "every lab that lab.up started"})
def lab_down(_: Context, name: str = "lab", all: bool = False) -> None:  # noqa: A002 - becomes --all
    """End the test hosts and whatever a killed run left behind."""
    from lab import cli

    with _lab_errors():
        cli.down(name, all)


@task(name="status")
def lab_status(_: Context) -> None:
    """List the test hosts that are up."""
    from lab import cli

    with _lab_errors():
        cli.status()


@task(name="ssh", help={"host": "its name in the lab", "name": "which lab", "user": "ops (may sudo) or trader"})
def lab_ssh(_: Context, host: str = "bot1", name: str = "lab", user: str = "ops") -> None:
    """Log in to a test host, or run a command there: lab.ssh --host bot1 -- uptime."""
    from lab import cli

    command = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    with _lab_errors():
        cli.ssh(host, command, name, user)


@task(name="images", iterable=["suite"], help={"suite": "may be repeated; all of them by default"})
def lab_images(_: Context, suite: list[str]) -> None:
    """Make the base images of the test hosts now (about a minute each, once)."""
    from lab import cli, image

    with _lab_errors():
        cli.make_images(suite or image.SUITES)


def _become(arguments: list[str]) -> None:
    """Replace this process by Python with these arguments, so that Ctrl-C and the exit code are the program's own."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, *arguments])


def _no_lab() -> str | None:
    from lab.commands import why_not

    return why_not()


@contextlib.contextmanager
def _lab_errors() -> Iterator[None]:
    """One line and the exit code instead of a traceback."""
    from lab.errors import LabError

    try:
        yield
    except LabError as error:
        raise Exit(f"lab: {error}", code=error.exit_code) from None


def _pytest(arguments: list[str], report: Path) -> int:
    command = [sys.executable, "-m", "pytest", *arguments, f"--junitxml={report}"]
    print(f"$ pytest {shlex.join(arguments)}", flush=True)
    interrupts: list[int] = []
    # Ctrl-C reaches pytest too, which ends its hosts and bots; we wait for that. (exec resets this in the child.)
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        code = subprocess.Popen(command, cwd=ROOT).wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise Exit("interrupted", code=130)
    return code


def _count(reports: list[Path]) -> dict[str, int]:
    """Passed, failed and skipped tests of all parts together."""
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for report in reports:
        if not report.exists():
            continue
        for suite in ElementTree.parse(report).getroot():  # noqa: S314 - our own file
            number = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
            bad = number["failures"] + number["errors"]
            totals["failed"] += bad
            totals["skipped"] += number["skipped"]
            totals["passed"] += number["tests"] - bad - number["skipped"]
    return totals


def _close(counts: dict[str, int], codes: list[int], refused: str | None) -> None:
    """The closing line, and failure where something failed, nothing ran, or CI left something out."""
    broken = [code for code in codes if code not in (0, NOTHING_COLLECTED)]
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
    if broken:
        raise Exit(code=1)
    if not counts["passed"]:
        raise Exit("no test ran", code=1)
    if refused and os.environ.get("CI", "").lower() in ("true", "1"):
        raise Exit("CI=true and tests/lab did not run", code=1)


_lab = Collection("lab", lab_up, lab_down, lab_status, lab_ssh, lab_images)
namespace = Collection(test, lint, faults, torture, verdicts, demo, release, bench, _lab)
