"""A bot that is looked at on a virtual clock: each test says what changes from look to look."""

from __future__ import annotations

from typing import Any

from watchdog import judgement
from watchdog.limits import Limits
from watchdog.model import Sign
from watchdog.sockets import Stream
from watchdog.vitals import Look

FEED, POOL = 11, 12
"""Keys of two connections."""

MONDAY = 1_795_996_800.0
"""2026-11-30 00:00 UTC."""


def stream(key: int = FEED, received: int = 0, backlog: int = 0, closing: bool = False) -> Stream:
    """A connection."""
    return Stream(key, f"192.0.2.{key}:443", closing, backlog, received)


class Watched:
    """One life of a bot. Attributes are what the next look sees; ``said`` has every set of signs so far."""

    def __init__(self, vows: float | None = None, at: float = 5_000.0, wary: float = 0.0, **limits: Any) -> None:
        self.limits = Limits(**limits)
        self.at, self.utc, self.vows = at, MONDAY, vows
        self.state, self.ticks, self.switches, self.working = "S", 0, 0, False
        self.streams: dict[int, Stream] | None = {}
        self.beats, self.longest = 0, 0.0
        self.beat_at: float | None = None
        self.file: tuple[int, ...] | None = None
        self.counted = True
        self.case = judgement.opened(at, wary)
        self.said: list[tuple[Sign, ...]] = []

    def look(self) -> dict[str, Sign]:
        """One look; the signs there are."""
        look = Look(
            self.at, self.state, self.ticks, None if self.streams is None else tuple(self.streams.values()),
            self.switches if self.counted else None, self.working, self.beats, self.beat_at, self.longest, self.file,
        )  # fmt: skip
        self.case, signs = judgement.judge(self.case, look, self.limits, self.utc, self.vows)
        self.said.append(signs)
        return {sign.kind: sign for sign in signs}

    def wait(self, seconds: float) -> None:
        """Time passes, and nobody looks."""
        self.at += seconds
        self.utc += seconds

    def beat(self) -> None:
        """A heartbeat comes now."""
        if self.beat_at is not None:
            self.longest = max(self.longest, self.at - self.beat_at)
        self.beats, self.beat_at = self.beats + 1, self.at

    def arrives(self, count: int, key: int = FEED) -> None:
        """Data come and lie there."""
        assert self.streams is not None
        had = self.streams.get(key, stream(key))
        self.streams[key] = had._replace(received=had.received + count, backlog=had.backlog + count)

    def reads(self, key: int = FEED) -> None:
        """The bot reads all there is, which takes it a moment."""
        assert self.streams is not None
        self.streams[key] = self.streams[key]._replace(backlog=0)
        self.works()

    def works(self, seconds: float = 0.01) -> None:
        """A thread runs for so long."""
        self.ticks += max(1, round(seconds * 100))
        self.switches += 1

    def live(self, seconds: float, beating: bool = False, data: int = 3000) -> dict[str, Sign]:
        """A healthy time: data come and are read between all looks. The signs of the last look."""
        signs = self.look()
        end = self.at + seconds
        while self.at < end:
            self.wait(self.limits.look_every)
            if data:
                self.arrives(data)
                self.reads()
            if beating:
                self.beat()
            signs = self.look()
        return signs

    def hang(self, seconds: float, data: int = 3000) -> dict[str, Sign]:
        """Nothing moves any more, while data come. The signs of the last look."""
        signs: dict[str, Sign] = {}
        end = self.at + seconds
        while self.at < end:
            self.wait(self.limits.look_every)
            if data:
                self.arrives(data)
            signs = self.look()
        return signs

    def first(self, kind: str, proof: bool) -> Sign | None:
        """The first sign of a kind that was, or was not, a proof."""
        return next((sign for signs in self.said for sign in signs if sign[:2] == (kind, proof)), None)
