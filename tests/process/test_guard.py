"""The guard: it brings a dead bot back at once, tells after it, is replaced when it dies, and never touches the bot."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import World


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.fault("F49")
@pytest.mark.promise(4)
@pytest.mark.promise(2)
def test_a_killed_bot_is_back_before_anything_is_said_and_exactly_one_mail_tells(world: World, sink: MailSink) -> None:
    world.guard()
    first = world.until_running()
    sink.wait_for(lambda mail: str(first) in mail.text)
    said = len(sink.mails)
    killed = boottime()
    world.kill(first)
    second = world.until_bot(other_than=first)
    born = world.births()[-1]["at"]
    assert born - killed < 2, "milliseconds on a free machine"
    mail = sink.wait_for(lambda mail: str(second) in mail.text)
    assert "restarted" in mail.subject and "SIGKILL" in mail.text
    assert mail.received_at > born
    world.kill(second, signal.SIGTERM)
    third = world.until_running(other_than=second)
    mail = sink.wait_for(lambda mail: str(third) in mail.text)
    assert "exit code 0" in mail.text, "an orderly end by itself is an end like any other"
    assert len(sink.mails) == said + 2
    oracle.until(lambda: world.outbox() == [], "what was sent is not kept")


@pytest.mark.serial
def test_the_new_bot_lives_hardly_later_than_a_shell_would_have_started_it(world: World) -> None:
    def started_by(deed: Callable[[], object]) -> float:
        born, since = len(world.births()), boottime()
        deed()
        oracle.until(lambda: len(world.births()) > born, "a new life", every=0.002)
        return float(world.births()[-1]["at"]) - since

    plain = []
    for _ in range(3):
        argv = ["sh", "-c", f"exec {world.python} {world.script}"]
        plain.append(started_by(lambda: world.spawn(argv, world.project)))  # noqa: B023 - called at once
        world.kill(world.bot)
    world.guard()
    world.until_running()
    guarded = []
    for _ in range(3):
        world.ok("start")  # the ladder begins anew
        pid = world.bot
        guarded.append(started_by(lambda: os.kill(pid, signal.SIGKILL)))  # noqa: B023
        world.until_running(other_than=pid)
    assert statistics.median(guarded) < 1.5 * statistics.median(plain) + 0.05, (plain, guarded)


@pytest.mark.fault("F41")
def test_each_further_death_waits_for_the_next_rung_of_the_ladder(world: World) -> None:
    world.guard()
    pid = world.until_running()
    delays = []
    for _ in range(3):
        killed = boottime()
        world.kill(pid)
        if len(delays) == 2:
            status = world.status()
            assert status["state"] == "backoff" and 0 < status["next_start_in_s"] <= 2 and status["pid"] is None
            assert status["last_exit"]["signal"] == 9 and "SIGKILL" in status["last_exit"]["text"]
        pid = world.until_bot(other_than=pid)
        delays.append(world.births()[-1]["at"] - killed)
        world.until_running()
    assert delays[0] < 1 <= delays[1] < 2 <= delays[2] < 4, delays
    assert world.status()["restarts"] == 3


def test_a_tick_beside_a_live_guard_changes_nothing_and_says_nothing(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    for _ in range(5):
        done = world.ok("guard")
        assert (done.out, done.err) == ("", "")
    assert world.guards == [guard] and world.bots() == [pid] and len(world.heirs) == 1


def test_a_guard_in_the_foreground_stays_there_and_leaves_on_sigterm(world: World) -> None:
    process = world.begin("guard", "--foreground")
    assert world.until_guarded() == process.pid
    pid = world.until_running()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert world.bots() == [pid]


@pytest.mark.fault("F48")
def test_a_bot_in_a_long_start_grace_is_neither_doubled_nor_killed_by_ticks_and_a_new_guard(world: World) -> None:
    world.env["WATCHDOG_START_GRACE"] = "60"
    guard = world.guard()
    pid = world.until_bot()
    assert world.status()["state"] == "starting"
    assert world.ok("guard").code == 0
    world.kill(guard)
    world.until_guarded(other_than=guard)
    assert world.ok("guard").code == 0
    assert world.bots() == [pid] and len(world.births()) == 1
    assert world.status()["state"] == "starting", "the new guard finishes the verification"


@pytest.mark.fault("F36")
@pytest.mark.promise(6)
def test_a_killed_guard_is_replaced_by_its_heir_and_the_bot_does_not_notice(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    heirs = world.heirs
    started = time.monotonic()
    world.kill(guard)
    world.until_guarded(other_than=guard)
    assert time.monotonic() - started < 5
    oracle.until(lambda: len(world.heirs) == 1 and world.heirs != heirs, "one heir, another one")
    assert world.until_running() == pid
    world.kill(pid)
    assert world.until_bot(other_than=pid)


@pytest.mark.promise(1)
@pytest.mark.promise(6)
def test_twenty_guards_killed_in_a_row_leave_the_bot_its_pid(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    for _ in range(20):
        world.kill(guard)
        guard = world.until_guarded(other_than=guard)
        assert world.bots() == [pid]
    assert world.until_running() == pid and len(world.births()) == 1
    world.kill(pid)
    assert world.until_bot(other_than=pid)


def test_guard_and_heir_killed_together_are_replaced_by_the_next_tick(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    heir = world.heirs[0]
    os.kill(heir, signal.SIGKILL)
    os.kill(guard, signal.SIGKILL)
    oracle.until(lambda: not world.guards and not world.heirs, "both are gone")
    status = world.status()
    assert status["state"] == "running" and status["pid"] == pid and status["guard"] is None
    assert world.guard() not in (guard, heir)
    assert world.until_running() == pid


def test_guard_and_bot_killed_together_are_both_back(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    os.kill(guard, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    assert world.until_guarded(other_than=guard)
    assert world.until_running(other_than=pid)
    assert world.events("died"), "the death is accounted for"


def test_a_dead_heir_is_replaced(world: World) -> None:
    guard = world.guard()
    heir = world.heirs[0]
    world.kill(heir)
    oracle.until(lambda: world.heirs not in ([], [heir]), "another heir", within=20)
    assert world.until_guarded() == guard and world.heirs != [heir]


@pytest.mark.fault("F23")
@pytest.mark.promise(2)
def test_a_stopped_guard_is_replaced_once_its_beat_is_old(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    world.kill(guard, signal.SIGSTOP)
    done = world.verb("guard", timeout=40)
    assert done.code == 75 and str(guard) in done.err, "silent, but not for long enough"
    assert world.guards == [guard]
    beat = world.instance / "beat"
    moment, number, boot = beat.read_text().split()
    assert int(number) == guard
    beat.write_text(f"{float(moment) - 60:018.3f} {guard:08d} {boot}\n")
    assert world.verb("guard", timeout=40).code == 0
    new = world.until_guarded(other_than=guard)
    assert not oracle.alive(guard) and world.bots() == [pid]
    assert world.events("guard-replaced")
    world.kill(pid)
    assert world.until_bot(other_than=pid) and world.guards == [new]


@pytest.mark.fault("F37")
def test_a_guard_whose_beat_is_old_but_which_answers_is_left_alone(world: World) -> None:
    guard = world.guard()
    beat = world.instance / "beat"
    moment, _, boot = beat.read_text().split()
    beat.write_text(f"{float(moment) - 600:018.3f} {guard:08d} {boot}\n")
    assert world.ok("guard").code == 0
    assert world.guards == [guard]


@pytest.mark.promise(6)
def test_sigterm_ends_guard_and_heir_and_leaves_the_bot_alone_until_a_tick(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    world.kill(guard, signal.SIGTERM)
    oracle.until(lambda: not world.guards and not world.heirs, "guard and heir leave")
    ours = [one for one in oracle.related(f"{world.folder}/", world.instance.name) if oracle.alive(one)]
    assert ours == [pid] == world.bots()
    world.kill(pid)
    assert world.bots() == []
    assert not (world.instance / "control.sock").exists()
    world.guard()
    assert world.until_bot(other_than=pid)


def test_a_check_beside_a_guard_asks_it_and_respects_its_backoff(world: World) -> None:
    world.behave(*[{"exit_after": 0, "exit_code": 3}] * 4, {})
    world.guard()
    oracle.until(lambda: len(world.births()) == 4, "four lives; the next rung is five seconds")
    oracle.until(lambda: world.status()["state"] == "backoff", "the fourth death is noticed", every=0.1)
    done = world.verb("check", "--json")
    assert done.code == 1 and "next try in" in done.json["message"]
    assert len(world.births()) == 4, "it did not start the bot before its time"
    assert world.ok("start", "--json").json["pid"] == world.bot, "the operator's start does not wait"
    assert world.ok("check", "--json").json["action"] == "none"


def test_a_flood_at_the_notify_socket_is_heard_in_portions_and_does_not_delay_a_restart(world: World) -> None:
    flood = (
        "import socket, sys, time\n"
        "client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "client.connect(sys.argv[1])\n"
        "end, sent = time.monotonic() + 2, 0\n"
        "while time.monotonic() < end:\n"
        "    sent += 1\n"
        "    client.send(b'WATCHDOG=1')\n"
        "print(sent)\n"
    )
    world.guard()
    pid = world.until_running()
    sender = world.spawn([world.python, "-c", flood, str(world.instance / "notify.sock")])
    oracle.until(lambda: (found := oracle.stat(sender.pid)) and found.state == "S", "it has to wait")
    world.kill(pid)
    assert world.until_running(other_than=pid)
    sent = int(sender.communicate(timeout=30)[0])
    waiting = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 1
    assert sent < 60 * (100 + waiting), "at most 100 are taken at a time, twenty times a second"
