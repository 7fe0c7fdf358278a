"""A bot that says that it works, until it no longer does: by sd_notify(3), or by a file that it keeps changing."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from demo.mail_sink import MailSink
from tests.faults import feeds
from tests.faults.illness import (
    HANG_AFTER,
    Record,
    fall_ill,
    infect,
    left_alone,
    signs,
    until_restarted,
    until_suspect,
    watched,
)
from tests.faults.moved_clock import moved_clock
from tests.faults.watched import WatchedWorld
from tests.process.world import World

SILENT = "has sent no heartbeat"
UNCHANGED = "has not changed its file"
DAY = 86_400

Stack = tuple[str, str] | None


@pytest.mark.fault("F51")
@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("program", "more", "stack"),
    [
        pytest.param("spin", {"plain_term": True}, ("spin.py", "average"), marks=pytest.mark.serial),  # wants a core
        ("silent", {"child": "beats"}, None),
    ],
    ids=["spin", "a-child-beats-on"],
)
def test_a_bot_that_beats_no_longer_is_restarted_and_the_mail_names_the_line(
    world: World, sink: MailSink, record_property: Record, program: str, more: dict[str, Any], stack: Stack
) -> None:
    world.env["WATCHDOG_HEARTBEAT"] = "1"
    infect(world, program, **more)
    pid = watched(world)
    fall_ill(world)
    until_restarted(world, sink, pid, SILENT, record_property, stack)


@pytest.mark.fault("F51")
@pytest.mark.promise(2)
def test_how_often_a_bot_beats_is_learned_and_one_that_leaves_data_unread_meanwhile_is_restarted(
    world: World, sink: MailSink, record_property: Record
) -> None:
    world.env["WATCHDOG_RESTART_ON"] = "heartbeat"
    with feeds.feed() as plain:
        infect(world, "deadlock", plain_term=True, port=plain.port)
        pid = watched(world)
        fall_ill(world)
        until_restarted(world, sink, pid, SILENT, record_property, ("deadlock.py", "book"))


@pytest.mark.fault("F51")
@pytest.mark.promise(6)
def test_a_bot_whose_beats_end_with_the_market_may_be_ill_and_is_left_alone(world: World, sink: MailSink) -> None:
    with feeds.feed() as plain:
        infect(world, "silent", port=plain.port)
        pid = watched(world)
        plain.silent = True
        fall_ill(world)
        sign = until_suspect(world, "heartbeat", SILENT)
        assert not sign["proof"]
        left_alone(world, pid)
        sink.wait_for(lambda mail: SILENT in mail.text)


@pytest.mark.fault("F53")
def test_a_thread_that_beats_hides_no_dead_loop_but_the_bot_is_left_alone(world: World, sink: MailSink) -> None:
    world.env["WATCHDOG_HEARTBEAT"] = "1"
    with feeds.prices() as prices:
        infect(world, "event_loop", falls_ill=True, thread_beats=True, feed=prices.url)
        pid = watched(world)
        fall_ill(world)
        sign = until_suspect(world, "backlog", "has not read")
        assert not sign["proof"]
        left_alone(world, pid)
        sink.wait_for(lambda mail: "has not read" in mail.text)
        assert set(signs(world)) == {"backlog"}


@pytest.mark.fault("F51")
def test_libsystemds_own_client_is_heard(world: World, sink: MailSink, record_property: Record) -> None:
    world.env.update(WATCHDOG_HEARTBEAT="1", WATCHDOG_START_GRACE="30")
    infect(world, "stock", client="libsystemd")
    pid = watched(world)
    left_alone(world, pid, 1.5 * HANG_AFTER)
    fall_ill(world)
    until_restarted(world, sink, pid, SILENT, record_property)


@pytest.mark.fault("F51")
@pytest.mark.promise(6)
def test_a_client_that_stays_connected_to_a_guard_that_is_gone_is_mute_and_not_ill(world: World) -> None:
    world.env["WATCHDOG_HEARTBEAT"] = "1"
    infect(world, "stock", client="connected")
    guard = world.guard()
    pid = world.until_running()
    left_alone(world, pid, HANG_AFTER)
    world.kill(guard)
    world.until_guarded(other_than=guard)
    left_alone(world, pid)


@pytest.mark.fault("F54")
@pytest.mark.promise(6)
def test_a_host_that_slept_has_no_ill_bot(world: World) -> None:
    world.env["WATCHDOG_HEARTBEAT"] = "1"
    infect(world, "silent")
    guard = world.guard()
    pid = world.until_running()
    for one in (guard, pid):
        world.kill(one, signal.SIGSTOP)
    left_alone(world, pid, 3)
    for one in (guard, pid):
        world.kill(one, signal.SIGCONT)
    left_alone(world, pid)
    assert world.events("suspect") == []


def with_file(world: World, restart: bool, **behaviour: Any) -> None:
    """A bot that keeps a freshness file."""
    path = world.project / "fresh"
    infect(world, "writer", {"program": "writer", "file": str(path), "well": True}, file=str(path), **behaviour)
    world.env.update(WATCHDOG_FRESH_FILE=str(path), WATCHDOG_FRESH_AFTER="1")
    if restart:
        world.env["WATCHDOG_RESTART_ON"] = "stopped,file"


@pytest.mark.fault("F54")
@pytest.mark.promise(6)
def test_whatever_the_clocks_say_a_bot_that_works_is_not_even_suspect(world: WatchedWorld) -> None:
    move = moved_clock(world)
    with_file(world, restart=True, jumps=True)
    pid = watched(world)
    for seconds in (DAY, -3600, 0):
        move(seconds)
        left_alone(world, pid, 1.2)
    assert world.events("suspect") == []


@pytest.mark.fault("F54")
@pytest.mark.fault("F51")
@pytest.mark.promise(2)
def test_a_file_from_the_future_that_changes_no_longer_is_old(
    world: World, sink: MailSink, record_property: Record
) -> None:
    with_file(world, restart=True, ahead=DAY)
    pid = watched(world)
    fall_ill(world)
    until_restarted(world, sink, pid, UNCHANGED, record_property)


@pytest.mark.fault("F51")
@pytest.mark.promise(6)
def test_an_old_file_is_told_of_and_restarts_nothing_unless_it_was_chosen(world: World, sink: MailSink) -> None:
    with_file(world, restart=False)
    pid = watched(world)
    fall_ill(world)
    until_suspect(world, "file", UNCHANGED)
    left_alone(world, pid)
    sink.wait_for(lambda mail: UNCHANGED in mail.text)


@pytest.mark.fault("F56")
@pytest.mark.promise(6)
def test_a_bot_that_never_beats_and_writes_no_file_is_not_judged_by_them(world: World) -> None:
    world.env.update(WATCHDOG_HEARTBEAT="1", WATCHDOG_RESTART_ON="heartbeat,file")
    infect(world, "silent", beats=False)
    world.env.update(WATCHDOG_FRESH_FILE=str(world.project / "never"), WATCHDOG_FRESH_AFTER="1")
    pid = watched(world)
    fall_ill(world)
    left_alone(world, pid)
    assert world.events("suspect") == [] and signs(world) == {}
