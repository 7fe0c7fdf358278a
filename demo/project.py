"""A bot's project folder, as its owner would have it, made from the stand-in."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Project:
    """Where things are in a bot's project folder."""

    folder: Path

    @property
    def script(self) -> Path:
        """What the watchdog starts."""
        return self.folder / "src" / "main_app.py"

    @property
    def pid_file(self) -> Path:
        """Written by the bot and by the watchdog."""
        return self.folder / "main_app.pid"

    @property
    def log(self) -> Path:
        """The bot's own log."""
        return self.folder / "logs" / "main_app.log"

    @property
    def output(self) -> Path:
        """Where the watchdog sends the bot's stdout and stderr."""
        return self.folder / "logs" / "bot.out"

    @property
    def ledger(self) -> Path:
        """The paper trades."""
        return self.folder / "data" / "ledger.csv"


def make_project(folder: Path) -> Project:
    """Copy the stand-in bot to the new folder `folder`, with the watchdog's ``pidfile.py`` beside it."""
    shutil.copytree(
        REPOSITORY / "demo" / "bot", folder, ignore=shutil.ignore_patterns("__pycache__", ".*", "ruff.toml")
    )
    shutil.copy2(REPOSITORY / "watchdog" / "pidfile.py", folder / "src" / "pidfile.py")
    return Project(folder)
