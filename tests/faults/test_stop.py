"""`stop`: the bot goes, provably, with its children; and nothing brings it back but the operator."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.process import oracle
from tests.process.world import ROUNDS, World


@pytest.mark.promise(5)
def test_nothing_but_the_operator_resurrects_a_stopped_bot(world: World) -> None:
    guard = world.guard()
    world.until_running()
    world.ok("stop")
    assert world.bots() == []
    assert world.guards == [guard], "the guard stays on watch"
    lives = len(world.births())
    world.kill(guard)
    guard = world.until_guarded(other_than=guard)
    assert world.ok("check", "--json").json["action"] == "none"
    assert world.ok("guard").code == 0
    world.ok("guard", "--replace")
    assert world.until_guarded() == guard
    assert world.ok("retire").code == 0
    assert world.ok("check", "--json").json["action"] == "none"
    world.guard()
    assert world.bots() == [] and len(world.births()) == lives
    assert world.verb("status", "--json").json["state"] == "stopped"
    assert world.ok("start", "--json").json["pid"] == world.bot


@pytest.mark.promise(5)
def test_a_stop_outlives_a_reboot(world: World) -> None:
    world.ok("start")
    world.ok("stop")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for name in ("state.json", "desired"):
        path = world.instance / name
        path.write_text(path.read_text().replace(boot, "f" * 36))
    world.guard()
    assert world.ok("check", "--json").json["action"] == "none"
    assert world.bots() == [] and len(world.births()) == 1


@pytest.mark.promise(5)
def test_a_bot_started_by_hand_over_a_stop_is_reported_and_not_resurrected(world: World) -> None:
    world.guard()
    world.until_running()
    world.ok("stop")
    pid = world.by_hand()
    assert any("by hand" in warning for warning in world.status()["warnings"])
    world.kill(pid)
    assert world.ok("check", "--json").json["action"] == "none"
    assert world.bots() == []


@pytest.mark.fault("F29")
@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_a_bot_that_ignores_sigterm_is_killed_after_the_grace(world: World, guarded: bool) -> None:
    world.behave({"ignore_term": True})
    if guarded:
        world.guard(WATCHDOG_STOP_GRACE="1")
        world.until_running()
    else:
        world.ok("start")
    started = time.monotonic()
    done = world.ok("stop", "--json", WATCHDOG_STOP_GRACE="1")
    assert time.monotonic() - started >= 1
    assert done.json["action"] == "stopped" and world.bots() == []
    assert world.status()["last_exit"]["text"].count("killed") == 1


def test_a_bot_that_takes_its_time_gets_it(world: World) -> None:
    world.behave({"term_takes": 1})
    world.ok("start")
    world.ok("stop", WATCHDOG_STOP_GRACE="15")
    assert world.bots() == []
    last = world.status()["last_exit"]["text"]
    assert "stopped" in last and "killed" not in last


@pytest.mark.fault("F29")
@pytest.mark.promise(1)
def test_a_restart_starts_nothing_before_the_old_bot_is_gone(world: World) -> None:
    world.behave({"ignore_term": True}, {})
    world.guard(WATCHDOG_STOP_GRACE="1")
    old = world.until_running()
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    done = world.ok("restart", "--json")
    assert done.json["old_pid"] == old and done.json["pid"] == world.bot
    assert world.births()[-1]["at"] - begun > 1


@pytest.mark.fault("F30")
@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_stopped_process_can_be_ended(world: World, verb: str) -> None:
    pid = world.ok("start", "--json").json["pid"]
    world.kill(pid, signal.SIGSTOP)
    oracle.until(lambda: (found := oracle.stat(pid)) and found.state == "T", "the bot is stopped")
    assert world.ok(verb, "--json").json["old_pid"] == pid
    assert not oracle.alive(pid)
    assert "killed" not in world.status()["last_exit"]["text"], "it was continued and so could end in order"


@pytest.mark.fault("F31")
@pytest.mark.parametrize("child", ["fork", "sleep"])
def test_children_of_a_stopped_bot_are_ended_too(world: World, child: str) -> None:
    world.behave({"child": child, "child_ignores_term": True})
    world.guard(WATCHDOG_STOP_GRACE="1")
    pid = world.until_running()
    (left,) = (int(line) for line in world.lines("children"))
    assert world.ok("stop", "--json").json["old_pid"] == pid
    assert not oracle.alive(left)
    oracle.until(lambda: not oracle.lock_holders(world.instance / "bot.lock"), "nobody keeps the lock")


@pytest.mark.fault("F25")
@pytest.mark.promise(1)
def test_a_child_that_keeps_the_lock_of_a_dead_bot_is_ended_before_the_next_start(world: World) -> None:
    world.behave({"child": "fork"}, {})
    world.guard()
    pid = world.until_running()
    (child,) = (int(line) for line in world.lines("children"))
    assert set(oracle.lock_holders(world.instance / "bot.lock")) == {pid, child}
    world.kill(pid)
    new = world.until_running(other_than=pid)
    assert not oracle.alive(child) and world.bots() == [new]
    assert world.events("leftovers")


@pytest.mark.fault("F25")
@pytest.mark.fault("F31")
@pytest.mark.parametrize("how", ["the bot dies", "stop"])
def test_children_that_come_anew_with_every_term_are_ended_all_the_same(world: World, how: str) -> None:
    world.behave({"child": "respawn"}, {})
    world.guard(WATCHDOG_STOP_GRACE="1")
    pid = world.until_running()
    oracle.until(lambda: world.lines("children"), "the child runs")
    if how == "stop":
        assert world.ok("stop", "--json").json["old_pid"] == pid
        assert not oracle.lock_holders(world.instance / "bot.lock")
    else:
        world.kill(pid)
        new = world.until_running(other_than=pid)
        assert world.bots() == [new]
        assert len(world.events("leftovers")) == 1
    session = [one for one in oracle.pids() if (found := oracle.stat(one)) and found.session == pid]
    assert not [one for one in session if oracle.alive(one)]


@pytest.mark.fault("F25")
@pytest.mark.promise(3)
def test_a_stranger_that_holds_the_bots_lock_is_named_and_left_alone(world: World) -> None:
    world.ok("stop")
    stranger = world.spawn(["flock", "-x", str(world.instance / "bot.lock"), "sleep", "3600"])
    oracle.until(lambda: oracle.lock_holders(world.instance / "bot.lock"), "the stranger has the lock")
    done = world.verb("start", "--json", timeout=40)
    assert done.code == 4 and "holds" in done.json["message"] and "bot.lock" in done.json["message"]
    assert world.verb("status", "--json").json["state"] == "unknown"
    assert world.verb("status").code == 4
    assert stranger.poll() is None and world.births() == []


@pytest.mark.promise(5)
@pytest.mark.fault("F21")
def test_a_stop_wins_over_a_restart_under_way(world: World) -> None:
    world.behave({"term_takes": 1.5})
    world.guard()
    world.until_running()
    restart = world.begin("restart", "--json")
    world.until_event("restart-asked")
    assert world.ok("stop", "--json").json["ok"]
    assert restart.wait(20) == 75, restart.communicate()
    assert world.bots() == []
    assert world.ok("check", "--json").json["action"] == "none"
    assert len(world.births()) == 1


@pytest.mark.promise(5)
@pytest.mark.fault("F21")
def test_a_stop_wins_over_a_start_in_its_grace(world: World) -> None:
    world.ok("stop")
    start = world.begin("start", "--json", WATCHDOG_START_GRACE="45")
    oracle.until(world.births, "the bot is in its start grace")
    stop = world.verb("stop", "--json", timeout=90)
    assert stop.code == 0 and stop.seconds < 40, stop
    assert world.bots() == []
    start.wait(60)
    assert world.bots() == [] and world.ok("check", "--json").json["action"] == "none"


@pytest.mark.fault("F35")
@pytest.mark.promise(5)
@pytest.mark.timeout(60 + ROUNDS * 60)
@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_a_stop_at_any_instant_of_a_start_leaves_no_bot(world: World, guarded: bool) -> None:
    chance = random.Random(35)
    world.ok("stop")
    if guarded:
        world.guard()
    for _ in range(min(20, ROUNDS)):
        said = len(world.events("start-asked"))
        start = world.begin("start", "--json")
        oracle.until(lambda: len(world.events("start-asked")) > said, "the start is under way", every=0.001)  # noqa: B023
        time.sleep(chance.uniform(0, 0.1))  # the point of this test is the random instant
        stop = world.ok("stop", "--json")
        assert world.bots() == [], stop
        start.wait(30)
        assert world.bots() == [], (stop, start.communicate())
        oracle.until(lambda: not oracle.lock_holders(world.instance / "bot.lock"), "nobody keeps the lock")
        assert world.verb("status", "--json").json["state"] == "stopped"


@pytest.mark.promise(5)
def test_a_stop_that_cannot_be_recorded_says_so_and_is_not_done(world: World) -> None:
    pid = world.ok("start", "--json").json["pid"]
    (world.instance / "desired").unlink()
    (world.instance / "desired").mkdir()
    for guarded in (False, True):
        if guarded:
            world.guard()
        done = world.verb("stop", "--json")
        assert done.code == 1 and "not recorded" in (done.json.get("message") or done.json["error"])
        assert world.bots() == [pid]
