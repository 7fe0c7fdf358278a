"""Healthy bots that are odd: each would be restarted by some rule that sounds sensible."""

from __future__ import annotations

from typing import NamedTuple

from tests.verdicts.simulated import Behaviour, Bot
from watchdog import quiet
from watchdog.limits import Limits

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

EVERY = Limits(fresh_after=300.0, deaf_after=600.0, restart_on=("stopped", "backlog", "heartbeat", "file", "deaf"))
"""An operator who lets every sign restart the bot."""


class Trial(NamedTuple):
    """A behaviour to be lived through. ``truth``: well, hung (to be restarted) or ill (somebody is to be told).

    ``within``: seconds from falling ill to the verdict. ``vows``: the deadline that the bot named (WATCHDOG_USEC).
    """

    name: str
    behaviour: Behaviour
    limits: Limits = Limits()
    vows: float | None = None
    seconds: float = HOUR
    truth: str = "well"
    within: float = 0.0


def idle(bot: Bot) -> None:
    """It waits for a market that does nothing; pings are all that comes."""
    while True:
        bot.goes_on(MINUTE, data=1, cpu=0.0)


def idle_pool(bot: Bot) -> None:
    """It sleeps an hour at a time, beside connections that their servers have closed, or greeted with tickets."""
    bot.goes_on(MINUTE)
    bot.disconnects()
    while True:
        bot.streams.clear()
        bot.pools(31, 31, 24, 4_000)
        bot.pools(0, 510, 31, closing=False)
        bot.goes_on(HOUR, cpu=0.0, moves=False)
        bot.goes_on(20, cpu=0.3)


def busy_and_beating(bot: Bot) -> None:
    """It computes without end, and beats."""
    while True:
        bot.goes_on(MINUTE, cpu=1.0, beats=5.0)


def busy_and_not_reading(bot: Bot) -> None:
    """It computes for an hour at a time, and its feed has to wait meanwhile."""
    bot.goes_on(5 * MINUTE)
    while True:
        bot.goes_on(HOUR, cpu=1.0, reads=0)
        bot.goes_on(MINUTE)


def reconnecting(bot: Bot) -> None:
    """Its connections last for seconds."""
    while True:
        bot.connects()
        bot.goes_on(bot.rng.uniform(1, 40), data=bot.rng.choice([0, 5, 2_000]))
        bot.disconnects()
        bot.goes_on(bot.rng.uniform(0.1, 20))


def quiet_market(bot: Bot) -> None:
    """Data make its heartbeats, one a second at most; by night there are hardly any."""
    while True:
        bot.goes_on(10 * HOUR, beats=1.0)
        for _ in range(9):
            bot.goes_on(bot.rng.uniform(20, 80) * MINUTE, data=bot.rng.choice([0, 2, 30]))
            bot.goes_on(bot.rng.uniform(1, 3), beats=1.0)


def quiet_pair(bot: Bot) -> None:
    """The whole market comes in as ever, and its own pair, which makes the heartbeats, is not traded for hours."""
    while True:
        bot.goes_on(HOUR, beats=1.0)
        bot.goes_on(5 * HOUR)


def quiet_and_busy(bot: Bot) -> None:
    """A thread of it spins all the time, by design; data make the heartbeats, and hours pass without any."""
    while True:
        bot.goes_on(HOUR, beats=1.0, cpu=1.0)
        bot.goes_on(5 * HOUR, cpu=1.0, data=5)


def collecting(bot: Bot) -> None:
    """The garbage collector, or a gigantic order book, takes some minutes now and then."""
    while True:
        bot.goes_on(10 * MINUTE, beats=1.0)
        bot.goes_on(bot.rng.uniform(1, 4) * MINUTE, reads=0, cpu=1.0)


def computing(bot: Bot) -> None:
    """Every hour it trains its model for up to 25 minutes, and neither reads nor beats meanwhile."""
    while True:
        bot.goes_on(HOUR, beats=1.0)
        bot.goes_on(bot.rng.uniform(5, 25) * MINUTE, reads=0, cpu=bot.rng.uniform(0.6, 1.0))


def debugged(bot: Bot) -> None:
    """Somebody holds it at a breakpoint (state t) for ten minutes, lets it run slowly, and holds it again."""
    while True:
        bot.goes_on(5 * MINUTE, beats=5.0)
        bot.goes_on(10 * MINUTE, reads=0, moves=False, cpu=0.0, wants=1.0, state="t")
        bot.goes_on(2 * MINUTE, beats=15.0, wants=1.0, cpu=0.05)


def suspended(bot: Bot) -> None:
    """Its host is suspended for minutes to hours, at any moment."""
    while True:
        bot.goes_on(bot.rng.uniform(1, 400), beats=2.0)
        bot.goes_on(bot.rng.uniform(0, 50), reads=0, moves=False, cpu=0.0)
        bot.host_sleeps(bot.rng.choice([50, 300, 4_000]))


