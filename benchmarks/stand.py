"""The test stand: one lab host on which every supervisor keeps a bot of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.api import Lab
from lab.errors import LabError
from lab.image import BOT_USER

HOST = "bot1"
HOME = f"/home/{BOT_USER}"
PYTHON = "/usr/bin/python3"
BOT = Path(__file__).with_name("bot.py")


def now() -> float:
    """Seconds of the clock that the bots note their birth in; the host shares it with this machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wait(condition: Callable[[], bool], seconds: float, pause: float = 0.01) -> bool:
    """Whether the condition came true within that many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


class Stand:
    """The host, its files and its processes, seen from outside. PIDs are this machine's."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        init = lab.hosts[HOST].init_pid()
        self.root = Path(f"/proc/{init}/root")
        self.init = init or 0

    def run(self, *argv: str, user: str = "root", check: bool = True, text: str | None = None) -> str:
        """Run a command in the host; its output. Raises LabError."""
        return self.lab.exec(HOST, argv, user=user, check=check, input=text).stdout

    def write(self, path: str, text: str, mode: str = "0644", user: str = BOT_USER) -> None:
        """Write a file of the host, and the folders above it, as `user`."""
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"'
        self.run("sh", "-c", script, "write", path, mode, user=user, text=text)

    def install_bot(self, folder: str) -> None:
        """A bot that has never run."""
        self.write(f"{folder}/main_app.py", BOT.read_text(encoding="utf-8"))
        self.write(f"{folder}/starts", "")

    def starts(self, folder: str) -> list[float]:
        """When each bot of that folder so far was born, by its own word."""
        try:
            text = self._inside(f"{folder}/starts").read_text(encoding="ascii")
        except FileNotFoundError:
            return []
        return [float(line.split()[0]) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def crashing(self, folder: str, wanted: bool) -> None:
        """From now on the bots of that folder end at once, or do not."""
        mark = self._inside(f"{folder}/crash")
        if wanted:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    def bots(self) -> dict[str, list[int]]:
        """The living bots of every folder, from one look at the host's processes."""
        return bots_among(self.lab.pids(HOST))

    def bots_of(self, folder: str) -> list[int]:
        """The living bots of one folder."""
        return self.bots().get(folder, [])

    def bot_by_hand(self, folder: str) -> None:
        """Start a bot as a person does who forgets the supervisor. Returns when it is born."""
        before = len(self.starts(folder))
        start = f"setsid -f {PYTHON} {folder}/main_app.py </dev/null >/dev/null 2>&1"
        self.run("sh", "-c", start, user=BOT_USER)
        wait(lambda: len(self.starts(folder)) > before, 10)

    def unit_pids(self, unit: str) -> list[int]:
        """Every process in the control group of a unit of the host."""
        return self.lab.hosts[HOST].cgroup.pids(f"payload/system.slice/{unit}")

    def _inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")


def bots_among(processes: Mapping[int, Sequence[str]]) -> dict[str, list[int]]:
    """Folder -> PIDs of its bots, from PID -> words of the command line."""
    found: dict[str, list[int]] = {}
    for pid, words in processes.items():
        if words[1:2] and words[1].endswith("/main_app.py") and "python" in Path(words[0]).name:
            found.setdefault(str(Path(words[1]).parent), []).append(pid)
    return found


def kill(pids: Collection[int], number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def refusals() -> Iterator[None]:
    """Around a whole benchmark: Ctrl-C or SIGTERM cleans up, once; a failure is one line and an exit code."""

    def interrupt(_number: int, _frame: object) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)  # a second one must not interrupt the cleaning up
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, LabError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
