"""Bots that stop, hang or leave their data unread, and those that only look like it."""

from __future__ import annotations

import pytest

from tests.unit.watchdog.looks import FEED, POOL, Watched, stream
from watchdog import evidence

# Stopped -------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F50")
@pytest.mark.parametrize(("hang_after", "limit"), [(120, 60), (600, 60), (20, 20)])
def test_a_stopped_bot_is_suspect_after_half_its_time_and_hung_after_all_of_it(hang_after: float, limit: float) -> None:
    bot = Watched(hang_after=hang_after)
    bot.live(60)
    bot.state = "T"
    bot.hang(limit + 2 * bot.limits.look_every)
    weak, proof = bot.first("stopped", False), bot.first("stopped", True)
    assert weak and limit / 2 <= weak.measured < limit
    assert proof and limit <= proof.measured < limit + bot.limits.look_every + 1
    assert proof.limit == limit and proof.since == pytest.approx(bot.case.halted)


def test_the_sentence_names_what_was_measured_and_the_limit() -> None:
    bot = Watched()
    bot.live(30)
    bot.state = "T"
    assert bot.hang(75)["stopped"].text == "has been stopped (state T) for 1 min (limit 1 min)"


def test_a_bot_that_is_let_go_now_and_then_is_throttled_and_not_stopped() -> None:
    bot = Watched()
    bot.state = "T"
    for _ in range(40):
        bot.works(0.2)
        assert not bot.hang(15, data=0)
    bot.counted = False
    for _ in range(40):
        bot.ticks += 5
        assert not bot.hang(15, data=0)


def test_one_look_that_finds_it_running_ends_the_time_of_a_stop() -> None:
    bot = Watched()
    for _ in range(20):
        bot.state = "T"
        bot.hang(30)
        bot.state = "S"
        bot.works()
        bot.look()
    assert not bot.first("stopped", True)


# Unread data ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F50")
def test_a_bot_whose_threads_all_sleep_beside_unread_data_is_suspect_and_then_hung() -> None:
    bot = Watched()
    bot.live(120)
    bot.hang(150)
    weak, proof = bot.first("backlog", False), bot.first("backlog", True)
    assert weak and 60 <= weak.measured < 75
    assert proof and 120 <= proof.measured < 135
    assert proof.text == ("has not read 27.0 kB from 192.0.2.11:443 for 2 min, all its threads asleep (limit 2 min)")


def test_what_is_said_of_the_threads_beside_unread_data_is_what_was_seen_of_them() -> None:
    def first(works: int, counted: bool = True) -> str:
        bot = Watched()
        bot.live(120)
        bot.counted = False  # they are not while nothing is unread for longer than a look
        bot.hang(15)
        bot.counted = counted
        for number in range(4):
            if number < works:
                bot.works()
            bot.hang(15)
        sign = bot.first("backlog", False)
        assert sign is not None
        return sign.text

    assert "all its threads asleep (limit 2 min)" in first(works=0)
    assert "all its threads asleep for 15 s (limit 2 min)" in first(works=3)
    assert "and its threads do run (limit 2 min)" in first(works=4)
    assert "and of its threads nothing is known (limit 2 min)" in first(works=0, counted=False)


@pytest.mark.fault("F53")
@pytest.mark.parametrize("counted", [True, False])
def test_while_another_thread_runs_or_nobody_can_count_unread_data_is_only_suspect(counted: bool) -> None:
    bot = Watched()
    bot.live(120)
    bot.counted = counted
    for _ in range(100):
        bot.switches += 1
        bot.hang(15)
    assert bot.first("backlog", False) and not bot.first("backlog", True)


def test_a_thread_that_runs_or_waits_for_a_disk_at_a_look_is_no_sleeper() -> None:
    bot = Watched()
    bot.live(120)
    for _ in range(40):
        bot.working = not bot.working
        bot.hang(15)
    assert not bot.first("backlog", True)


def test_cpu_time_that_grows_is_no_sleep() -> None:
    bot = Watched()
    bot.live(120)
    for _ in range(40):
        bot.ticks += 1
        bot.hang(15)
    assert not bot.first("backlog", True)