def guard_starved(bot: Bot) -> None:
    """The guard looks late, or is stopped itself for minutes; the bot waits for an answer of 50 s at such moments."""
    bot.late = 2.9
    while True:
        bot.goes_on(bot.rng.uniform(60, 400), beats=2.0)
        bot.goes_on(50, reads=0, moves=False, cpu=0.0)
        bot.goes_on(bot.rng.uniform(46, 600), beats=2.0, looked_at=False)


def overloaded(bot: Bot) -> None:
    """Its host has no CPU to spare: it gets 3 %, wants to run nearly always, and beats much too late."""
    while True:
        bot.goes_on(10 * MINUTE, beats=2.0)
        bot.goes_on(bot.rng.uniform(1, 30) * MINUTE, cpu=0.03, wants=0.95, reads=30, beats=bot.rng.uniform(50, 400))


def throttled(bot: Bot) -> None:
    """Its container may use a fifth of a core: it wants more than it gets."""
    while True:
        bot.goes_on(10 * MINUTE, beats=2.0)
        bot.goes_on(bot.rng.uniform(5, 20) * MINUTE, cpu=0.2, wants=0.9, reads=100)


def dead_disk(bot: Bot) -> None:
    """The disk it logs to does not answer for ten minutes (state D); nothing is written, read or said meanwhile."""
    while True:
        for _ in range(60):
            bot.writes()
            bot.goes_on(10, beats=2.0)
        bot.goes_on(10 * MINUTE, reads=0, moves=False, cpu=0.0, state="D")


def slow_consumer(bot: Bot) -> None:
    """It reads a little of what waits, more slowly than it comes."""
    while True:
        bot.goes_on(HOUR, reads=400)


def slow_in_bites(bot: Bot) -> None:
    """It handles one message a minute and sleeps in between, with megabytes waiting."""
    while True:
        bot.goes_on(55, reads=0, moves=False, cpu=0.0)
        bot.goes_on(1, reads=3_000)


def sleeping_poller(bot: Bot) -> None:
    """It sleeps for five minutes, single-threaded, reads what its feed has brought, and sleeps again."""
    bot.goes_on(bot.rng.uniform(5, 20))
    while True:
        bot.goes_on(300 * bot.rng.uniform(0.95, 1.05), reads=0, moves=False, cpu=0.0)
        bot.goes_on(2)


def blocking_calls(bot: Bot) -> None:
    """Its only thread waits up to 110 s for an API, every few minutes, while data come in."""
    while True:
        bot.goes_on(bot.rng.uniform(20, 300), beats=1.0)
        bot.goes_on(bot.rng.uniform(30, 110), reads=0, moves=False, cpu=0.0)


def leaked_download(bot: Bot) -> None:
    """It never read a large answer to its end, and sleeps an hour beside it."""
    bot.goes_on(MINUTE)
    bot.disconnects()
    bot.pools(400_000, closing=False)
    while True:
        bot.goes_on(HOUR, moves=False, cpu=0.0)
        bot.goes_on(20, cpu=0.5)


def pinged_pool(bot: Bot) -> None:
    """It read for ten minutes, and sleeps an hour beside connections on which only pings arrive (HTTP/2)."""
    while True:
        bot.goes_on(10 * MINUTE)
        bot.goes_on(HOUR, data=1.3, reads=0, moves=False, cpu=0.0)


def clock_jumps(bot: Bot) -> None:
    """Somebody sets the wall clock, by hours and years, to and fro."""
    while True:
        bot.writes()
        bot.goes_on(100, beats=1.0)
        bot.utc += bot.rng.choice([-3600, 3600, 86_400, -86_400, 1e9, -1e9])


def rotating_file(bot: Bot) -> None:
    """Its file is rotated, removed, made anew, and has its time in the future or in 1970."""
    while True:
        for _ in range(20):
            bot.writes()
            bot.goes_on(bot.rng.uniform(5, 200))
        bot.file = bot.rng.choice([None, (8, 0, 0), (9, 80, 2**62), (9, 80, 0)])
        bot.goes_on(bot.rng.uniform(5, 200))


def no_file(bot: Bot) -> None:
    """It was never told to write a file."""
    while True:
        bot.goes_on(HOUR)


def three_beats(bot: Bot) -> None:
    """It says WATCHDOG=1 three times, at its start."""
    bot.goes_on(6, beats=2.0)
    assert bot.beats <= 4
    while True:
        bot.goes_on(HOUR)


def changing_pace(bot: Bot) -> None:
    """It beats after each round, and its rounds become longer and shorter, from a second to half an hour."""
    pace = 1.0
    while True:
        bot.goes_on(20 * pace, beats=pace)
        pace = min(1800.0, max(0.5, pace * bot.rng.choice([0.1, 0.5, 2.0, 10.0, 40.0])))


def ready_only(bot: Bot) -> None:
    """It says READY=1 and never WATCHDOG=1, whatever deadline was promised or set."""
    while True:
        bot.goes_on(HOUR, data=bot.rng.choice([0, 2_000]))


