"""What the benchmark asks of every supervisor; most of them run as a unit of the host's systemd."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks import usage
from benchmarks.stand import HOME, Stand, kill, wait
from lab.errors import LabError
from lab.image import BOT_USER

#: Seconds: until a supervisor has its first bot, and until a killed bot is back.
PATIENCE = 15.0
#: Seconds after a command that was given to a supervisor: what it does about it must not count as the next restart's.
CALM = 0.3


@dataclass(eq=False)
class Supervisor:
    """One row of the tables: a supervisor under a unit of its own, as the bot's user.

    `files` are put into its folder first: name -> text; those whose name ends in `run` become executable.
    `settings` are lines for the unit's [Service] section.
    """

    key: str
    title: str
    packages: Sequence[str]
    command: str
    settings: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    #: Seconds until a killed bot is back at the latest, where more than a few.
    patience: float = PATIENCE
    #: The bot itself is the unit, and the host's init its supervisor.
    is_init: bool = False
    #: Seconds between two of its looks, where that is minutes: then it is only killed a few times, beside the others.
    cycle: float = 0.0

    @property
    def folder(self) -> str:
        """Where its bot lives."""
        return f"{HOME}/{self.key}"

    @property
    def slow(self) -> bool:
        """Whether nobody can wait for it."""
        return self.cycle > 0

    @property
    def unit(self) -> str:
        """Its unit on the host."""
        return f"bench-{self.key}.service"

    def install(self, stand: Stand) -> None:
        """Everything but the start."""
        stand.install_bot(self.folder)
        for name, text in self.files.items():
            executable = name.endswith("run")
            stand.write(f"{self.folder}/{name}", text, "0755" if executable else "0600")
        lines = ["[Service]", f"User={BOT_USER}", f"WorkingDirectory={self.folder}", f"ExecStart={self.command}"]
        stand.write(f"/etc/systemd/system/{self.unit}", "\n".join([*lines, *self.settings, ""]), user="root")
        stand.run("systemctl", "daemon-reload")

    def start(self, stand: Stand) -> None:
        """Start the supervisor. Raises LabError."""
        stand.run("systemctl", "reset-failed", self.unit, check=False)
        stand.run("systemctl", "start", self.unit)

    def stop(self, stand: Stand) -> None:
        """End supervisor and bots, whatever state they are in."""
        kill(stand.bots_of(self.folder), signal.SIGCONT)  # a stopped one would keep its supervisor waiting
        stand.run("systemctl", "kill", "--signal=KILL", self.unit, check=False)
        stand.run("systemctl", "stop", self.unit, check=False)
        kill([*stand.unit_pids(self.unit), *stand.bots_of(self.folder)])

    def afresh(self, stand: Stand) -> None:
        """A supervisor with one new bot, and nothing left of what was. Raises LabError."""
        self.stop(stand)
        stand.crashing(self.folder, wanted=False)
        before = len(stand.starts(self.folder))
        self.start(stand)
        patience = max(self.patience, PATIENCE)
        if not wait(lambda: len(stand.starts(self.folder)) > before, patience, 0.05):
            raise LabError(f"did not start its bot within {patience:g} s")

    def before_kill(self, stand: Stand) -> None:
        """Make it forget the deaths so far, as it does by itself after some minutes. Raises LabError."""
        if self.is_init:
            stand.run("systemctl", "reset-failed", self.unit)
            time.sleep(CALM)

    def processes(self, stand: Stand) -> list[int]:
        """The supervisor and its helpers."""
        if self.is_init:
            return [stand.init]
        bots = set(stand.bots_of(self.folder))
        return [pid for pid in stand.unit_pids(self.unit) if pid not in bots and usage.command_line(pid)]

    def chief(self, stand: Stand) -> int | None:
        """The process that would notice the bot's death, None if it cannot be killed."""
        if self.is_init:
            return None
        parents = [usage.parent(pid) for pid in stand.bots_of(self.folder)]
        mine = self.processes(stand)
        return next((pid for pid in parents if pid in mine), mine[0] if mine else None)

    def is_chief(self, words: Sequence[str], before: Sequence[str]) -> bool:
        """Whether a process with these words is what the chief with those words `before` was."""
        return tuple(words) == tuple(before)

    def reports(self, stand: Stand, since: float) -> bool:
        """Whether it has said by itself, since that time of the wall clock, that a bot is not as it should be."""
        return False
