"""Heartbeats, the file that shows freshness, the network: which silence speaks against a bot, and which does not."""

from __future__ import annotations

import pytest

from tests.unit.watchdog.looks import FEED, MONDAY, POOL, Watched, stream
from watchdog import judgement, quiet
from watchdog.freshness import UNKNOWN
from watchdog.limits import Limits
from watchdog.model import Sign

ALL = ("stopped", "backlog", "heartbeat", "file", "deaf")

# Heartbeats with a deadline that somebody named ----------------------------------------------------------------------


@pytest.mark.fault("F51")
@pytest.mark.parametrize(("setting", "vows", "limit"), [(30.0, None, 30), (None, 30.0, 30), (30.0, 300.0, 30)])
def test_a_deadline_that_was_named_is_kept_and_the_operators_word_comes_first(
    setting: float | None, vows: float | None, limit: float
) -> None:
    bot = Watched(heartbeat=setting, vows=vows)
    bot.live(120, beating=True)
    assert not bot.hang(limit, data=0)
    bot.hang(2 * bot.limits.look_every, data=0)
    proof = bot.first("heartbeat", True)
    assert proof and proof.limit == limit and limit < proof.measured <= limit + bot.limits.look_every
    assert ("as set" if setting else "as it promised") in proof.text


def test_a_bot_that_spins_without_a_heartbeat_is_hung_and_one_that_gets_no_cpu_is_not() -> None:
    for share, hung in ((1.0, True), (0.2, False)):
        bot = Watched(vows=30.0)
        bot.live(120, beating=True)
        bot.working = True
        for _ in range(40):
            bot.works(share * 15)
            bot.hang(15, data=0)
        assert bool(bot.first("heartbeat", True)) is hung, share
        assert hung or bot.first("heartbeat", False)


def test_an_overloaded_bot_that_sleeps_at_one_look_is_overloaded_all_the_same() -> None:
    bot = Watched(vows=30.0)
    bot.live(120, beating=True)
    for number in range(200):
        bot.working = number % 4 != 0
        bot.works(0.5)
        bot.hang(15, data=0)
    assert not bot.first("heartbeat", True)


def test_looks_are_counted_and_not_the_time_between_them() -> None:
    bot = Watched(vows=30.0)
    bot.live(120, beating=True)
    for number in range(200):
        bot.working = number % 5 == 0
        bot.works(0.5)
        bot.wait(25)
        bot.hang(15, data=0)
    assert not bot.first("heartbeat", True)


def test_looks_in_quick_succession_count_as_one() -> None:
    bot = Watched(vows=30.0)
    bot.live(120, beating=True)
    for number in range(200):
        bot.working = number % 4 == 0
        bot.works(0.5)
        for _ in range(5):
            bot.wait(0.1)
            bot.look()
        bot.hang(15, data=0)
    assert bot.first("heartbeat", False) and not bot.first("heartbeat", True)


def test_a_look_too_soon_says_what_the_last_one_said() -> None:
    bot = Watched(vows=30.0)
    bot.live(120, beating=True)
    bot.hang(45, data=0)
    before = bot.case
    bot.wait(1)
    assert bot.look() == {sign.kind: sign for sign in before.signs} and before.signs
    assert bot.case == before


@pytest.mark.parametrize("state", ["t", "D"])
def test_a_debugger_or_a_dead_disk_is_no_hang(state: str) -> None:
    bot = Watched(vows=30.0, fresh_after=60, deaf_after=60, restart_on=ALL)
    bot.file = (1, 1)
    bot.live(120, beating=True)
    bot.file = (1, 2)
    bot.state, bot.working = state, True
    bot.hang(900)
    bot.streams = {}  # and in the end the other side hangs up
    bot.hang(3600, data=0)
    assert not any(sign.proof for signs in bot.said for sign in signs)