def test_a_slow_reader_that_takes_a_little_now_and_then_is_left_alone() -> None:
    bot = Watched()
    bot.live(120)
    for _ in range(60):
        bot.hang(45, data=30_000)
        assert bot.streams
        bot.streams[FEED] = bot.streams[FEED]._replace(backlog=bot.streams[FEED].backlog - 1)
        bot.works()
        bot.look()
    assert not any(bot.said)


@pytest.mark.parametrize("closing", [True, False])
@pytest.mark.parametrize("bytes_unread", [31, 500, 5_000])
def test_an_idle_pool_with_a_farewell_or_a_ticket_in_it_is_no_sign(closing: bool, bytes_unread: int) -> None:
    bot = Watched()
    bot.live(120)
    assert bot.streams
    bot.streams[FEED] = bot.streams[FEED]._replace(backlog=0)
    bot.streams[POOL] = stream(POOL, 9_000 + bytes_unread, bytes_unread, closing)
    bot.hang(3600, data=0)
    assert not any(bot.said)


def test_a_pool_of_closed_connections_costs_no_closer_looks() -> None:
    bot = Watched()
    bot.live(60)
    assert bot.streams
    bot.streams[POOL] = stream(POOL, 9_031, 31, closing=True)
    bot.live(60)
    assert not bot.case.doubt


def test_a_pool_that_the_server_closes_with_much_still_in_it_is_no_sign() -> None:
    bot = Watched()
    bot.live(120)
    assert bot.streams
    bot.streams[FEED] = stream(FEED, bot.streams[FEED].received + 90_000, 90_000, closing=True)
    bot.hang(3600, data=0)
    assert not any(bot.said)


def test_pings_on_an_idle_pool_are_no_data() -> None:
    bot = Watched()
    bot.live(120)
    bot.hang(3600, data=40)
    assert not any(bot.said)


def test_a_full_connection_counts_although_nothing_more_fits_into_it() -> None:
    bot = Watched()
    bot.live(120)
    bot.arrives(evidence.FULL)
    bot.look()
    bot.hang(150, data=0)
    assert bot.first("backlog", True)


def test_a_download_that_was_never_read_to_its_end_is_no_sign() -> None:
    bot = Watched()
    bot.live(120)
    assert bot.streams
    bot.streams[FEED] = bot.streams[FEED]._replace(backlog=0)
    bot.streams[POOL] = stream(POOL, 400_000, 300_000)
    bot.hang(3600, data=0)
    assert not any(bot.said)


def test_a_connection_that_was_hardly_ever_read_is_no_proof() -> None:
    bot = Watched()
    bot.live(30)
    bot.hang(3600)
    assert bot.first("backlog", False) and not bot.first("backlog", True)


@pytest.mark.parametrize("closed", ["half", "gone"])
@pytest.mark.parametrize("data", [90, 3000])
def test_a_server_that_gives_up_on_a_sleeper_does_not_excuse_it(closed: str, data: int) -> None:
    bot = Watched()
    bot.live(120)
    bot.hang(60, data)
    assert bot.streams
    if closed == "half":
        bot.streams[FEED] = bot.streams[FEED]._replace(closing=True)
    else:
        bot.streams.clear()
    bot.hang(75, data=0)
    assert bot.first("backlog", True)


def test_a_connection_that_an_awake_bot_has_closed_is_forgotten() -> None:
    bot = Watched()
    bot.live(120)
    bot.hang(60)
    assert bot.streams
    bot.streams.clear()
    bot.works()
    bot.look()
    assert not bot.hang(600, data=0)


def test_a_number_that_is_used_again_is_another_connection() -> None:
    bot = Watched()
    bot.live(120)
    for _ in range(30):
        bot.hang(100)
        bot.streams = {FEED: stream(FEED, 100, 100)}
        bot.look()
    assert not bot.first("backlog", True)
    assert "backlog" in bot.hang(75), "and what is not read from it counts as of any other"