def counters_backwards(bot: Bot) -> None:
    """What is counted of it falls now and then: threads end, connections are replaced under the same number."""
    while True:
        bot.goes_on(bot.rng.uniform(5, 100), beats=2.0)
        bot.ticks, bot.switches = bot.ticks // 2, bot.switches // 2
        feed = bot.streams[bot.feed]
        bot.streams[bot.feed] = feed._replace(received=feed.received // 2)


def hidden(bot: Bot) -> None:
    """Its connections cannot be seen, and its heartbeats follow the market."""
    bot.hidden = True
    while True:
        bot.goes_on(HOUR, beats=1.0)
        bot.goes_on(3 * HOUR, data=0)


def cpu_limited(bot: Bot) -> None:
    """cpulimit(1) stops it many times a second, so that nearly every look finds it stopped."""
    while True:
        bot.goes_on(HOUR, cpu=0.1, state="T", beats=5.0)


def stopped_for_a_moment(bot: Bot) -> None:
    """Somebody stops it for 50 s now and then, to take a copy of it."""
    while True:
        bot.goes_on(bot.rng.uniform(20, 200), beats=2.0)
        bot.goes_on(bot.rng.uniform(5, 50), reads=0, moves=False, cpu=0.0, state="T")


def stock_exchange(bot: Bot) -> None:
    """Nothing comes, and nothing is written, while the exchange is closed."""
    bot.utc += 4 * DAY
    while True:
        second = (bot.now + bot.utc) % DAY
        weekday = int((bot.now + bot.utc) // DAY + 3) % 7
        trading = weekday < 5 and 13.5 * 3600 <= second < 20 * 3600
        if trading:
            bot.writes()
        bot.goes_on(MINUTE, data=bot.rng.uniform(10, 900) if trading else 1.0)


STOCKS = EVERY._replace(quiet=quiet.parse("Mon-Fri 20:00-13:30, Sat-Sun"))

TRIALS = (
    Trial("idle, pings alone", idle, seconds=DAY),
    Trial("idle beside a pool of closed connections", idle_pool, seconds=DAY),
    Trial("100 % CPU, beating", busy_and_beating),
    Trial("100 % CPU for an hour, feed unread", busy_and_not_reading, seconds=6 * HOUR),
    Trial("connections that last for seconds", reconnecting, EVERY, seconds=6 * HOUR),
    Trial("quiet market, data make the heartbeats", quiet_market, seconds=2 * DAY),
    Trial("quiet pair in a lively market", quiet_pair, seconds=DAY),
    Trial("quiet market, a thread that spins", quiet_and_busy, seconds=DAY),
    Trial("garbage collection of minutes", collecting, seconds=6 * HOUR),
    Trial("computation of 25 minutes", computing, seconds=DAY),
    Trial("held by a debugger for 10 minutes", debugged, EVERY, vows=30.0),
    Trial("suspended virtual machine", suspended, EVERY, vows=60.0, seconds=6 * HOUR),
    Trial("guard that looks late or is stopped", guard_starved, vows=60.0, seconds=6 * HOUR),
    Trial("overloaded host, 3 % of a core", overloaded, vows=30.0, seconds=6 * HOUR),
    Trial("container throttled to 20 % of a core", throttled, vows=30.0, seconds=6 * HOUR),
    Trial("dead disk, state D", dead_disk, EVERY, vows=30.0),
    Trial("slow consumer", slow_consumer, seconds=6 * HOUR),
    Trial("slow consumer that sleeps between bites", slow_in_bites, seconds=6 * HOUR),
    Trial("single thread that polls every 5 minutes", sleeping_poller, seconds=DAY),
    Trial("single thread that waits 110 s for an API", blocking_calls, seconds=DAY),
    Trial("download never read to its end", leaked_download, seconds=DAY),
    Trial("sleep beside a pool that is pinged", pinged_pool, seconds=DAY),
    Trial("wall clock that jumps", clock_jumps, EVERY, vows=30.0),
    Trial("file rotated, removed, from the future", rotating_file, EVERY, seconds=6 * HOUR),
    Trial("file never written", no_file, EVERY),
    Trial("three heartbeats and no more", three_beats, seconds=DAY),
    Trial("heartbeats at a changing pace", changing_pace, seconds=DAY),
    Trial("READY=1 alone", ready_only, Limits(heartbeat=30.0), vows=30.0, seconds=6 * HOUR),
    Trial("counters that go backwards", counters_backwards, EVERY, seconds=6 * HOUR),
    Trial("connections that cannot be seen", hidden, EVERY, seconds=DAY),
    Trial("stopped and let go by cpulimit", cpu_limited),
    Trial("stopped for less than a minute", stopped_for_a_moment),
    Trial("stock exchange with quiet hours", stock_exchange, STOCKS, seconds=5 * DAY),
)