@pytest.mark.fault("F56")
def test_a_bot_that_never_beats_has_no_deadline() -> None:
    bot = Watched(heartbeat=10.0, vows=10.0)
    bot.live(7200)
    assert not any(bot.said)


# Heartbeats whose pace was learned -----------------------------------------------------------------------------------


def test_three_heartbeats_are_no_pace() -> None:
    bot = Watched()
    bot.live(45, beating=True)
    assert bot.beats == 3
    bot.live(7200)
    assert not any(bot.said)


@pytest.mark.parametrize("data", [0, 25, 3000, 3_000_000])
def test_a_market_without_trades_makes_no_heartbeats_and_is_no_hang(data: int) -> None:
    bot = Watched()
    bot.live(3600, beating=True)
    bot.live(8 * 3600, data=data)
    assert bot.first("heartbeat", False) and not bot.first("heartbeat", True)
    assert not bot.first("backlog", False)


def test_a_dead_loop_beside_a_living_thread_is_hung_once_its_data_wait_as_long() -> None:
    bot = Watched()
    bot.live(120, beating=True)
    for _ in range(10):
        bot.switches += 1
        bot.hang(15)
    proof = bot.first("heartbeat", True)
    assert proof and 120 < proof.measured <= 135 and proof.limit == 60
    assert proof.text == "has sent no heartbeat for 2 min 15 s (limit 1 min, 15 s at most until then)"
    assert not bot.first("backlog", True)


def test_data_that_lay_unread_while_the_heart_still_beat_speak_against_nobody() -> None:
    bot = Watched()
    bot.live(120, beating=True)
    for _ in range(20):
        bot.switches += 1
        bot.arrives(9_000, POOL)
        bot.live(15, beating=True)
    for _ in range(240):
        bot.arrives(9_000, POOL)
        bot.switches += 1
        bot.live(15, data=0)
    assert bot.first("heartbeat", False) and not bot.first("heartbeat", True)


def test_a_pool_full_of_farewells_does_not_turn_a_quiet_market_into_a_hang() -> None:
    bot = Watched()
    bot.live(120, beating=True)
    assert bot.streams
    bot.streams[POOL] = stream(POOL, 9_031, 31, closing=True)
    bot.switches += 1
    bot.hang(8 * 3600, data=0)
    assert not any(sign.proof for signs in bot.said for sign in signs)


def test_a_long_computation_is_given_its_time_and_an_endless_one_is_not() -> None:
    bot = Watched()
    bot.live(120, beating=True)
    bot.working = True
    for _ in range(119):
        bot.works(15)
        bot.hang(15)
    assert not bot.first("heartbeat", True), "half an hour"
    for _ in range(3):
        bot.works(15)
        bot.hang(15)
    assert bot.first("heartbeat", True)


@pytest.mark.parametrize(("wired", "hung"), [(False, True), (True, False)])
def test_silence_alone_speaks_only_against_a_bot_that_never_had_a_connection(wired: bool, hung: bool) -> None:
    bot = Watched()
    if wired:
        bot.streams = {FEED: stream()}
        bot.look()
        bot.streams = {}
    bot.live(120, beating=True, data=0)
    bot.hang(600, data=0)
    assert bool(bot.first("heartbeat", True)) is hung


@pytest.mark.fault("F54")
def test_a_bot_that_beats_more_slowly_after_its_warm_up_is_restarted_for_that_twice_and_never_again() -> None:
    wary, ended = 0.0, 0
    for _ in range(6):
        bot = Watched(wary=wary)
        bot.live(120, beating=True, data=0)
        for _ in range(4):
            bot.hang(300, data=0)
            if bot.first("heartbeat", True):
                break
            bot.beat()
        proof = bot.first("heartbeat", True)
        ended += proof is not None
        wary = judgement.warier(wary, (proof,) if proof else (), bot.limits, None)
    assert ended == 2


