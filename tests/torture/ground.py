"""A bot project in which one worker kills and looks. All processes in it descend from the worker (prctl(2), subreaper).

Nothing is asked of the agent but whether its guard has had its say: what is true is read from /proc.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.process import oracle
from tests.torture import warm
from watchdog.pidfile import instance_dir

#: Seconds within which a system that was hurt must be whole again. Far more than it takes on a machine of its own.
WHOLE = 20.0

#: Seconds between two looks at the bots while something is awaited.
SAMPLE = 0.005


class NotReachedError(Exception):
    """What was awaited did not come."""


class Ground:
    """One project folder, used for one point after the other; `clear` makes it new.

    ``programs`` is where a program may lie that is to be executed.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.project = folder / "dcaTrader"
        self.script = self.project / "src" / "main_app.py"
        self.script.parent.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("bot.pl"), self.script)
        interpreter = _interpreter(programs)
        self.instance = Path(instance_dir(str(self.script)))
        self._name = os.fsencode(self.script)
        self.pid_file = self.project / "main_app.pid"
        self.console = folder / "console"
        self.notes = folder / "notes"
        self.eager = self.project / "eager"
        user = pwd.getpwuid(os.geteuid())
        self.environment = {
            "HOME": user.pw_dir,
            "LANG": "C",
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "WATCHDOG_APP_DIR": str(self.project),
            "WATCHDOG_APP_PYTHON": str(interpreter),
            "WATCHDOG_START_GRACE": "0.1",
            "WATCHDOG_STOP_GRACE": "5",
        }
        if os.geteuid() == 0:
            self.environment["WATCHDOG_ALLOW_ROOT"] = "1"
        self.python = str(_quick_python(folder / "python"))
        signal.pthread_sigmask(signal.SIG_BLOCK, warm.DEATHS)
        self.doubles = 0
        self.samples = 0
        self._ended: dict[int, int] = {}

    # Processes -------------------------------------------------------------------------------------------------------

    def fork(self, *words: str, begin: Callable[[], None] | None = None) -> int:
        """Start a verb of the agent; its PID."""
        return warm.fork(list(words), self.python, self.environment, self.console, begin)

    def verb(self, *words: str) -> int:
        """Run a verb to its end; its exit code, negative for a signal."""
        return self.end_of(self.fork(*words))

    def tree(self) -> list[int]:
        """All living processes of this ground."""
        return _descendants(os.getpid())

    def bots(self) -> list[int]:
        """The live bots, each look a sample of the oracle I1: at most one at any time."""
        named = (pid for pid in self.tree() if self._name in _read(f"/proc/{pid}/cmdline"))
        found = [pid for pid in named if oracle.runs(pid, self.script) and oracle.alive(pid)]
        self.samples += 1
        if len(found) > 1:
            self.doubles += 1
        return found

    def ended(self, pid: int) -> bool:
        """Whether a child of ours is no more."""
        self.reap()
        return pid in self._ended

    def end_of(self, pid: int) -> int:
        """Wait for the end of a child of ours; its exit code, negative for a signal."""
        self.until(lambda: self.ended(pid), f"the end of PID {pid}", 60.0)
        return os.waitstatus_to_exitcode(self._ended[pid])

    def reap(self) -> None:
        """Take note of every child that has ended."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._ended[found[0]] = found[1]

    def until(self, condition: Callable[[], object], what: str, within: float = WHOLE, every: float = SAMPLE) -> None:
        """Wait for a condition and count the bots meanwhile, at every death too. Raises NotReachedError."""
        end = time.monotonic() + within
        while not condition():
            self.bots()
            if time.monotonic() > end:
                raise NotReachedError(f"not within {within:g} s: {what}")
            signal.sigtimedwait(warm.DEATHS, every)

    def kill(self, pid: int) -> None:
        """SIGKILL, and wait until the process is gone or a zombie."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.until(lambda: not oracle.alive(pid), f"the death of PID {pid}")

    def clear(self) -> None:
        """End everything and begin anew."""
        doomed: set[int] = set()
        while found := self.tree():
            fresh = [pid for pid in found if pid not in doomed]
            for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, or an heir takes over meanwhile
                for pid in fresh:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            doomed.update(fresh)
            self.reap()
            signal.sigtimedwait(warm.DEATHS, 0.001)
        self._ended.clear()
        shutil.rmtree(self.instance, ignore_errors=True)
        shutil.rmtree(self.project / "logs", ignore_errors=True)
        for path in (self.pid_file, self.console, self.notes, self.eager, self.project / "overlaps"):
            path.unlink(missing_ok=True)
        self.doubles = self.samples = 0

    def close(self) -> None:
        """Leave nothing behind."""
        self.clear()

    # What the agent has written --------------------------------------------------------------------------------------

    def running(self, other_than: int | None = None) -> int | None:
        """PID of the bot that state.json calls running, None while there is none."""
        try:
            state = json.loads((self.instance / "state.json").read_text())
            pid = int(state["bot"][0]) if state["memory"]["phase"] == "running" else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None if pid == other_than else pid

    def wanted(self) -> bool:
        """Whether the operator's last word leaves the bot running."""
        with contextlib.suppress(OSError):
            return b"stopped" not in (self.instance / "desired").read_bytes()
        return True

    def holders(self, lock: str) -> list[int]:
        """Who of this ground has the lock open."""
        return oracle.lock_holders(self.instance / lock, self.tree())

    def answer(self, verb: str = "ping") -> dict[str, object] | None:
        """What the guard says about itself; None when none answers. Bots are counted while it is awaited."""
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as client:
            try:
                client.connect(str(self.instance / "control.sock"))
                client.sendall(json.dumps({"verb": verb}).encode() + b"\n")
                end, heard = time.monotonic() + WHOLE, b""
                while heard.count(b"\n") < 2:  # it says that it has heard, then what it has to say
                    if select.select([client], [], [], SAMPLE)[0]:
                        more = client.recv(65536)
                        heard += more
                        if not more:
                            return None
                    elif time.monotonic() > end:
                        return None
                    self.bots()
                found = json.loads(heard.splitlines()[1])
            except (OSError, ValueError):
                return None
        return found if isinstance(found, dict) else None

    def overlaps(self) -> int:
        """How often a bot found another one at the market."""
        with contextlib.suppress(OSError):
            return len((self.project / "overlaps").read_text().splitlines())
        return 0

    def tracebacks(self) -> list[str]:
        """What escaped to a console or the log."""
        texts = [self._text(path) for path in (self.console, self.project / "logs" / "watchdog.log")]
        return [text[at : at + 2000] for text in texts for at in [text.find("Traceback")] if at >= 0]

    def caught(self) -> list[str]:
        """Errors that the agent caught in its last line of defence: a guard went on, or ended as a verb does."""
        events = [event for event in self._events() if event.get("trace") or event.get("kind") == "guard-crashed"]
        lines = [line for line in self._text(self.console).splitlines() if ": unexpected " in line]
        return [*lines, *(f"{event['message']}\n{event.get('trace', '')}" for event in events)]

    def _text(self, path: Path) -> str:
        with contextlib.suppress(OSError):
            return path.read_text(errors="replace")
        return ""

    def _events(self) -> list[dict[str, str]]:
        with contextlib.suppress(OSError):
            lines = (self.instance / "events.jsonl").read_bytes().splitlines()
            return [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
        return []


def _interpreter(folder: Path) -> Path:
    """What the bot is run by: to the agent and to the oracle a Python, and one that starts in 2 ms instead of 7."""
    perl = shutil.which("perl")
    if perl is None:
        raise FileNotFoundError("perl is needed (Debian: perl-base)")
    return Path(shutil.copy(perl, folder / "python3"))


def _quick_python(folder: Path) -> Path:
    """An environment without packages, ours and the system's (site, pyvenv.cfg): they would make every start slow."""
    real = Path(os.path.realpath(sys.executable))
    python = folder / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to(real)
    (folder / "pyvenv.cfg").write_text(f"home = {real.parent}\ninclude-system-site-packages = false\n")
    return python


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in _read(f"/proc/{pid}/task/{pid}/children").split():
        found += [int(child), *_descendants(int(child))]
    return found


def _read(path: str) -> bytes:
    """The beginning of a file, empty when there is none. It is read hundreds of times a second."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
