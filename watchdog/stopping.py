"""Ending a bot, or what a dead one has left behind: by which ladder, why, and what is to be said of it afterwards."""

from __future__ import annotations

import os

from . import exits, lastwords, redact
from .config import Config
from .identity import Identity
from .ladder import Ladder
from .watched import Bot

_READ = 65_536

YIELDED = "was stopped, since another bot had appeared"


class Stopping:
    """A stop under way. ``evidence`` completes "it …" where the bot is ended because it was ill; ``yielding``: for
    another bot's sake. With neither, somebody asked for it. Without a bot it is the ``dead`` one's children that go.
    """

    def __init__(
        self, config: Config, bot: Bot | None, dead: Identity | None = None, evidence: str = "", yielding: bool = False
    ) -> None:
        target = bot.identity if bot else dead
        assert target is not None
        self._evidence, self._yielding = evidence, yielding
        self._config = config
        self._output = bot.output if bot else os.devnull
        self._printed = lastwords.size(self._output)
        self.ladder = Ladder(target, config.stop_grace, leftovers_only=bot is None, hung=bool(evidence))

    def end(self, asked: bool) -> tuple[exits.Exit, str | None]:
        """How it ended, and how that is told where it counts as a death; ``asked``: the operator wanted it, too."""
        if self._yielding:
            return self.ladder.end(), YIELDED
        if asked or not self._evidence:
            return self.ladder.end(), None
        found = exits.Exit(None, None, "was killed" if self.ladder.killed else "was ended")
        if self.ladder.status is not None:
            found = exits.explain(self.ladder.status)
        where = _stood(self._output, self._printed, self._config)
        parts = [f"was ill: it {self._evidence}", *([f"was {where}"] if where else []), found.text]
        found = found._replace(text="; it ".join(parts))
        return found, found.text


def _stood(output: str, start: int, config: Config) -> str | None:
    """Where the threads of the bot stood, from what it printed last (faulthandler's dump), without its secrets."""
    from . import stacks  # seldom needed, and not small

    try:
        with open(os.open(output, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            begin = max(start if start <= size else 0, size - _READ)  # the thread that was interrupted comes last
            file.seek(begin)
            said = file.read(_READ)
    except OSError:
        return None
    found = stacks.stuck_at(said.decode("utf-8", "replace"), config.app_dir)
    return found and redact.redact(found, redact.secrets(config))
