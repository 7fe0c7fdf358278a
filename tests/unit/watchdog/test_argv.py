"""What a Python command line runs: held against real interpreters, which must agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, interpreters, version_of
from watchdog.argv import Program, is_agent, program

PROBE = """\
# the first line, which -x skips
import json, os, sys
name = __spec__.name if __spec__ else None
if __name__ == "__main__":
    print("RAN " + json.dumps([name or os.path.realpath(__file__), getattr(sys, "orig_argv", None)]), flush=True)
"""

LETTERS = st.text(st.sampled_from("bBEIOPqRsStuxdi" * 3 + "hV?JZ-"), max_size=4)
VALUED = st.sampled_from(
    ["W ignore", "Wignore", "X utf8", "Xutf8", "X dev", "Xfaulthandler", "X probe.py", "W probe.py"]
)
OPTIONS = st.one_of(
    LETTERS.filter(bool).map(lambda letters: ["-" + letters]),
    st.tuples(LETTERS, VALUED).map(lambda pair: ["-" + pair[0] + pair[1].split()[0], *pair[1].split()[1:]]),
    st.sampled_from(["default", "never", "probe.py"]).map(lambda value: ["--check-hash-based-pycs", value]),
    st.sampled_from(["--check-hash-based-pycs=never", "--help", "--version", "--help-env", "--unknown"]).map(
        lambda word: [word]
    ),
)
ENDS = [
    ["probe.py"], ["./probe.py"], ["--", "probe.py"], ["-m", "probe"], ["-mprobe"], ["-um", "probe"], ["-ummod"],
    ["-c", "pass"], ["-cpass"], ["-uc", "pass"], ["-"], [], ["folder"], ["-m", "folder"], ["--", "-m"],
    ["--", "-"], ["-u-", "probe.py"], ["-m", "probe.py"], ["-u-check-hash-based-pycs", "never", "probe.py"], ["--", ""],
    ["-W"], ["-X"], ["-m"], ["-V", "probe.py"], ["-h", "probe.py"], ["-?", "probe.py"], ["-J", "probe.py"],
]  # fmt: skip
REST = [[], ["probe.py"], ["-m", "probe"], ["--", "x"], ["-c", "pass"], ["other.py", "-u"], ["-V"]]

COMMANDS = st.builds(
    lambda options, end, rest: [*(word for option in options for word in option), *end, *rest],
    st.lists(OPTIONS, max_size=3),
    st.sampled_from(ENDS),
    st.sampled_from(REST),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scripts and modules that say that they ran."""
    folder = tmp_path_factory.mktemp("argv")
    for name in ("probe.py", "other.py", "mod.py", "folder/__main__.py", "folder/__init__.py"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(PROBE if name != "folder/__init__.py" else "")
    return folder


def run(interpreter: str, args: list[str], place: Path) -> tuple[int, str | None, list[str]]:
    """Exit code, what really ran (a file, a module's name, or None for neither) and its original argv."""
    user = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [interpreter, *args], cwd=place, env={**user, "PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("RAN ")), None)
    name, original = json.loads(line[4:]) if line else (None, None)
    return done.returncode, name, original or [interpreter, *args]


def agrees(found: Program, ran: str, place: Path) -> bool:
    """True when our reading names what the interpreter ran."""
    if found.kind == "module":
        return ran in (found.name, found.name + ".__main__")
    if found.kind != "script":
        return False
    path = place / found.name
    real = path / "__main__.py" if path.is_dir() else path
    return os.path.realpath(real) == ran or (path.is_dir() and ran == "__main__")


@settings(PROPERTY, max_examples=200)
@given(args=COMMANDS)
def test_we_read_a_command_line_as_the_interpreter_does(args: list[str], place: Path) -> None:
    args = ["-S", *args]  # which halves what an interpreter costs
    code, ran, original = run(sys.executable, args, place)
    found = program([sys.executable, *args])
    if ran is not None:
        assert agrees(found, ran, place), (args, found, ran)
        assert program(original) == found, "sys.orig_argv is what stands in /proc/PID/cmdline"
    elif code == 0 and not any(word[:1] == "-" and "i" in word for word in args):  # -i: a prompt after a refusal, too
        assert found.kind == "other", (args, found)  # with any other code it refused, and no such process lives


@pytest.mark.parametrize("interpreter", interpreters(), ids=version_of)
def test_every_supported_interpreter_agrees_on_the_usual_ways_to_start_a_bot(interpreter: str, place: Path) -> None:
    ways = [
        ["probe.py"], ["-u", "probe.py", "--live"], ["-X", "dev", "-W", "ignore", "./probe.py"], ["-um", "mod", "x"],
        ["-OO", "--check-hash-based-pycs", "never", str(place / "probe.py")], ["--", "probe.py"],
    ]  # fmt: skip
    for args in ways:
        _, ran, _ = run(interpreter, args, place)
        assert ran is not None, (interpreter, args)
        assert agrees(program([interpreter, *args]), ran, place), (interpreter, args, ran)
    for args in ENDS:
        code, ran, _ = run(interpreter, ["-S", *args], place)
        found = program([interpreter, "-S", *args])
        assert code or (found.kind == "other" if ran is None else agrees(found, ran, place)), (interpreter, args, ran)


@pytest.mark.fault("F05")
@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python main_app.py", ("script", "main_app.py")),
        ("python3.11 src/main_app.py --live", ("script", "src/main_app.py")),
        ("python -X dev -u main_app.py", ("script", "main_app.py")),
        ("python -Xdev -OOB -W error -Wignore main_app.py", ("script", "main_app.py")),
        ("python --check-hash-based-pycs always main_app.py", ("script", "main_app.py")),
        ("python -- main_app.py", ("script", "main_app.py")),
        ("python -m src.main_app", ("module", "src.main_app")),
        ("python -msrc.main_app", ("module", "src.main_app")),
        ("python -Bum src.main_app -c x", ("module", "src.main_app")),
        ("python /opt/bot/main_app.py", ("script", "/opt/bot/main_app.py")),
        ("python other/main_app.py", ("script", "other/main_app.py")),
        ("python -m pytest main_app.py", ("module", "pytest")),
        ("python -m pdb main_app.py", ("module", "pdb")),
        ("python -c pass main_app.py", ("other", "")),
        ("python -cpass main_app.py", ("other", "")),
        ("python - main_app.py", ("other", "")),
        ("python", ("other", "")),
        ("python -m", ("other", "")),
        ("python --", ("other", "")),
        ("python -W main_app.py", ("other", "")),
        ("python --help main_app.py", ("other", "")),
        ("python --version", ("other", "")),
        ("python -Z main_app.py", ("other", "")),
        ("python -V main_app.py", ("other", "")),
        ("python -uh main_app.py", ("other", "")),
        ("python -? main_app.py", ("other", "")),
        ("python -- -", ("other", "")),
        ("python -u- main_app.py", ("script", "main_app.py")),
        ("python -u- -m", ("script", "-m")),
        ("python -u-check-hash-based-pycs never main_app.py", ("script", "main_app.py")),
        ("python --check-hash-based-pycs=never main_app.py", ("other", "")),
        ("python -m main_app.py", ("module", "main_app.py")),
        ("python -X", ("other", "")),
        ("", ("other", "")),
    ],
)
def test_the_program_on_a_line(line: str, expected: tuple[str, str]) -> None:
    assert program(line.split()) == expected


@pytest.mark.parametrize(
    ("line", "agent"),
    [
        ("python -m watchdog guard", True), ("python -um watchdog guard", True), ("python -m other.watchdog", False),
        ("python /opt/dca/current/bin/watchdog guard", True), ("python watchdog guard", True),
        ("python -m bin/watchdog", False), ("python /opt/watchdog/other.py", False), ("python -c watchdog", False),
    ],
)  # fmt: skip
def test_the_agents_own_processes(line: str, agent: bool) -> None:
    assert is_agent(line.split()) is agent


@PROPERTY
@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_argument_vector_is_read_without_an_error(words: list[str]) -> None:
    found = program(words)
    assert found.kind in ("script", "module", "other")
    assert bool(found.name) == (found.kind != "other")
    assert found.kind != "script" or found.name in words
