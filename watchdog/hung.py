"""The end of a bot that was given up as hung: what spoke against it, and where it stood when it was made to say so."""

from __future__ import annotations

import os
from typing import NamedTuple

from . import exits, lastwords
from .ladder import Ladder
from .watched import Bot

_READ = 65_536


class Ending(NamedTuple):
    """``evidence`` completes "it …"; ``output`` is what the bot prints to, and had ``printed`` bytes before the end."""

    evidence: str
    output: str
    printed: int

    def exit(self, climbed: Ladder, app_dir: str) -> exits.Exit:
        """How it ended, in one sentence with the line where it stood, as far as it printed one."""
        found = exits.Exit(None, None, "was ended")
        if climbed.status is not None:
            found = exits.explain(climbed.status)
        elif climbed.killed:
            found = found._replace(text="was killed")
        where = _stood(self.output, self.printed, app_dir)
        text = "; it ".join((f"was ill: it {self.evidence}", *((f"was {where}",) if where else ()), found.text))
        return found._replace(text=text)


def ending(bot: Bot, evidence: str) -> Ending:
    """Call it before the first signal is sent."""
    return Ending(evidence, bot.output, lastwords.size(bot.output))


def _stood(output: str, start: int, app_dir: str) -> str | None:
    from . import stacks  # seldom needed, and not small

    try:
        with open(os.open(output, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            file.seek(start if start <= os.fstat(file.fileno()).st_size else 0)
            said = file.read(_READ)
    except OSError:
        return None
    return stacks.stuck_at(said.decode("utf-8", "replace"), app_dir)
