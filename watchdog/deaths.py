"""How a life of the bot ended, or why none began: into the ledger, and before the policy."""

from __future__ import annotations

from . import clock, exits, identity, lastwords, model, procfs, sources
from .config import Config
from .ledger import Ledger
from .paths import Paths
from .states import ALIVE
from .stopping import Stopping
from .watched import Bot


class Deaths:
    """`begin` with every life, `note` once there is time: what it runs has to be known before a deploy comes."""

    def __init__(self, config: Config, paths: Paths, ledger: Ledger) -> None:
        self._config, self._paths, self._ledger = config, paths, ledger
        self._code = ""

    def begin(self) -> None:
        """Another life: what it runs is not known yet."""
        self._code = ""

    def note(self) -> None:
        """Look at what this life runs, unless that was done."""
        self._code = self._code or sources.signature(self._config)

    def unborn(self, error: OSError) -> None:
        """The kernel would not start it, or there was nothing to start."""
        where = f": {error.filename}" if error.filename else ""
        text = f"could not be started: {error.strerror or error}{where}"
        self._code = sources.signature(self._config) if self._ledger.memory.attempt else ""  # a first retry is at once
        self._ledger.ended(exits.Exit(None, None, text), None, None)
        self._count(None, None, text, 0.0, False)

    def by_itself(self, bot: Bot) -> None:
        """It ended, and nobody of ours had to do with that."""
        said, uptime, end = bot.said(), bot.uptime, bot.end()
        self._ledger.ended(end, bot.identity.pid, said)
        self._count(bot.identity.pid, end.code, end.text, uptime, bot.verified)

    def ended(self, bot: Bot, stopping: Stopping, asked: bool, wanted: bool) -> None:
        """We ended it. ``asked``: the operator wanted that; ``wanted``: and another one to be started."""
        end, failure = stopping.end(asked)
        uptime = bot.uptime
        self._ledger.ended(end, bot.identity.pid, bot.said())
        if failure is None:
            self._ledger.feed(model.Stopped(restarting=wanted))
        else:
            self._count(bot.identity.pid, None, failure, uptime, bot.verified)

    def vanished(self) -> None:
        """The recorded bot is gone and nobody saw it go: a reboot, or it died while no guard lived."""
        gone, memory = self._ledger.known, self._ledger.memory
        if gone is None or memory.phase not in ALIVE:
            return
        if gone.boot != clock.boot_id():
            self._ledger.feed(model.Rebooted())
            return
        end = exits.Exit(None, None, "ended while no guard watched (cause unknown)")
        if procfs.is_child(gone.pid, gone.start):  # it died while this process changed its release
            end = exits.of(gone.pid, -1, child=True)
        else:
            unburied = identity.unburied(gone.pid, gone.start)
            end = end._replace(text=f"{end.text}; {unburied}" if unburied else end.text)
        self._ledger.ended(end, gone.pid, lastwords.whole(self._paths.bot_out))
        since = memory.running_since
        self._count(gone.pid, end.code, end.text, 0.0 if since is None else clock.now() - since, since is not None)

    def _count(self, pid: int | None, code: int | None, text: str, uptime: float, verified: bool) -> None:
        self._ledger.feed(model.Died(pid, code, text, uptime, verified, self._code))