def test_what_was_set_or_promised_is_no_habit_and_wears_off_for_nobody() -> None:
    sign = Sign("heartbeat", True, "", 0.0, 100.0, 50.0)
    assert judgement.warier(0.0, (sign,), Limits(), None) == 200.0
    assert judgement.warier(0.0, (sign._replace(measured=5000.0),), Limits(), None) == 1800.0, "half an hour at most"
    assert judgement.warier(7.0, (sign._replace(proof=False),), Limits(), None) == 7.0
    assert judgement.warier(0.0, (sign,), Limits(heartbeat=50.0), None) == 0.0
    assert judgement.warier(0.0, (sign,), Limits(), 50.0) == 0.0


@pytest.mark.parametrize("seen_at_first", [True, False])
def test_connections_that_cannot_be_seen_are_not_taken_for_none(seen_at_first: bool) -> None:
    bot = Watched()
    if seen_at_first:
        bot.look()
        bot.wait(15)
    bot.streams = None
    bot.live(120, beating=True, data=0)
    bot.hang(7200, data=0)
    assert bot.first("heartbeat", False) and not bot.first("heartbeat", True)


@pytest.mark.fault("F51")
def test_the_longest_gap_stretches_the_deadline() -> None:
    bot = Watched()
    bot.live(120, beating=True)
    bot.live(300)
    bot.live(60, beating=True)
    for _ in range(200):
        bot.switches += 1
        bot.hang(15)
    proof = bot.first("heartbeat", True)
    assert proof and proof.limit == pytest.approx(4 * bot.longest) and proof.measured > 2 * proof.limit


# The file ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("may_restart", [True, False])
def test_a_file_that_is_changed_no_more_is_a_sign_and_restarts_where_that_is_wanted(may_restart: bool) -> None:
    bot = Watched(fresh_after=600, restart_on=ALL if may_restart else ())
    for size in range(20):
        bot.file = (1, size)
        bot.live(15)
    bot.live(615)
    sign = bot.first("file", may_restart)
    assert sign and sign.text == "has not changed its file for 10 min (limit 10 min)"
    assert not bot.first("file", not may_restart)


@pytest.mark.fault("F56")
def test_a_file_that_was_never_written_is_no_sign_and_one_left_behind_is_no_proof() -> None:
    bot = Watched(fresh_after=60, restart_on=ALL)
    bot.live(7200)
    assert not any(bot.said)
    bot = Watched(fresh_after=60, restart_on=ALL)
    bot.file = (1, 500)
    bot.live(7200)
    assert bot.first("file", False) and not bot.first("file", True)


@pytest.mark.fault("F54")
def test_the_time_in_the_file_means_nothing_in_the_future_or_in_the_past() -> None:
    bot = Watched(fresh_after=60, restart_on=ALL)
    for moment in (10**18, 5, 3 * 10**18, 4, 2 * 10**18):
        bot.file = (1, 500, moment)
        assert not bot.live(45)
    assert bot.live(75)["file"].proof, "a time in the future keeps nothing fresh"


def test_a_file_whose_disk_does_not_answer_is_neither_old_nor_new() -> None:
    bot = Watched(fresh_after=60, restart_on=ALL)
    for file in ((1, 500), UNKNOWN, (1, 500)):
        bot.file = file
        assert not bot.live(45)
    assert not bot.live(15)
    assert not bot.live(60)["file"].proof, "it was never seen to change"
    bot.file = UNKNOWN
    assert not bot.live(600)


def test_a_file_that_is_rotated_or_missing_for_a_while_is_fresh_and_one_that_stays_away_is_not() -> None:
    bot = Watched(fresh_after=60, restart_on=ALL)
    for file in ((1, 500), None, (2, 0), (1, 500), None):
        bot.file = file
        assert not bot.live(45)
    assert bot.live(75)["file"].text.startswith("has not made its file again for 1 min")


