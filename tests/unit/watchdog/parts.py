"""What the agent's unit tests build on: settings, lock directories, interpreters, short-lived processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

import watchdog
from watchdog import identity, limits
from watchdog import settings as names
from watchdog.config import Config
from watchdog.identity import Identity
from watchdog.instance import Instance, locate

PACKAGE = Path(watchdog.__file__).resolve().parent
REPOSITORY = Path(__file__).resolve().parents[3]
OLDEST, NEWEST = 9, 13

PROPERTY = settings(
    deadline=None,
    max_examples=80,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""How properties are checked: the same examples on every run, so that a red build is red for everybody."""


def settings_for(project: Path, **changes: Any) -> Config:
    """Settings of the bot below ``project``, with ``changes``."""
    plain = Config(
        name="dcaTrader", app_dir=str(project), script=str(project / "src" / "main_app.py"), python=sys.executable,
        args=(), app_log=None, app_env_file=None, pid_file=str(project / "main_app.pid"),
        log_dir=str(project / "logs"), state_dir=None, start_grace=3.0, stop_grace=20.0, allow_root=os.geteuid() == 0,
        fresh_file=None, limits=limits.Limits(), judged_by={key: names.SETTINGS[key] for key in limits.SETTINGS},
        smtp={}, files=(), door=None,
    )  # fmt: skip
    return plain._replace(**changes)


def instance_below(folder: Path, script: str | None = None) -> Instance:
    """The paths of a lock directory below ``folder``, which is made; ``script`` as configured."""
    real = locate(script or str(folder / "dcaTrader" / "src" / "main_app.py"))
    place = folder / "locks" / real.key
    place.mkdir(parents=True, mode=0o700)
    return Instance(*(value.replace(real.directory, str(place)) for value in real))


@cache
def interpreters() -> tuple[str, ...]:
    """One interpreter of each supported version that this machine has; the one that runs the tests is among them."""
    found = {sys.version_info[1]: sys.executable}
    for minor in range(OLDEST, NEWEST + 1):
        places = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python3.{minor}"))
        places += [Path("/usr/local/bin") / f"python3.{minor}", Path("/usr/bin") / f"python3.{minor}"]
        there = [str(place) for place in places if os.access(place, os.X_OK)]
        if there and minor not in found:
            found[minor] = there[0]
    return tuple(path for _, path in sorted(found.items()))


SLEEP = "import time; print('up', flush=True); time.sleep(600)"
"""A line of Python that says that it is up, and then does nothing."""


def identity_of(process: subprocess.Popen[str], own_session: bool = False) -> Identity:
    """The identity of a living process."""
    found = identity.identify(process.pid, own_session)
    assert found is not None
    return found


def version_of(interpreter: str) -> str:
    """A short name of an interpreter for test ids: the version in the name of its program."""
    real = Path(interpreter).resolve().name
    return real if real[-1].isdigit() and "." in real else f"python3.{sys.version_info[1]}"


def until(condition: Callable[[], Any], within: float = 10.0) -> Any:
    """Wait until the condition holds; what it returned."""
    end = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"not within {within:g} s"
        time.sleep(0.005)


class VirtualClock:
    """``boot_seconds`` and ``wall_seconds`` are what the agent reads; ``boot`` is the identifier of the boot."""

    def __init__(self) -> None:
        self.boot_seconds = 5_000.0
        self.wall_seconds = 1_795_500_000.0
        self.boot = "boot-1"

    def pass_by(self, seconds: float) -> None:
        """Time passes on both clocks."""
        self.boot_seconds += seconds
        self.wall_seconds += seconds

    def reboot(self, took: float = 60.0, uptime: float = 20.0) -> None:
        """The host goes down and comes up again."""
        self.wall_seconds += took
        self.boot_seconds = uptime
        self.boot += "'"


class Sleepers:
    """Processes of a test. Each is ended by its own handle, and so are the children that it names on stdout."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []
        self._children: list[int] = []

    def start(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """Start a process; stdout is a pipe of text lines."""
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen(argv, **given)
        self._started.append(process)
        return process

    def python(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        """Start a Python and wait for the first line it prints."""
        process = self.start(sys.executable, *args, **options)
        first_line(process)
        return process

    def child_of(self, process: subprocess.Popen[str]) -> int:
        """The next line of a process is the PID of a child; it is ended with the test."""
        number = int(first_line(process))
        self._children.append(os.pidfd_open(number))
        return number

    def close(self) -> None:
        """End everything that was started."""
        for pidfd in self._children:
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.close(pidfd)
        for process in self._started:
            if process.returncode is None:
                process.kill()
        for process in self._started:
            process.wait(10)
            if process.stdout:
                process.stdout.close()
            if process.stdin:
                process.stdin.close()


def first_line(process: subprocess.Popen[str], within: float = 15.0) -> str:
    """The next line on stdout, without its newline."""
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], within)
        assert ready, f"{process.args!r} printed nothing within {within:g} s"
        char = os.read(process.stdout.fileno(), 1)  # one at a time: nothing is left in a buffer that select cannot see
        assert char, f"{process.args!r} ended with {process.poll()} and printed {line!r}"
        line += char
    return line.decode().rstrip("\n")


def one_line(error: BaseException) -> str:
    """The text of an error, which must be one line for people."""
    text = str(error)
    assert text and "\n" not in text and len(text) < 400, text
    return text


def attempt(call: Callable[[], Any], refusal: type[Exception]) -> tuple[Any, str | None]:
    """What the call returns, or the one line by which it refuses."""
    try:
        return call(), None
    except refusal as error:
        return None, one_line(error)
