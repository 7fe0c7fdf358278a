"""Watching one life of the bot: when to look at it, what it says of itself, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import clock, freshness, growth, judgement, quiet, redact, samples, sockets, vitals
from .config import Config
from .evidence import GAP
from .journal import Journal, clean
from .model import Sign
from .paths import Paths

SAID = 200
"""Characters of the bot's own STATUS= that are shown."""

SHORTEST = 0.5
"""Seconds; a bot that promises a heartbeat more often, as by a slip of units, is not held to it."""

_TRIGGER = "says itself that it has to be restarted (WATCHDOG=trigger)"


class Monitor:
    """`begin` with every bot that is watched, `end` when it is not any more; `look` whenever ``due`` has come."""

    def __init__(self, config: Config, paths: Paths, journal: Journal) -> None:
        self._config, self._limits, self._journal = config, config.limits, journal
        self._store = samples.Store(paths.samples)
        self._complained = False
        self._wary = 0.0
        self._file = freshness.File(config.fresh_file or "")
        self._pid: int | None = None
        self._recent: tuple[samples.Sample, ...] = ()
        self.signs: tuple[Sign, ...] = ()
        self.due: float | None = None
        self._anew()

    def begin(self, pid: int) -> None:
        """Another bot, or the same one found again: what was known of its health counts no more."""
        self._anew()
        self._pid = pid
        self.due = clock.now() + self._limits.look_every

    def renew(self) -> None:
        """Nothing that was seen up to now counts any more."""
        self._case = judgement.opened(clock.now(), self._wary)
        self._triggered = False
        self._recent = self.signs = ()

    def end(self) -> None:
        """Nobody is to be looked at."""
        self._anew()
        self._pid = self.due = None

    def _anew(self) -> None:
        self.renew()
        self._sample_at = clock.now() + self._limits.sample_every
        self._beats, self._vows = vitals.Beats(), 0.0
        self._book = sockets.Book()
        self._look: vitals.Look | None = None
        self._since: vitals.Look | None = None
        self._received = 0
        self._saying = ""

    def heard(self, line: str) -> None:
        """A line that the bot sent to its notify socket (sd_notify(3))."""
        name, _, value = line.partition("=")
        if line == "WATCHDOG=1":
            if self._look and clock.now() - self._look.at > GAP * self._limits.look_every:  # of that time nobody knows
                self._beats = self._beats._replace(at=None)
            self._beats = vitals.heard(self._beats, clock.now())
        elif line == "WATCHDOG=trigger":
            self._triggered, self.due = True, clock.now()
        elif name == "WATCHDOG_USEC" and value.isdecimal() and value.isascii() and len(value) < 18:
            vows = int(value) / 1e6
            self._vows = vows if vows >= SHORTEST else 0.0
        elif line == "STOPPING=1":  # it says good-bye: from now on no heartbeat is owed
            self._beats = vitals.Beats()
        elif name == "STATUS":
            self._saying = value

    def missed(self) -> None:
        """What was said to the notify socket was too much for it: a heartbeat may be among what was lost.

        The bot is given the benefit of the doubt, and its pace is learned anew.
        """
        if self._beats.number:
            self._beats = vitals.Beats(1, clock.now())

    def look(self) -> tuple[Sign, ...]:
        """Look at the bot now; the signs that it is ill."""
        now = clock.now()
        self.due = now + self._limits.look_every
        if self._pid is None:
            return ()
        look = vitals.look(self._pid, self._look, self._beats, self._file, self._book, self._case.doubt)
        if look is None:  # it has just ended, which the engine is about to hear
            return ()
        self._received += sockets.arrived(self._look.streams if self._look else None, look.streams)
        self._look, self._since = look, self._since or look
        vows = self._vows or None
        self._case, signs = judgement.judge(self._case, look, self._limits, clock.utc(), vows)
        self._wary = judgement.warier(self._wary, signs, self._limits, vows)
        if now >= self._sample_at:
            self._sample_at = now + self._limits.sample_every
            self._sample(look)
        if self._triggered:
            proof = "heartbeat" in self._limits.restart_on
            signs = (*signs, Sign("heartbeat", proof, _TRIGGER, now, 0.0, 0.0))
        self.signs = (*signs, *growth.over(self._recent, self._limits, self._since.at))
        self.due = min(self.due, self._sample_at)
        return self.signs

    def acquits(self, kinds: tuple[str, ...]) -> bool:
        """Whether a bot without signs was watched for so long that it has none of these illnesses any more."""
        look = self._look
        if look is None or (any(kind in growth.KINDS for kind in kinds) and len(self._recent) < self._limits.of[1]):
            return False
        return judgement.acquits(self._case, look, kinds, self._limits)

    def report(self) -> dict[str, Any]:
        """What `status` shows of all that; empty while there is nothing to tell."""
        look = self._look
        if look is None:
            return {}
        now = clock.now()
        streams = look.streams
        return {
            "looked_s_ago": round(now - look.at, 1),
            "connections": None if streams is None else len(streams),
            "backlog_bytes": None if streams is None else sum(stream.backlog for stream in streams),
            "beats": self._beats.number,
            "last_beat_s_ago": None if self._beats.at is None else round(now - self._beats.at, 1),
            "longest_gap_s": round(self._beats.longest, 1),
            "quiet": quiet.is_quiet(self._limits.quiet, clock.utc()),
            "says": redact.redact(clean(self._saying), redact.secrets(self._config))[:SAID] or None,
        }

    def _sample(self, look: vitals.Look) -> None:
        since, used = self._since, None if self._pid is None else vitals.measure(self._pid)
        if since is None or used is None or look.at <= since.at:
            return
        streams = look.streams or ()
        sample = samples.Sample(
            utc=int(clock.utc()),
            cpu=round(100 * (look.ticks - since.ticks) / clock.TICKS_PER_SECOND / (look.at - since.at), 1),
            memory=used.memory,
            descriptors=used.descriptors or 0,
            ceiling=used.ceiling or 0,
            threads=used.threads,
            connections=len(streams),
            backlog=sum(stream.backlog for stream in streams),
            received=self._received,
        )
        self._since, self._received = look, 0
        self._recent = (*self._recent, sample)[-self._limits.of[1] :]
        error = self._store.add(sample)
        if error and not self._complained:
            self._journal.say("warning", f"cannot write to {self._store.folder}: {error.strerror}; going on without it")
        self._complained = error is not None


def document(signs: Iterable[Sign], now: float) -> list[dict[str, Any]]:
    """The signs as JSON objects."""
    return [
        {
            "kind": sign.kind,
            "proof": sign.proof,
            "text": sign.text,
            "since_s": round(max(0.0, now - sign.since), 1),
            "measured": round(sign.measured, 3),
            "limit": round(sign.limit, 3),
        }
        for sign in signs
    ]
