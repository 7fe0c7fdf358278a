"""Watching one life of a bot: real processes and connections, on a clock that the test sets."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.watchdog.parts import Sleepers, VirtualClock, until
from tests.unit.watchdog.puppet import Puppet, serving
from watchdog import clock, monitor, procfs, samples
from watchdog.config import Config
from watchdog.journal import Journal
from watchdog.limits import Limits
from watchdog.model import Sign
from watchdog.monitor import Monitor
from watchdog.paths import Paths

Watch = Callable[..., "Watched"]


class Watched:
    """A monitor of one process, looked at whenever that is due."""

    def __init__(self, watching: Monitor, pid: int, now: VirtualClock) -> None:
        self.monitor, self.now = watching, now
        watching.begin(pid)

    def hears(self, *lines: str) -> None:
        """The bot says this."""
        for line in lines:
            self.monitor.heard(line)

    def lasts(self, seconds: float) -> dict[str, Sign]:
        """Time passes; the signs there are at its end, by kind."""
        end = self.now.boot_seconds + seconds
        while self.monitor.due is not None and self.monitor.due <= end:
            self.now.pass_by(self.monitor.due - self.now.boot_seconds)
            self.monitor.look()
        self.now.pass_by(end - self.now.boot_seconds)
        return {sign.kind: sign for sign in self.monitor.signs}

    def beats(self, count: int, every: float) -> None:
        """So many heartbeats come, the last one now."""
        for _ in range(count):
            self.lasts(every)
            self.hears("WATCHDOG=1")


@pytest.fixture
def watch(config: Config, places: Paths, journal: Journal, puppet: Puppet, virtual_clock: VirtualClock) -> Watch:
    """Begin to watch the puppet, under these limits."""

    def begin(**limits: Any) -> Watched:
        until(lambda: state_of(puppet.pid) == "S")  # it may still be on its way to its first order, which is work
        settings = config._replace(limits=Limits(**limits))
        return Watched(Monitor(settings, places, journal), puppet.pid, virtual_clock)

    return begin


def folder(places: Paths) -> str:
    """Where the samples lie."""
    return places.samples


def state_of(pid: int) -> str:
    """The state letter of a process."""
    found = procfs.stat(pid)
    return found.state if found else ""


# When it may be called well -------------------------------------------------------------------------------------------


def test_it_is_well_again_once_it_was_watched_for_as_long_as_the_illness_takes_to_show(watch: Watch) -> None:
    bot = watch(hang_after=120.0, deaf_after=600.0, fresh_after=300.0, heartbeat=60.0)
    for kind, seconds in (("stopped", 60), ("backlog", 60), ("file", 300), ("deaf", 600)):
        bot.monitor.renew()
        bot.lasts(seconds - 20)
        assert not bot.monitor.acquits((kind,)), kind
        bot.lasts(40)
        assert bot.monitor.acquits((kind,)) and bot.monitor.acquits(()), kind
    assert not bot.monitor.acquits(("stopped", "heartbeat")), "it has not beaten: nothing is known of that"
    bot.hears("WATCHDOG=1")
    bot.lasts(15)
    assert bot.monitor.acquits(("stopped", "heartbeat"))


def test_too_much_of_something_is_over_after_as_many_samples_as_showed_it(watch: Watch) -> None:
    bot = watch(of=(2, 3), sample_every=60.0)
    bot.lasts(170)
    assert not bot.monitor.acquits(("memory",))
    bot.lasts(30)
    assert bot.monitor.acquits(("memory",))
    bot.monitor.begin(bot.monitor._pid or 0)
    assert not bot.monitor.acquits(())


# What the bot says of itself -----------------------------------------------------------------------------------------


def test_a_heartbeat_counts_with_its_gaps(watch: Watch) -> None:
    watched = watch()
    watched.beats(3, every=10)
    watched.beats(1, every=25)
    watched.lasts(20)
    found = watched.monitor.report()
    assert (found["beats"], found["longest_gap_s"], found["last_beat_s_ago"]) == (4, 25.0, 20.0)


@pytest.mark.parametrize(
    "line",
    ["READY=1", "RELOADING=1", "MAINPID=1", "WATCHDOG=2", "WATCHDOG=", "watchdog=1", "X_WATCHDOG=1", "", "=", "é"],
)
def test_what_says_nothing_of_the_bots_health_is_ignored(line: str, watch: Watch) -> None:
    watched = watch()
    due = watched.monitor.due
    watched.hears(line)
    assert watched.monitor.due == due
    assert watched.lasts(300) == {}
    assert (watched.monitor.report()["beats"], watched.monitor.report()["says"]) == (0, None)


def test_a_deadline_that_the_bot_promises_is_the_limit_of_its_silence(watch: Watch) -> None:
    watched = watch()
    watched.hears("WATCHDOG_USEC=40000000")
    watched.beats(10, every=10)
    assert "heartbeat" not in watched.lasts(40)
    sign = watched.lasts(15)["heartbeat"]
    assert (sign.proof, sign.limit) == (True, 40.0)
    assert "as it promised" in sign.text
    watched.hears("WATCHDOG=1")
    assert watched.lasts(15) == {}


@pytest.mark.parametrize(
    "value", ["", "0", "-5", "1.5", "5s", "٣", "1", "499999", pytest.param("9" * 5_000, id="long")]
)
def test_a_promise_that_is_no_sensible_number_of_microseconds_is_none(value: str, watch: Watch) -> None:
    watched = watch()
    watched.hears(f"WATCHDOG_USEC={value}")
    watched.beats(4, every=10)
    assert watched.lasts(50) == {}


def test_a_heartbeat_that_may_have_been_lost_is_not_held_against_the_bot(watch: Watch) -> None:
    watched = watch(heartbeat=20.0)
    watched.monitor.missed()
    watched.lasts(60)
    assert watched.monitor.report()["beats"] == 0, "one that never beat owes none"
    watched.beats(5, every=10)
    watched.lasts(15)
    watched.monitor.missed()
    assert watched.lasts(15) == {}
    assert watched.lasts(15)["heartbeat"].proof


def test_no_pace_is_learned_from_heartbeats_that_may_have_been_lost(watch: Watch) -> None:
    watched = watch()
    watched.beats(10, every=10)
    watched.monitor.missed()
    watched.beats(3, every=10)
    assert watched.lasts(300) == {}
    watched.beats(2, every=10)
    assert (watched.monitor.report()["beats"], watched.monitor.report()["longest_gap_s"]) == (6, 310.0)


def test_the_pace_of_heartbeats_is_not_learned_from_time_that_nobody_watched(watch: Watch) -> None:
    watched = watch()
    watched.beats(6, every=10)
    watched.now.pass_by(3_600)  # the host slept
    watched.hears("WATCHDOG=1")
    assert watched.monitor.report()["longest_gap_s"] == 10.0
    watched.monitor.look()
    watched.beats(1, every=30)
    assert watched.monitor.report()["longest_gap_s"] == 30.0


def test_a_bot_that_asks_for_its_restart_is_looked_at_at_once_and_has_proved_it(watch: Watch) -> None:
    watched = watch()
    watched.lasts(20)
    watched.hears("WATCHDOG=trigger")
    assert watched.monitor.due == watched.now.boot_seconds
    sign = watched.lasts(0)["heartbeat"]
    assert sign.proof and "WATCHDOG=trigger" in sign.text
    assert "heartbeat" in watched.lasts(60), "it is not taken back"


def test_where_no_heartbeat_restarts_the_bot_its_own_wish_is_told_only(watch: Watch) -> None:
    watched = watch(restart_on=("stopped",))
    watched.hears("WATCHDOG=trigger")
    assert not watched.lasts(0)["heartbeat"].proof


def test_after_its_good_bye_no_heartbeat_is_owed(watch: Watch) -> None:
    watched = watch(heartbeat=20.0)
    watched.beats(10, every=10)
    assert watched.lasts(60)["heartbeat"].proof
    watched.hears("WATCHDOG=1", "STOPPING=1")
    assert watched.lasts(600) == {}
    assert watched.monitor.report()["beats"] == 0


def test_its_status_is_shown_as_one_short_line(watch: Watch) -> None:
    watched = watch()
    watched.lasts(15)
    watched.hears("STATUS=3 positions, \x1b[31mPnL=+1\x1b[0m\ton")
    assert watched.monitor.report()["says"] == "3 positions,  [31mPnL=+1 [0m on"
    watched.hears("STATUS=" + "x" * 5_000)
    assert watched.monitor.report()["says"] == "x" * monitor.SAID
    watched.hears("STATUS=logged in with API_KEY=Zq7-hunter2, as " + "x" * 140 + " token=Zq7-hunter2")
    assert "hunter2" not in watched.monitor.report()["says"]
    watched.hears("STATUS=")
    assert watched.monitor.report()["says"] is None


# Looks ---------------------------------------------------------------------------------------------------------------


def test_the_first_look_is_due_after_one_interval_and_each_one_makes_the_next(watch: Watch) -> None:
    watched = watch(hang_after=40.0, sample_every=3_600.0)
    began = watched.now.boot_seconds
    assert watched.monitor.report() == {}
    seen = []
    for _ in range(3):
        assert watched.monitor.due is not None
        seen.append(watched.monitor.due - began)
        watched.lasts(watched.monitor.due - watched.now.boot_seconds)
    assert seen == [5.0, 10.0, 15.0]
    watched.lasts(2)
    assert watched.monitor.report()["looked_s_ago"] == 2.0


def test_a_stopped_bot_is_doubted_then_proved_to_hang_and_trusted_again(watch: Watch, puppet: Puppet) -> None:
    watched = watch()
    assert watched.lasts(30) == {}
    os.kill(puppet.pid, signal.SIGSTOP)
    until(lambda: state_of(puppet.pid) == "T")
    assert watched.lasts(30) == {}
    assert not watched.lasts(30)["stopped"].proof
    assert watched.lasts(30)["stopped"].proof
    os.kill(puppet.pid, signal.SIGCONT)
    until(lambda: state_of(puppet.pid) == "S")
    assert watched.lasts(15) == {}


@pytest.mark.parametrize("buried", [False, True], ids=["not buried", "buried"])
def test_a_bot_that_has_ended_gives_no_sign(buried: bool, watch: Watch, puppet: Puppet) -> None:
    watched = watch(memory=1, of=(1, 1))
    watched.lasts(30)
    watched.hears("WATCHDOG=trigger")
    puppet.process.kill()
    if buried:
        puppet.process.wait(10)
    else:
        until(lambda: state_of(puppet.pid) == "Z")
    assert watched.monitor.look() == ()
    assert watched.lasts(600) == {}


def test_another_bot_begins_without_a_past(watch: Watch, puppet: Puppet, sleepers: Sleepers) -> None:
    watched = watch(heartbeat=20.0)
    watched.hears("STATUS=tired", "WATCHDOG_USEC=1000000", "WATCHDOG=trigger")
    watched.beats(6, every=10)
    os.kill(puppet.pid, signal.SIGSTOP)
    until(lambda: state_of(puppet.pid) == "T")
    assert set(watched.lasts(90)) == {"heartbeat", "stopped"}
    watched.monitor.begin(Puppet(sleepers).pid)
    assert (watched.monitor.signs, watched.monitor.report()) == ((), {})
    assert watched.lasts(300) == {}
    assert (watched.monitor.report()["beats"], watched.monitor.report()["says"]) == (0, None)


def test_after_the_end_nobody_is_looked_at(watch: Watch) -> None:
    watched = watch()
    watched.lasts(30)
    watched.monitor.end()
    assert watched.monitor.due is None
    assert (watched.monitor.look(), watched.monitor.report()) == ((), {})


# Samples -------------------------------------------------------------------------------------------------------------


def test_what_the_bot_uses_and_gets_is_written_down_once_an_interval(
    watch: Watch, puppet: Puppet, places: Paths
) -> None:
    with serving() as server, puppet.connect(server) as feed:
        watched = watch()
        watched.lasts(30)
        feed.sendall(b"x" * 5_000)
        until(lambda: watched.monitor.look() is not None and watched.monitor.report()["backlog_bytes"] == 5_000)
        watched.lasts(100)
        first, second = samples.read(folder(places), 0)
    assert (first.received, first.backlog, first.connections, first.threads) == (5_000, 5_000, 1, 1)
    assert (second.received, second.backlog) == (0, 5_000), "what is counted once is not counted again"
    assert first.memory > 1_000_000 and 3 < first.descriptors < first.ceiling
    assert second.utc - first.utc == 60


def test_processor_time_is_that_since_the_sample_before(watch: Watch, puppet: Puppet, places: Paths) -> None:
    watched = watch()
    watched.lasts(70)
    puppet.do("while time.process_time() < 0.5: pass")
    watched.lasts(60)
    watched.lasts(60)
    _, busy, idle = samples.read(folder(places), 0)
    assert 0.5 <= busy.cpu <= 5.0, "a third of a second in a minute"
    assert idle.cpu < 0.2


@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_above_its_threshold_in_enough_samples_is_a_sign(restarts: bool, watch: Watch) -> None:
    watched = watch(memory=1_000, of=(2, 3), restart_on=("memory",) if restarts else ())
    assert watched.lasts(70) == {}
    sign = watched.lasts(60)["memory"]
    assert (sign.proof, sign.limit) == (restarts, 1_000)
    assert sign.measured > 1_000_000
    assert "in 2 of the last 2 samples" in sign.text


def test_samples_come_at_their_own_pace_between_the_looks(watch: Watch) -> None:
    watched = watch(sample_every=20.0, memory=1_000, of=(5, 5))
    assert watched.lasts(99.0) == {}
    assert "5 of the last 5" in watched.lasts(1.0)["memory"].text


def test_samples_that_cannot_be_written_are_told_of_once_and_again_only_after_one_could(
    watch: Watch, places: Paths, journal: Journal
) -> None:
    today = Path(folder(places), f"{clock.stamp()[:10]}.jsonl")
    today.mkdir(parents=True)
    watched = watch(memory=1_000, of=(2, 3))

    def complaints() -> int:
        return sum("cannot write to" in line for line in Path(journal.log_file).read_text().splitlines())

    assert "memory" in watched.lasts(200), "the watch goes on without the file"
    assert complaints() == 1
    today.rmdir()
    watched.lasts(120)
    assert len(list(samples.read(folder(places), 0))) == 2
    today.unlink()
    today.mkdir()
    watched.lasts(120)
    assert complaints() == 2


# For status ----------------------------------------------------------------------------------------------------------


def test_signs_are_told_with_their_age_and_figures() -> None:
    sign = Sign("stopped", True, "has been stopped", 100.0, 61.23456, 60.0)
    later = sign._replace(since=170.0)
    first, second = monitor.document([sign, later], 161.26)
    words = {"kind": "stopped", "proof": True, "text": "has been stopped"}
    assert first == {**words, "since_s": 61.3, "measured": 61.235, "limit": 60.0}
    assert second["since_s"] == 0.0
