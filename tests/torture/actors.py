"""Who acts on one bot in the explorer: guards, verbs, a person with a shell. Each is a process of its own, forked."""

from __future__ import annotations

import json
import os
import pwd
import select
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import psutil

from tests.torture import mutants, seams
from tests.unit.watchdog.parts import settings_for
from watchdog import guard, instance, operate, paths, pidfile, tick, wedged
from watchdog.config import Config
from watchdog.errors import WatchdogError
from watchdog.journal import Journal

PRELOADED = (guard, psutil, wedged)
"""What the agent imports when it needs it; here once, before the forks."""

PATIENCE = 30.0
"""Seconds of real time for one step."""


class Stage(NamedTuple):
    """The project of one exploration. The bot is a shell under a Python's name: it starts in a millisecond."""

    config: Config
    offset: seams.Offset
    mutant: str

    @property
    def here(self) -> instance.Instance:
        """Where the locks are."""
        return instance.locate(self.config.script)


def set_up(folder: Path, mutant: str) -> Stage:
    """Make the project below ``folder``."""
    project = folder / "dcaTrader"
    (project / "src").mkdir(parents=True)
    os.mkfifo(project / "nobody-writes")
    (project / "src" / "main_app.py").write_text("read word < nobody-writes\n")
    shutil.copy("/bin/sh", folder / "python3")
    user = pwd.getpwuid(os.getuid())
    home = pwd.struct_passwd((*user[:5], str(folder / "home"), user.pw_shell))
    pwd.getpwuid = lambda uid: home
    config = settings_for(project, python=str(folder / "python3"), start_grace=0.0, stop_grace=5.0)
    return Stage(config, seams.Offset(), mutant)


class Actor:
    """The scheduler's view of one process. ``seam`` is where it is parked, ``until`` how long it has nothing to do."""

    def __init__(self, role: str, pid: int, end: socket.socket) -> None:
        self.role, self.pid = role, pid
        self._end = end
        self._buffer = b""
        self.seam = "born"
        self.until: float | None = None
        self.seen = -1
        self.code: int | None = None
        self.word_at_lock = ""
        self.alive = True

    def step(self) -> list[tuple[str, Any]]:
        """Let it go on to its next seam; what it noted on the way. An empty list of notes may mean its end."""
        os.write(self._end.fileno(), b"g")
        return self.read()

    def read(self) -> list[tuple[str, Any]]:
        """Read up to the next seam, or to the end."""
        notes: list[tuple[str, Any]] = []
        while True:
            row, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                ready, _, _ = select.select([self._end], [], [], PATIENCE)
                if not ready:
                    raise AssertionError(f"{self.role} does not come from seam {self.seam} to another one")
                chunk = os.read(self._end.fileno(), 65536)
                if not chunk:
                    self.alive = False
                    return notes
                self._buffer += chunk
                continue
            self._buffer = rest
            kind, value = json.loads(row)
            if kind == "park":
                self.seam, self.until = value
                return notes
            notes.append((kind, value))

    def kill(self) -> None:
        """SIGKILL, where it is parked."""
        os.kill(self.pid, signal.SIGKILL)
        self.bury()

    def bury(self) -> None:
        """Reap it."""
        self.alive = False
        os.waitpid(self.pid, 0)
        self._end.close()


def begin(stage: Stage, role: str) -> Actor:
    """Fork an actor; it is parked before its first step."""
    ours, theirs = socket.socketpair()
    root = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _live(stage, role, seams.Line(theirs), root)
        finally:
            os._exit(70)
    theirs.close()
    actor = Actor(role, pid, ours)
    actor.read()
    return actor


def _live(stage: Stage, role: str, line: seams.Line, root: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    seams.install(line, stage.offset, root)
    mutants.APPLY[stage.mutant]()
    line.park("born")
    try:
        line.note("done", ROLES.get(role, _verb)(stage, role, line))
    except WatchdogError as error:
        line.note("done", int(error.exit_code))
    except Exception:  # noqa: BLE001 - the scheduler tells it
        line.note("crash", traceback.format_exc())
    os._exit(0)


def _guard(stage: Stage, role: str, line: seams.Line) -> int:
    return tick.become_guard(stage.config, True, False, False)


def _verb(stage: Stage, role: str, line: seams.Line) -> int:
    here = stage.here
    places = paths.of(stage.config, here)
    journal = Journal(places.log_file, places.events_file, stage.config.name)
    return int(operate.operate(stage.config, here, places, journal, role, "explorer", "")["exit_code"])


def _hand(stage: Stage, role: str, line: seams.Line) -> NoReturn:
    """Somebody starts the bot in a shell; its own ``create_pid_file()`` is what takes the lock."""
    pidfile._script = lambda: stage.config.script
    try:
        line.park("create_pid_file")
        pidfile.create_pid_file(stage.config.pid_file)
    except SystemExit as ended:
        line.note("done", ended.code)
        os._exit(0)
    line.note("by hand", os.getpid())
    line.park("exec")
    os.chdir(stage.config.app_dir)
    for descriptor in pidfile._held:
        os.set_inheritable(descriptor, True)
    os.execv(stage.config.python, [stage.config.python, stage.config.script])


ROLES: dict[str, Callable[[Stage, str, seams.Line], int]] = {"guard": _guard, "hand": _hand}


def subreaper() -> None:
    """Bots of dead actors become our children, not those of init (prctl(2))."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0):
        sys.exit("PR_SET_CHILD_SUBREAPER failed")
