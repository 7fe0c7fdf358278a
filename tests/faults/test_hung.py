"""A bot that is alive and does nothing, seen from outside, without its help: stopped, or deaf to data that waits."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from demo.mail_sink import MailSink
from tests.faults import feeds
from tests.faults.illness import (
    HANG_AFTER,
    Record,
    fall_ill,
    impatient,
    infect,
    left_alone,
    note_illness,
    signs,
    until_restarted,
    until_suspect,
    watched,
)
from tests.process import oracle
from tests.process.world import World

STOPPED = "has been stopped (state T)"
UNREAD = "has not read"


@pytest.mark.fault("F50")
@pytest.mark.promise(2)
def test_a_stopped_bot_is_restarted_and_the_mail_says_why(
    world: World, sink: MailSink, record_property: Record
) -> None:
    impatient(world)
    pid = watched(world)
    note_illness(world)
    world.kill(pid, signal.SIGSTOP)
    mail = until_restarted(world, sink, pid, STOPPED, record_property)
    assert "restarted" in mail.subject
    kinds = [event["kind"] for event in world.events()]
    assert kinds.index("suspect") < kinds.index("hung") < kinds.index("restarted", kinds.index("hung"))
    assert not signs(world), "the new bot is above suspicion"


@pytest.mark.fault("F50")
@pytest.mark.promise(6)
def test_where_nothing_may_be_restarted_a_stopped_bot_is_told_of_once_and_once_more_when_it_goes_on(
    world: World, sink: MailSink
) -> None:
    impatient(world)
    world.env["WATCHDOG_RESTART_ON"] = "none"
    pid = watched(world)
    world.kill(pid, signal.SIGSTOP)
    sign = until_suspect(world, "stopped", STOPPED)
    assert not sign["proof"] and sign["limit"] == HANG_AFTER
    assert world.status()["state"] == "suspect"
    left_alone(world, pid, 2 * HANG_AFTER)
    world.kill(pid, signal.SIGCONT)
    assert "well again" in world.until_event("cleared")["message"]
    oracle.until(lambda: world.status()["state"] == "running" and not signs(world), "no doubt is left", every=0.1)
    sink.wait_for(lambda mail: "well again" in mail.text)
    assert sum(STOPPED in mail.text and "well again" not in mail.text for mail in sink.mails) == 1
    assert len(world.events("suspect")) == len(world.events("cleared")) == 1 and world.bots() == [pid]


@pytest.mark.fault("F50")
@pytest.mark.promise(6)
@pytest.mark.parametrize("how", ["another guard", "maintenance"])
def test_a_suspect_bot_is_not_called_well_because_all_looks_begin_anew(world: World, sink: MailSink, how: str) -> None:
    impatient(world)
    world.env["WATCHDOG_RESTART_ON"] = "none"
    pid = watched(world)
    world.kill(pid, signal.SIGSTOP)
    until_suspect(world, "stopped", STOPPED)
    if how == "maintenance":
        world.ok("maintenance", "on", "--reason", "a look at it")
        oracle.until(lambda: not signs(world), "nothing counts", every=0.05)
        world.ok("maintenance", "off")
    else:
        world.kill(guard := world.guards[0])
        world.until_guarded(other_than=guard)
    oracle.until(lambda: "stopped" in signs(world), "it is found ill again", every=0.05)
    assert len(world.events("suspect")) == 1 and not world.events("cleared") and world.status()["state"] == "suspect"
    world.kill(pid, signal.SIGCONT)
    sink.wait_for(lambda mail: "well again" in mail.text)
    assert sum(STOPPED in mail.text and "well again" not in mail.text for mail in sink.mails) == 1
    assert world.bots() == [pid]


@pytest.mark.fault("F50")
@pytest.mark.promise(2)
def test_a_bot_that_hangs_again_and_again_is_restarted_three_times_an_hour_and_then_only_told_of(
    world: World, sink: MailSink
) -> None:
    impatient(world)
    with_two_hangs(world)
    first = watched(world)
    world.kill(first, signal.SIGSTOP)
    world.until_event("hung")
    pid = world.until_running(other_than=first)
    world.kill(pid, signal.SIGSTOP)
    verdict = world.until_event("hung", 2)
    assert "left as it is" in verdict["message"]
    sink.wait_for(lambda mail: "left as it is" in mail.text)
    assert world.status()["state"] == "hung" and world.bots() == [pid]
    assert len(world.births()) == 2 and world.status()["restarts"] == 1


@pytest.mark.fault("F50")
@pytest.mark.promise(2)
def test_what_a_guard_that_is_killed_had_begun_with_a_hung_bot_the_next_one_ends(world: World) -> None:
    world.behave({"term_takes": 3600}, {})
    impatient(world)
    world.env["WATCHDOG_STOP_GRACE"] = "2"
    guard = world.guard()
    pid = world.until_running()
    world.kill(pid, signal.SIGSTOP)
    world.until_event("hung")
    oracle.until(lambda: '"hung"' in (world.state_dir / "state.json").read_text(), "the verdict is on record")
    world.kill(guard)
    assert oracle.alive(pid), "it withstands SIGTERM for the grace"
    assert world.until_running(other_than=pid) == world.bot
    assert len(world.events("hung")) == 1 and len(world.births()) == 2
    assert STOPPED in world.events("died")[0]["message"]


@pytest.mark.fault("F50")
@pytest.mark.fault("F75")
@pytest.mark.promise(5)
def test_what_was_held_during_maintenance_gets_its_full_time_after_it(world: World) -> None:
    impatient(world)
    pid = watched(world)
    world.ok("maintenance", "on", "--reason", "a debugger is at it")
    world.kill(pid, signal.SIGSTOP)
    left_alone(world, pid, 2 * HANG_AFTER)
    assert not world.events("suspect") and not signs(world)
    world.ok("maintenance", "off")
    world.until_event("suspect")
    world.until_event("hung")
    seconds = {event["kind"]: datetime.fromisoformat(event["time"]).timestamp() for event in world.events()}
    assert seconds["hung"] - seconds["suspect"] > HANG_AFTER / 4, "its time began anew"
    assert world.until_running(other_than=pid) == world.bot


@pytest.mark.fault("F22")
@pytest.mark.promise(2)
def test_a_suspect_bot_that_dies_while_no_guard_lives_has_a_death_on_record(world: World) -> None:
    impatient(world)
    world.env["WATCHDOG_RESTART_ON"] = "none"
    guard = world.guard()
    pid = world.until_running()
    world.kill(pid, signal.SIGSTOP)
    until_suspect(world, "stopped", STOPPED)
    oracle.until(lambda: '"suspect"' in (world.state_dir / "state.json").read_text(), "the doubt is on record")
    world.ok("retire")
    world.kill(pid)
    world.guard()
    assert world.until_running(other_than=pid) == world.bot
    assert guard and world.events("died")[-1]["pid"] == pid


def with_two_hangs(world: World) -> None:
    """Two restarts of a hung bot a short while ago, as state.json records them."""
    world.ok("check")
    path = world.state_dir / "state.json"
    state = json.loads(path.read_text())
    state["memory"]["hung_at"] = [state["saved_boot"] - 900, state["saved_boot"] - 300]
    path.write_text(json.dumps(state))


@pytest.mark.fault("F50")
@pytest.mark.promise(2)
@pytest.mark.parametrize(
    "illness",
    [
        {"program": "deadlock", "plain_term": True, "stack": ("deadlock.py", "book")},
        {"program": "deadlock_in_c", "stack": ("deadlock_in_c.py", "match_orders")},
        {"program": "event_loop", "falls_ill": True, "stack": ("event_loop.py", "on_price")},
    ],
    ids=["deadlock", "deadlock-in-c", "blocked-loop"],
)
def test_a_bot_that_hangs_while_data_waits_is_restarted_and_the_mail_names_the_line(
    world: World, sink: MailSink, record_property: Record, illness: dict[str, Any]
) -> None:
    stack = illness.pop("stack")
    with feeds.feed() as plain, feeds.prices() as prices:
        infect(world, beats=False, port=plain.port, feed=prices.url, **illness)
        pid = watched(world)
        fall_ill(world)
        until_restarted(world, sink, pid, UNREAD, record_property, stack)


@pytest.mark.fault("F50")
@pytest.mark.promise(6)
def test_a_bot_that_computes_while_data_waits_may_be_ill_and_is_left_alone(world: World, sink: MailSink) -> None:
    with feeds.feed() as plain:
        infect(world, "spin", beats=False, port=plain.port)
        pid = watched(world)
        fall_ill(world)
        sign = until_suspect(world, "backlog", UNREAD)
        assert not sign["proof"]
        left_alone(world, pid)
        sink.wait_for(lambda mail: UNREAD in mail.text)


@pytest.mark.fault("F50")
@pytest.mark.promise(6)
def test_a_bot_that_reads_more_slowly_than_the_feed_sends_is_never_restarted(world: World, sink: MailSink) -> None:
    with feeds.prices(feeds.Flood, every=0.01) as prices:
        infect(world, "event_loop", feed=prices.url, reads_every=0.05)
        pid = watched(world)
        oracle.until(lambda: unread(pid) > 200_000, "data piles up before the bot")
        left_alone(world, pid)
        assert unread(pid) > 200_000


def unread(pid: int) -> int:
    """The most that waits on a connection of the process, by the kernel's table: rx_queue of proc_pid_net(5)."""
    rows = [line.split() for line in oracle.read(pid, "net/tcp").decode().splitlines()[1:]]
    mine = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    return max((int(row[4].split(":")[1], 16) for row in rows if f"socket:[{row[9]}]" in mine), default=0)