def test_what_a_bot_got_over_by_itself_doubles_its_time() -> None:
    bot = Watched()
    bot.live(120)
    bot.hang(110)
    bot.reads()
    bot.live(60)
    bot.hang(200)
    assert not bot.first("backlog", True), "it slept for 110 s before"
    bot.hang(60)
    proof = bot.first("backlog", True)
    assert proof and proof.limit == pytest.approx(220, abs=31)


def test_a_bot_that_sleeps_for_five_minutes_between_its_polls_is_left_alone() -> None:
    bot = Watched()
    bot.arrives(500)
    bot.look()
    for _ in range(100):
        bot.hang(300, data=2_000)
        bot.reads()
        bot.look()
    assert not any(sign.proof for signs in bot.said for sign in signs)
    assert not any(bot.said[200:]), "its pace is known by then"


# Time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F54")
@pytest.mark.parametrize("jump", [46.0, 3600.0, 86_400.0, -3600.0])
def test_time_that_nobody_watched_is_not_held_against_the_bot(jump: float) -> None:
    bot = Watched(vows=100.0, fresh_after=100.0, deaf_after=100.0, restart_on=("file", "deaf", "heartbeat"))
    bot.file = (1, 1)
    bot.live(120, beating=True)
    bot.file = (1, 2)
    bot.look()
    bot.state = "T"
    for _ in range(20):
        bot.hang(45)
        bot.wait(jump)
        assert not bot.look()
    assert not any(sign.proof for signs in bot.said for sign in signs)


def test_after_a_gap_the_full_time_proves_it_again() -> None:
    bot = Watched()
    bot.live(120)
    bot.hang(60)
    bot.wait(600)
    bot.hang(105)
    assert not bot.first("backlog", True)
    bot.hang(45)
    assert bot.first("backlog", True)


@pytest.mark.fault("F54")
@pytest.mark.parametrize("jump", [3600.0, -3600.0, 1e9, -1e9])
def test_a_wall_clock_that_jumps_changes_nothing(jump: float) -> None:
    told = []
    for by in (0.0, jump):
        bot = Watched(fresh_after=300, restart_on=("backlog", "file"))
        bot.live(120)
        bot.file = (1, 2, 3)
        bot.hang(60)
        bot.utc += by
        bot.hang(400)
        told.append(bot.said)
    assert told[0] == told[1] and any(sign.proof for signs in told[0] for sign in signs)


def test_what_cannot_be_seen_is_no_sign() -> None:
    bot = Watched(deaf_after=60, fresh_after=60)
    bot.streams = None
    bot.hang(7200, data=0)
    assert not any(bot.said)


def test_0_seconds_turn_all_of_it_off() -> None:
    bot = Watched(hang_after=0, heartbeat=10.0)
    bot.live(120, beating=True)
    bot.state = "T"
    bot.hang(7200)
    assert not any(bot.said)


def test_a_kind_that_may_not_restart_is_never_a_proof() -> None:
    bot = Watched(restart_on=(), vows=30.0)
    bot.live(120, beating=True)
    bot.state = "T"
    signs = bot.hang(600)
    assert {"stopped", "backlog", "heartbeat"} == set(signs) and not any(sign.proof for sign in signs.values())


@pytest.mark.parametrize("reason", ["data", "heartbeat", "stop"])
def test_a_doubt_asks_for_a_closer_look(reason: str) -> None:
    bot = Watched()
    calm = bot.live(120, beating=reason == "heartbeat")
    doubts = [bot.case.doubt]
    bot.state = "T" if reason == "stop" else "S"
    bot.hang(75, data=3000 if reason == "data" else 0)
    doubts.append(bot.case.doubt)
    bot.state = "S"
    bot.live(75, beating=True)
    doubts.append(bot.case.doubt)
    assert not calm and doubts == [False, True, False]


def test_half_of_a_silence_that_was_promised_not_to_be_asks_for_a_closer_look_too() -> None:
    bot = Watched(vows=120.0)
    bot.live(120, beating=True)
    assert not bot.hang(45, data=0) and not bot.case.doubt
    assert not bot.hang(30, data=0) and bot.case.doubt
