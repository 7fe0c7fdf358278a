"""Lives at random: bots of every make, in every kind of weather, half of which fall ill in one way or another."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.verdicts.healthy import EVERY, HOUR, MINUTE, Trial
from tests.verdicts.sick import FOREVER
from tests.verdicts.simulated import Bot
from watchdog.limits import Limits

WELL = 3 * HOUR
ILL = 45 * MINUTE


class Make(NamedTuple):
    """How a bot is built. ``beats``: seconds between two heartbeats, 0 for none, and whether ``data`` make them."""

    beats: float
    data: bool
    vows: float | None
    threads: bool
    rate: float
    cpu: float
    writes: bool
    late: float

    def longest(self, most: float) -> float:
        """Seconds for which it may do nothing: as a bot that keeps its own promises."""
        most = min(most, 200.0) if self.writes else most
        return most if self.vows is None else min(most, self.vows - 1.2 * self.beats)


def draw(seed: int) -> Trial:
    """One life; its name is the illness, or ``well``."""
    rng = random.Random(seed)
    mode = rng.choice(["none", "none", "data", "timer", "vow"])
    vows = rng.uniform(20, 120) if mode == "vow" else None
    beats = 0.0 if mode == "none" else vows / rng.uniform(2.5, 6) if vows else rng.choice([0.5, 1.0, 5.0, 20.0])
    limits = rng.choice([Limits(), Limits(), Limits(deaf_after=600.0), EVERY])
    make = Make(
        beats, mode == "data", vows, rng.random() < 0.5, 10 ** rng.uniform(1.3, 4.3), rng.choice([0.0, 0.01, 0.2, 0.6]),
        bool(limits.fresh_after), rng.choice([1.0, 1.2, 2.5]),
    )  # fmt: skip
    illness = rng.choice([None, *ILLNESSES])
    if rng.random() < 0.4:
        illness = None

    def behaviour(bot: Bot) -> None:
        bot.late = make.late
        if bot.rng.random() < 0.5:
            bot.pools(*bot.rng.choices([0, 24, 31, 510, 4_000], k=3), closing=bot.rng.random() < 0.5)
        onset = bot.now + bot.rng.uniform(10, 40) * MINUTE
        while illness is None or bot.now < onset:
            _works(bot, make, bot.rng.uniform(1, 15) * MINUTE)
            bot.rng.choice(WEATHERS)(bot, make)
        _works(bot, make, bot.rng.uniform(1, 3) * MINUTE)
        bot.falls_ill(0.0 if bot.hung_after else ILL)
        ILLNESSES[illness](bot, make)

    truth = "well" if illness is None else "hung" if _shows(illness, make, limits) else "ill"
    return Trial(illness or "well", behaviour, limits, vows, 10 * WELL if illness else WELL, truth)


def _shows(illness: str, make: Make, limits: Limits) -> bool:
    """Whether the illness leads to a sign that may restart the bot."""
    if illness == "mute feed":
        return "deaf" in limits.restart_on
    if make.writes or illness in ("stopped", "deadlock"):
        return True
    if illness in ("spinning", "dead loop"):
        return make.beats > 0
    return make.vows is not None and illness != "dead loop beside a beating thread"


def _works(bot: Bot, make: Make, seconds: float, data: float | None = None, beats: float | None = None) -> None:
    while seconds > 0:
        if make.writes:
            bot.writes()
        rate = make.rate if data is None else data
        bot.goes_on(min(seconds, 30), data=rate, cpu=make.cpu, beats=make.beats if beats is None else beats)
        seconds -= 30


# Weather: what happens to healthy bots -------------------------------------------------------------------------------


def _fair(bot: Bot, make: Make) -> None:
    pass


def _quiet_market(bot: Bot, make: Make) -> None:
    least = 5.0 if make.writes else 0.0  # who is restarted for silence has a market that is never silent
    _works(bot, make, bot.rng.uniform(5, 90) * MINUTE, least + bot.rng.uniform(0, 3), 0.0 if make.data else None)


def _blocking_call(bot: Bot, make: Make) -> None:
    bot.goes_on(make.longest(bot.rng.uniform(5, 110)), data=make.rate, reads=0, moves=make.threads, cpu=0.0)


def _computation(bot: Bot, make: Make) -> None:
    share = bot.rng.uniform(0.4, 1.0)
    bot.goes_on(make.longest(bot.rng.uniform(1, 25) * MINUTE), data=make.rate, reads=0, cpu=share)


def _slow_reading(bot: Bot, make: Make) -> None:
    seconds = bot.rng.uniform(1, 20) * MINUTE if not make.writes else 100
    bot.goes_on(seconds, data=make.rate, reads=make.rate * bot.rng.uniform(0.2, 0.9), cpu=make.cpu, beats=make.beats)


def _reconnects(bot: Bot, make: Make) -> None:
    for _ in range(bot.rng.randrange(1, 12)):
        bot.disconnects()
        bot.goes_on(bot.rng.uniform(0.1, 30), cpu=make.cpu, beats=0.0 if make.data else make.beats)
        bot.connects()
        _works(bot, make, bot.rng.uniform(1, 40))


def _debugger(bot: Bot, make: Make) -> None:
    bot.goes_on(bot.rng.uniform(1, 10) * MINUTE, data=make.rate, reads=0, moves=False, cpu=0.0, wants=1.0, state="t")


def _suspended(bot: Bot, make: Make) -> None:
    bot.host_sleeps(bot.rng.choice([46, 90, 300, 2_000]))


def _blind_guard(bot: Bot, make: Make) -> None:
    for _ in range(bot.rng.randrange(2, 20)):
        if make.writes:
            bot.writes()
        bot.goes_on(30, data=make.rate, cpu=make.cpu, beats=make.beats, looked_at=False)


def _overload(bot: Bot, make: Make) -> None:
    beats = make.beats * bot.rng.uniform(3, 40)
    share = bot.rng.uniform(0.01, 0.22)
    bot.goes_on(
        bot.rng.uniform(1, 20) * MINUTE, data=make.rate, reads=make.rate * 0.1, cpu=share, wants=0.95, beats=beats
    )


def _dead_disk(bot: Bot, make: Make) -> None:
    bot.goes_on(bot.rng.uniform(1, 10) * MINUTE, data=make.rate, reads=0, moves=False, cpu=0.0, wants=1.0, state="D")


def _moment_stopped(bot: Bot, make: Make) -> None:
    seconds = make.longest(bot.rng.uniform(1, 50))
    bot.goes_on(seconds, data=make.rate, reads=0, moves=False, cpu=0.0, state="T")


def _wall_clock(bot: Bot, make: Make) -> None:
    bot.utc += bot.rng.choice([-86_400, -3_600, 3_600, 1e8])


def _counters(bot: Bot, make: Make) -> None:
    bot.ticks, bot.switches = bot.ticks // 3, bot.switches // 3


WEATHERS: tuple[Callable[[Bot, Make], None], ...] = (
    _fair, _quiet_market, _blocking_call, _computation, _slow_reading, _reconnects, _debugger, _suspended, _blind_guard,
    _overload, _dead_disk, _moment_stopped, _wall_clock, _counters,
)  # fmt: skip


# Illnesses -----------------------------------------------------------------------------------------------------------


def _stopped(bot: Bot, make: Make) -> None:
    bot.goes_on(FOREVER, data=make.rate, reads=0, moves=False, cpu=0.0, state="T")


def _deadlock(bot: Bot, make: Make) -> None:
    _hangs(bot, make.rate)


def _deadlock_in_silence(bot: Bot, make: Make) -> None:
    _hangs(bot, 1.0)


def _hangs(bot: Bot, rate: float) -> None:
    bot.goes_on(bot.rng.uniform(30, 200), data=rate, reads=0, moves=False, cpu=0.0)
    end = bot.rng.choice(["open", "closed", "reset"])
    feed = bot.streams[bot.feed]
    if end == "closed":
        bot.streams[bot.feed] = feed._replace(closing=True, backlog=feed.backlog + 32, received=feed.received + 32)
    elif end == "reset":
        del bot.streams[bot.feed]
    bot.goes_on(FOREVER, data=rate, reads=0, moves=False, cpu=0.0)


def _spinning(bot: Bot, make: Make) -> None:
    bot.goes_on(FOREVER, data=make.rate, reads=0, cpu=bot.rng.uniform(0.6, 1.0), wants=1.0)


def _dead_loop(bot: Bot, make: Make) -> None:
    bot.goes_on(FOREVER, data=make.rate, reads=0, cpu=0.02)


def _dead_loop_beating(bot: Bot, make: Make) -> None:
    bot.goes_on(FOREVER, data=make.rate, reads=0, cpu=0.02, beats=make.beats)


def _useless(bot: Bot, make: Make) -> None:
    bot.goes_on(FOREVER, data=make.rate, cpu=make.cpu)


def _mute(bot: Bot, make: Make) -> None:
    _works(bot, make, FOREVER, 1.0, 0.0 if make.data else None)


ILLNESSES: dict[str | None, Callable[[Bot, Make], None]] = {
    "stopped": _stopped,
    "deadlock": _deadlock,
    "deadlock in a silent market": _deadlock_in_silence,
    "spinning": _spinning,
    "dead loop": _dead_loop,
    "dead loop beside a beating thread": _dead_loop_beating,
    "reads and does nothing": _useless,
    "mute feed": _mute,
}
