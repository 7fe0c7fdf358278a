"""B1 and B2: the bot's lock, and what holding it, or not getting it, says about the bot."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from . import clock, identity, locks, procfs
from .config import Config
from .identity import Identity
from .instance import Instance

PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.EIO})
"""Errors of a machine that is short of something: one of them proves nothing, neither a bot nor its absence."""

PATIENCE = 5.0
"""Seconds that such errors may go on until they are reported."""

CONTENTION = 2.0
"""Seconds that an unidentified process may hold the bot's lock until it is reported (`run` does for an instant)."""


class Finding(NamedTuple):
    """``bot``: it runs. ``leftovers``: a dead bot's children hold on. ``unclear``: hands off. ``wait``: look again in a
    moment. ``vacant``: the lock is ours and nobody is there. ``text`` says how the bot was found or what is unclear.
    """

    kind: str
    text: str = ""
    bot: Identity | None = None
    others: tuple[Identity, ...] = ()


class Claim:
    """The claim to the bot's place: while it is held nobody else can start a bot."""

    def __init__(self, config: Config, instance: Instance) -> None:
        self._config, self._instance = config, instance
        self._contended_since: float | None = None
        self._troubled_since: float | None = None
        self.descriptor: int | None = None

    @property
    def contended(self) -> bool:
        """True while somebody unidentified holds the lock, or looking fails, and it has not been reported yet."""
        return self._contended_since is not None or self._troubled_since is not None

    def inherit(self) -> None:
        """Take the lock that an earlier release in this very process held, if it held it."""
        self.descriptor = locks.inherited(self._instance.bot_lock)

    def others(self, known: Identity | None) -> tuple[Identity, ...]:
        """Further bots beside the one that is watched, as far as it can be seen just now."""
        try:
            return identity.look(self._config, self._instance, known).others
        except OSError:  # the machine is short of something; the next look comes by itself
            return ()

    def look_anew(self) -> None:
        """Give whoever holds the lock its time once more."""
        self._contended_since = self._troubled_since = None

    def examine(self, known: Identity | None, patient: bool) -> Finding:
        """Take the lock if it is free, and look. ``known`` is the bot recorded last; with ``patient`` a stranger at the
        lock is waited for before it is called unclear.
        """
        try:
            found = self._look(known, patient)
        except OSError as error:
            return self._trouble(error)
        self._troubled_since = None
        return found

    def _look(self, known: Identity | None, patient: bool) -> Finding:
        if self.descriptor is None:
            self.descriptor = locks.acquire(self._instance.bot_lock)
        if self.descriptor is None:
            return self._holder(known, patient)
        self._contended_since = None
        seen = identity.look(self._config, self._instance, known)
        if seen.bot:
            return Finding("bot", "without the lock, probably started by hand", seen.bot, seen.others)
        if seen.leftovers:
            return Finding("leftovers")
        return Finding("unclear", seen.unknown) if seen.unknown else Finding("vacant")

    def release(self) -> None:
        """Let go of the lock; a bot that inherited it keeps it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def _trouble(self, error: OSError) -> Finding:
        self.release()
        now = clock.now()
        if self._troubled_since is None:
            self._troubled_since = now
        if error.errno in PASSING and now - self._troubled_since < PATIENCE:
            return Finding("wait")
        self._troubled_since = None
        where = error.filename or self._instance.bot_lock
        return Finding("unclear", f"cannot tell whether the bot runs: {where}: {error.strerror}")

    def _holder(self, known: Identity | None, patient: bool) -> Finding:
        pids = [pid for pid in locks.holders(self._instance.bot_lock) if pid != os.getpid()]
        found = identity.among(pids, self._config, self._instance, known)
        if found:
            self._contended_since = None
            seen = identity.look(self._config, self._instance, found)
            others = tuple(one for one in (seen.bot, *seen.others) if one and one.pid != found.pid)
            return Finding("bot", "it holds the bot's lock", found, others)
        if pids and identity.are_leftovers(pids, known):
            return Finding("leftovers")
        now = clock.now()
        if self._contended_since is None:
            self._contended_since = now
        if patient and now - self._contended_since < CONTENTION:
            return Finding("wait")
        self._contended_since = None
        orphans = identity.orphan_text(identity.orphaned(pids, known), known)
        if orphans:
            return Finding("unclear", orphans)
        named = ", ".join(f"PID {pid} ({' '.join(procfs.cmdline(pid))[:60]})" for pid in pids)
        who = named or "a process nobody can see"
        return Finding("unclear", f"{who} holds {self._instance.bot_lock} and is not known to be the bot")
