"""Bots that do no work any more, each in its own way, from some minute of their life on."""

from __future__ import annotations

from tests.verdicts.healthy import EVERY, HOUR, MINUTE, Trial
from tests.verdicts.simulated import Bot
from watchdog.limits import Limits

FOREVER = 10_000 * HOUR


def well(bot: Bot, beats: float = 0.0) -> None:
    """Some minutes of work before it falls ill."""
    bot.goes_on(bot.rng.uniform(3, 30) * MINUTE, beats=beats)
    bot.falls_ill()


def stopped(bot: Bot) -> None:
    """SIGSTOP."""
    well(bot)
    bot.goes_on(FOREVER, reads=0, moves=False, cpu=0.0, state="T")


def deadlock(bot: Bot) -> None:
    """All threads wait for each other, in Python or in C."""
    well(bot)
    bot.goes_on(FOREVER, reads=0, moves=False, cpu=0.0)


def deadlock_and_closed(bot: Bot) -> None:
    """The same, and the server gives up on it after a minute without an answer."""
    well(bot)
    bot.goes_on(MINUTE, reads=0, moves=False, cpu=0.0)
    feed = bot.streams[bot.feed]
    bot.streams[bot.feed] = feed._replace(closing=True, backlog=feed.backlog + 32, received=feed.received + 32)
    bot.goes_on(FOREVER, reads=0, moves=False, cpu=0.0)


def deadlock_and_reset(bot: Bot) -> None:
    """The same, and the connection is gone after a minute."""
    well(bot)
    bot.goes_on(MINUTE, reads=0, moves=False, cpu=0.0)
    del bot.streams[bot.feed]
    bot.goes_on(FOREVER, reads=0, moves=False, cpu=0.0)


def deadlock_in_a_quiet_market(bot: Bot) -> None:
    """All threads wait for each other, and it had named a deadline for its heartbeats."""
    well(bot, beats=5.0)
    bot.goes_on(FOREVER, data=1, reads=0, moves=False, cpu=0.0)


def spinning(bot: Bot) -> None:
    """It runs in circles."""
    well(bot, beats=5.0)
    bot.goes_on(FOREVER, reads=0, cpu=1.0)


def dead_loop(bot: Bot) -> None:
    """The loop waits for ever; another thread lives on."""
    well(bot, beats=5.0)
    bot.goes_on(FOREVER, reads=0, cpu=0.02)


def dead_loop_beating_thread(bot: Bot) -> None:
    """The loop waits for ever; the thread that beats lives on."""
    well(bot, beats=5.0)
    bot.goes_on(FOREVER, reads=0, beats=5.0, cpu=0.02)


def reads_and_does_nothing(bot: Bot) -> None:
    """Data are read and thrown away; the heartbeats have ended, whose pace was only learned."""
    well(bot, beats=5.0)
    bot.goes_on(FOREVER)


def hung_at_its_start(bot: Bot) -> None:
    """It hangs before it has read anything of note."""
    bot.falls_ill()
    bot.goes_on(FOREVER, reads=0, moves=False, cpu=0.0)


def without_network(bot: Bot) -> None:
    """A bot that has no connection beats, and then does not."""
    bot.disconnects()
    well(bot, beats=5.0)
    bot.goes_on(FOREVER, moves=False, cpu=0.0)


def mute(bot: Bot) -> None:
    """Connected, and nothing comes but pings."""
    well(bot)
    bot.goes_on(FOREVER, data=1.5)


def lost(bot: Bot) -> None:
    """Its connection is gone, and it does not try again."""
    well(bot)
    bot.disconnects()
    bot.goes_on(FOREVER)


def stale(bot: Bot) -> None:
    """It lives and reads, and writes its file no more."""
    for _ in range(30):
        bot.writes()
        bot.goes_on(20)
    bot.falls_ill()
    bot.goes_on(FOREVER)


DEAF = Limits(deaf_after=600.0)

TRIALS = (
    Trial("stopped", stopped, truth="hung", within=80, seconds=4 * HOUR),
    Trial("deadlock, feed unread", deadlock, truth="hung", within=155, seconds=4 * HOUR),
    Trial("deadlock, the server closes after 1 min", deadlock_and_closed, truth="hung", within=155, seconds=4 * HOUR),
    Trial("deadlock, connection reset after 1 min", deadlock_and_reset, truth="hung", within=155, seconds=4 * HOUR),
    Trial(
        "deadlock in a quiet market, 30 s promised", deadlock_in_a_quiet_market, vows=30.0, truth="hung", within=50,
        seconds=4 * HOUR,
    ),
    Trial("spinning, 30 s promised", spinning, vows=30.0, truth="hung", within=110, seconds=4 * HOUR),
    Trial("spinning, pace learned", spinning, truth="hung", within=1830, seconds=8 * HOUR),
    Trial("dead loop, other thread alive, pace learned", dead_loop, truth="hung", within=300, seconds=4 * HOUR),
    Trial("no connection ever, pace learned", without_network, truth="hung", within=145, seconds=4 * HOUR),
    Trial("mute feed, may restart", mute, EVERY, truth="hung", within=680, seconds=8 * HOUR),
    Trial("connection lost, may restart", lost, EVERY, truth="hung", within=680, seconds=8 * HOUR),
    Trial("file no longer written, may restart", stale, EVERY, truth="hung", within=340, seconds=8 * HOUR),
    Trial("mute feed", mute, DEAF, truth="ill", within=680, seconds=8 * HOUR),
    Trial("dead loop beside a beating thread", dead_loop_beating_thread, truth="ill", within=90, seconds=8 * HOUR),
    Trial("reads and does nothing, pace learned", reads_and_does_nothing, truth="ill", within=80, seconds=8 * HOUR),
    Trial("hung at its start", hung_at_its_start, truth="ill", within=90, seconds=8 * HOUR),
)  # fmt: skip
