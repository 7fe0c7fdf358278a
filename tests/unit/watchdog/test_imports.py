"""What the agent is made of: the standard library, psutil and itself, in little memory, on old Pythons."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.unit.watchdog.parts import OLDEST, PACKAGE, REPOSITORY, interpreters, version_of
from watchdog import control
from watchdog.pidfile import instance_dir

MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))
LAZY = (
    "psutil",
    "argparse",
    "hashlib",
    "dataclasses",
    "subprocess",
    "email",
    "smtplib",
    "ssl",
    "logging",
    "typing_extensions",
    "typing",
    "enum",
    "re",
    "json",
    "socket",
    "signal",
    "contextlib",
)

ANSWER = """
import os, sys
sys.path.insert(0, os.getcwd())
os.environ["WATCHDOG_APP_DIR"] = {folder!r}
from watchdog import deadline, pulse
try:
    print(pulse.answered(pulse.read(["guard"])))
finally:
    print(*[name for name in {lazy!r} if name in sys.modules])
    print(len(sys.modules))
"""


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a module imports, anywhere in it; relative imports as ``watchdog``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("watchdog" if node.level else (node.module or "").partition(".")[0])
    return found


def in_python(code: str, python: str = sys.executable, *options: str, place: Path = REPOSITORY) -> str:
    """Run code in a fresh interpreter; what it prints."""
    done = subprocess.run(
        [python, *options, "-c", code], cwd=place, capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(place)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_the_standard_library_psutil_and_ourselves(name: str) -> None:
    allowed = {*sys.stdlib_module_names, "psutil", "watchdog", "_blake2"}
    assert imports(PACKAGE / f"{name}.py") <= allowed


def test_the_bots_own_file_imports_nothing_of_ours() -> None:
    found = imports(PACKAGE / "pidfile.py")
    assert found <= {*sys.stdlib_module_names, "_blake2"} and "watchdog" not in found


def test_the_words_of_both_sides_are_a_leaf() -> None:
    assert imports(PACKAGE / "states.py") <= {"__future__", "enum"}


def test_the_policy_knows_nothing_of_the_system() -> None:
    source = (PACKAGE / "policy.py").read_text()
    assert imports(PACKAGE / "policy.py") <= {"__future__", "typing", "watchdog"}
    assert not any(word in source for word in ("clock.now", "clock.utc", "open(", "os.", "time.time"))


@pytest.mark.parametrize("name", MODULES)
def test_importing_a_module_has_no_effect_that_anybody_sees(name: str) -> None:
    if name == "__main__":
        return
    assert in_python(f"import watchdog.{name}") == ""


def test_the_guard_does_not_carry_what_only_the_sender_needs() -> None:
    heavy = ("smtplib", "ssl", "email", "argparse", "logging")
    assert in_python(f"import sys, watchdog.guard; print(*[n for n in {heavy} if n in sys.modules])").split() == []


@contextlib.contextmanager
def answering(path: Path) -> Iterator[None]:
    """A guard's control socket, served by a thread."""
    path.parent.mkdir(parents=True)
    server = control.Server(str(path), lambda request, reply: reply({"pid": 1}))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            poll = select.poll()
            for descriptor in server.descriptors():
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll(100):
                server.handle(descriptor)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        server.close()
        shutil.rmtree(path.parent)


@pytest.mark.parametrize("there", [False, True])
def test_the_tick_of_a_healthy_bot_imports_next_to_nothing(tmp_path: Path, there: bool) -> None:
    socket = Path(instance_dir(str(tmp_path / "src" / "main_app.py")), "control.sock")
    code = ANSWER.format(folder=str(tmp_path), lazy=LAZY)
    with answering(socket) if there else contextlib.nullcontext():
        result, loaded, count = in_python(code, sys.executable, "-I", "-S").split("\n")[:3]
    assert result == str(there)
    assert loaded.split() == []
    assert int(count) < 60


# Old Pythons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_python_3_9(name: str) -> None:
    ast.parse((PACKAGE / f"{name}.py").read_text(), feature_version=(3, OLDEST))


def with_psutil(folder: Path) -> Path:
    """A folder with this package and psutil alone, as in a release; psutil's wheel serves every CPython."""
    os.symlink(PACKAGE, folder / "watchdog")
    os.symlink(os.path.dirname(psutil.__file__), folder / "psutil")
    return folder


@pytest.mark.parametrize("python", interpreters(), ids=version_of)
def test_every_module_is_imported_by_every_supported_python(python: str, tmp_path: Path) -> None:
    place = with_psutil(tmp_path)
    code = f"""
import importlib, sys, warnings
warnings.simplefilter("error")
for name in {[name for name in MODULES if name != "__main__"]!r}:
    importlib.import_module("watchdog." + name)
import psutil
print("all", sys.version_info[1] in range({OLDEST}, 14))
"""
    assert in_python(code, python, place=place) == "all True\n"


@pytest.mark.parametrize("python", [interpreters()[0], interpreters()[-1]], ids=version_of)
def test_status_and_stop_work_on_the_oldest_and_the_newest_python(python: str, tmp_path: Path, project: Path) -> None:
    place = with_psutil(tmp_path)
    environment = {
        "PATH": "/usr/bin:/bin", "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1",
        "WATCHDOG_APP_DIR": str(project), "WATCHDOG_ALLOW_ROOT": "1" if os.geteuid() == 0 else "",
    }  # fmt: skip
    seen = []
    try:
        for words in (["status"], ["stop", "--by", "a test"], ["check"], ["status"]):
            done = subprocess.run(
                [python, "-m", "watchdog", *words, "--json"], cwd="/", env=environment, capture_output=True, text=True,
                timeout=60,
            )  # fmt: skip
            assert "Traceback" not in done.stderr, done.stderr
            seen.append((words[0], done.returncode, json.loads(done.stdout)["state"]))
    finally:
        shutil.rmtree(instance_dir(str(project / "src" / "main_app.py")), ignore_errors=True)
    assert seen == [("status", 3, "down"), ("stop", 0, "stopped"), ("check", 0, "stopped"), ("status", 3, "stopped")]