# The network ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F52")
@pytest.mark.parametrize("may_restart", [True, False])
def test_a_feed_that_goes_mute_is_a_sign_and_restarts_where_that_is_wanted(may_restart: bool) -> None:
    bot = Watched(deaf_after=600, restart_on=ALL if may_restart else ())
    bot.live(120)
    bot.live(615, data=40)
    sign = bot.first("deaf", may_restart)
    assert sign and 600 <= sign.measured < 630
    assert sign.text == "has received 1.6 kB over TCP in 10 min (limit 10 min; 200 bytes a minute are silence)"
    assert not bot.first("deaf", not may_restart)


def test_a_bot_that_lost_its_connection_is_deaf_too_and_one_that_never_kept_one_is_not() -> None:
    for kept in (True, False):
        bot = Watched(deaf_after=600)
        for number in range(20):
            bot.streams = {FEED if kept else number: stream(FEED if kept else number, 9_000 * number)}
            bot.hang(15, data=0)
            if not kept:
                bot.streams = {}
                bot.hang(15, data=0)
        bot.streams = {}
        bot.hang(1200, data=0)
        assert bool(bot.first("deaf", False)) is kept


def test_a_bot_that_connects_again_and_again_is_not_deaf() -> None:
    bot = Watched(deaf_after=300)
    bot.live(60)
    for number in range(100, 300):
        bot.streams = {number: stream(number, 4_000)}
        bot.hang(45, data=0)
    assert not any(bot.said)


def test_a_counter_that_only_falls_is_new_data_every_time() -> None:
    bot = Watched(deaf_after=120)
    bot.live(60)
    for received in range(90_000, 0, -1_000):
        bot.streams = {FEED: stream(FEED, received)}
        bot.works()
        bot.hang(15, data=0)
    assert not any(bot.said)


def test_a_bot_that_does_not_read_is_not_called_deaf_when_no_more_fits_in() -> None:
    bot = Watched(deaf_after=300, restart_on=ALL)
    bot.live(120)
    bot.working = True
    for number in range(80):
        bot.works(15)
        bot.hang(15, data=100_000 if number < 4 else 0)
    assert bot.first("backlog", False) and not bot.first("deaf", True)


def test_a_trickle_above_the_keep_alives_is_data() -> None:
    bot = Watched(deaf_after=600)
    bot.live(60)
    bot.live(7200, data=60)
    assert not any(bot.said)


@pytest.mark.fault("F52")
def test_in_quiet_hours_silence_is_normal_and_after_them_it_counts_from_their_end() -> None:
    bot = Watched(deaf_after=600, fresh_after=600, restart_on=ALL, quiet=quiet.parse("Mon 00:05-08:00"))
    bot.file = (1, 1)
    bot.live(60)
    bot.file = (1, 2)
    bot.live(8 * 3600 + 500, data=0)
    assert not any(bot.said)
    bot.live(120, data=0)
    deaf, file = bot.first("deaf", True), bot.first("file", True)
    assert deaf and file
    assert bot.utc - deaf.measured == pytest.approx(MONDAY + 8 * 3600, abs=120)


def test_quiet_hours_do_not_excuse_a_bot_that_hangs() -> None:
    bot = Watched(quiet=quiet.parse("00:00-24:00"), vows=30.0)
    bot.live(120, beating=True)
    bot.hang(150)
    assert bot.first("heartbeat", True) and bot.first("backlog", True)


@pytest.mark.parametrize("seen", [None, 5])
def test_counters_that_go_backwards_or_vanish_are_taken_for_new_ones(seen: int | None) -> None:
    bot = Watched(deaf_after=120, restart_on=ALL)
    bot.live(60)
    for _ in range(100):
        bot.streams = None if seen is None else {FEED: stream(FEED, seen)}
        bot.ticks = 0
        bot.hang(60, data=0)
        bot.streams = {FEED: stream(FEED, 9_000)}
        bot.works()
        bot.hang(60, data=0)
    assert not any(bot.said)