@pytest.mark.fault("F50")
@pytest.mark.promise(6)
def test_a_sleeping_bot_with_old_answers_unread_in_its_pool_of_connections_is_not_even_suspect(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        infect(world, "idle", pool=server.getsockname()[1])
        pid = watched(world)
        kept, closed = (server.accept()[0] for _ in range(2))
        for connection in (kept, closed):
            connection.sendall(b"x" * 5000)
        closed.close()
        fall_ill(world)
        left_alone(world, pid)
        assert unread(pid) >= 5000
        kept.close()
    assert world.events("suspect") == []


@pytest.mark.fault("F50")
@pytest.mark.promise(6)
def test_a_bot_in_a_debugger_is_not_even_suspect(world: World) -> None:
    infect(world, "debugged")
    pid = watched(world)
    oracle.until((world.project / "permitted").exists, "it may be held")
    with traced(pid):
        assert oracle.stat(pid).state == "t"  # type: ignore[union-attr]
        left_alone(world, pid)
    assert world.events("suspect") == []


@contextmanager
def traced(pid: int) -> Iterator[None]:
    """Hold a process as a debugger does, in a thread, since the tracer is one (ptrace(2))."""
    attach, detach = 16, 17
    held, enough = threading.Event(), threading.Event()
    library = ctypes.CDLL(None, use_errno=True)
    library.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def hold() -> None:
        if library.ptrace(attach, pid, None, None) == 0:
            os.waitpid(pid, 0x40000000)  # __WALL: it is no child of ours
            held.set()
            enough.wait(60)
            library.ptrace(detach, pid, None, None)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10), "ptrace is not allowed here"
        yield
    finally:
        enough.set()
        thread.join(10)
