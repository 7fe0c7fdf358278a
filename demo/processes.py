"""Which processes belong to one demonstration, and how they are ended without touching any other."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "DEMO_FOLDER"
"""Environment variable that everything started by a demonstration carries, with its private folder as value."""

_PROGRAMS = ("flock", "sh", "dash", "bash")


@dataclass(frozen=True)
class Found:
    """A live process."""

    pid: int
    argv: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.pid} {' '.join(self.argv)}"


def of_folder(folder: Path) -> list[Found]:
    """Our live processes: they carry the mark, or run a program with an argument inside `folder`.

    The second rule finds what starts with a clean environment (the bot, the guard). It leaves out the programs with
    which a person might look at the folder meanwhile.
    """
    return [
        process
        for process in _all()
        if process.pid != os.getpid() and (_is_marked(process, folder) or _runs_inside(process, folder))
    ]


def running(script: Path) -> list[Found]:
    """The live processes that have `script` among their arguments."""
    return [process for process in _all() if str(script) in process.argv]


def end(folder: Path, timeout: float = 10) -> None:
    """End every process of the demonstration in `folder`; :class:`TimeoutError` names the ones that stayed.

    All are stopped before any is killed: a guard that runs on would bring its bot back in between.
    """
    deadline = time.monotonic() + timeout
    while left := of_folder(folder):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still there after {timeout:g} s: {'; '.join(map(str, left))}")
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in left:
                _send(process, number)
        time.sleep(0.02)


class Count(threading.Thread):
    """Counts the live processes of `script` again and again, for as long as the context lasts."""

    def __init__(self, script: Path, every: float = 0.01) -> None:
        super().__init__(name="count", daemon=True)
        self._script, self._every, self._over = script, every, threading.Event()
        self.samples: list[int] = []

    def __enter__(self) -> Count:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Sample until the context ends."""
        while not self._over.wait(self._every):
            self.samples.append(len(running(self._script)))


def wait_until(true: Callable[[], bool], timeout: float, every: float = 0.005) -> bool:
    """Poll `true` every `every` seconds; tells whether it came true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (came := true()) and time.monotonic() < deadline:
        time.sleep(every)
    return came


def _send(process: Found, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if _argv(process.pid) == process.argv:  # the PID may have been given away since the scan
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _all() -> Iterator[Found]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (argv := _argv(int(path.name))):
            yield Found(int(path.name), argv)


def _is_marked(process: Found, folder: Path) -> bool:
    mark = os.fsencode(f"{MARK}={folder}")
    return any(entry == mark or entry.startswith(mark + b"/") for entry in _read(process.pid, "environ").split(b"\0"))


def _runs_inside(process: Found, folder: Path) -> bool:
    program = Path(process.argv[0]).name
    inside = f"{folder}{os.sep}"
    ours = program in _PROGRAMS or program.startswith("python")
    return ours and any(argument.startswith(inside) for argument in process.argv)


def _argv(pid: int) -> tuple[str, ...]:
    return tuple(os.fsdecode(part) for part in _read(pid, "cmdline").split(b"\0")[:-1])


def _read(pid: int, name: str) -> bytes:
    try:
        with Path(f"/proc/{pid}/{name}").open("rb") as file:
            return file.read()
    except OSError:  # gone, or somebody else's
        return b""
