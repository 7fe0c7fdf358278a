"""`run` for people who want the bot in the foreground, `retire` for upgrade and removal."""

from __future__ import annotations

import os
import signal

import pytest

from tests.process import oracle
from tests.process.world import World


@pytest.mark.promise(1)
def test_run_shows_the_bot_holds_its_lock_and_ends_with_its_code(world: World) -> None:
    world.behave({"say": ["hello terminal"], "exit_after": 1.5, "exit_code": 7})
    process = world.begin("run")
    pid = world.until_bot()
    assert oracle.lock_holders(world.instance / "bot.lock") == [pid]
    oracle.until(lambda: world.lines(world.pid_file) == [str(pid)], "the PID file")
    assert world.verb("status", "--json").json["pid"] == pid
    assert process.wait(20) == 7
    assert process.stdout and "hello terminal" in process.stdout.read()


def test_run_refuses_when_the_bot_runs_already(world: World) -> None:
    pid = world.ok("start", "--json").json["pid"]
    done = world.verb("run")
    assert done.code == 75 and "running already" in done.err
    assert world.bots() == [pid]


def test_run_refuses_when_a_bot_without_the_lock_runs(world: World) -> None:
    pid = world.by_hand()
    done = world.verb("run")
    assert done.code == 75 and str(pid) in done.err
    assert world.bots() == [pid]


@pytest.mark.promise(5)
def test_run_refuses_a_stopped_bot_with_exit_3(world: World) -> None:
    world.ok("stop")
    done = world.verb("run")
    assert done.code == 3 and "start" in done.err
    assert world.births() == []


@pytest.mark.promise(5)
def test_ctrl_c_in_run_counts_as_stop_and_no_guard_brings_the_bot_back(world: World) -> None:
    world.ok("stop")
    world.guard()
    world.ok("start")
    old = world.bot
    world.kill(world.guards[0], signal.SIGTERM)
    oracle.until(lambda: not world.guards and not world.heirs, "guard and heir leave")
    world.kill(old)
    process = world.begin("run", "--by", "carol")
    pid = world.until_bot(other_than=old)
    guard = world.guard()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) in (130, 128 + signal.SIGINT)
    assert not oracle.alive(pid)
    assert world.ok("check", "--json").json["action"] == "none"
    assert world.bots() == [] and world.guards == [guard]
    status = world.status()
    assert status["state"] == "stopped" and status["desired_by"] == "carol"


def test_a_bot_in_run_outlives_its_parents_death_and_is_adopted(world: World) -> None:
    process = world.begin("run")
    pid = world.until_bot()
    process.kill()
    process.wait(5)
    assert world.ok("check", "--json").json["pid"] == pid
    world.guard()
    assert world.until_running() == pid and len(world.births()) == 1


def test_sigterm_to_run_is_passed_on_to_the_bot(world: World) -> None:
    world.behave({"term_code": 3})
    process = world.begin("run")
    world.until_bot()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 3
    assert world.bots() == []


def test_stop_ends_a_bot_in_run(world: World) -> None:
    process = world.begin("run")
    pid = world.until_bot()
    assert world.ok("stop", "--json").json["old_pid"] == pid
    assert process.wait(20) == 0


@pytest.mark.promise(6)
def test_retire_ends_guard_and_heir_and_leaves_the_bot(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    found = world.ok("retire", "--json").json
    assert found["verb"] == "retire" and found["ok"] is True and found["kept"] == []
    oracle.until(lambda: not world.guards and not world.heirs, "guard and heir leave")
    assert world.bots() == [pid] and not oracle.alive(guard)
    assert world.ok("retire").code == 0, "retiring nobody is fine"
    world.guard()
    assert world.until_running() == pid


def test_retire_ends_a_guard_that_does_not_answer(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    world.kill(guard, signal.SIGSTOP)
    assert world.verb("retire", timeout=40).code == 0
    oracle.until(lambda: not world.guards and not world.heirs, "guard and heir leave")
    assert world.bots() == [pid]


@pytest.mark.promise(1)
@pytest.mark.promise(6)
def test_purge_beside_a_live_bot_keeps_what_protects_it_and_names_it(world: World) -> None:
    world.guard()
    pid = world.until_running()
    found = world.ok("retire", "--purge", "--json").json
    lock = world.instance / "bot.lock"
    assert str(lock) in found["kept"] and lock.exists()
    assert oracle.lock_holders(lock) == [pid] == world.bots()
    assert not (world.instance / "state.json").exists() and not (world.instance / "events.jsonl").exists()
    assert world.ok("check", "--json").json["pid"] == pid
    assert len(world.births()) == 1


def test_purge_of_a_stopped_bot_leaves_nothing(world: World) -> None:
    world.guard()
    world.until_running()
    world.ok("stop")
    found = world.ok("retire", "--purge", "--json").json
    assert found["kept"] == []
    assert not world.instance.exists()
    assert oracle.related(f"{world.folder}/", world.instance.name) == []


def test_purge_with_a_state_directory_of_its_own_removes_that_too(world: World) -> None:
    world.env["WATCHDOG_STATE_DIR"] = str(world.folder / "state")
    world.ok("start")
    world.ok("stop")
    assert (world.folder / "state" / "state.json").exists()
    (world.folder / "state" / "samples").mkdir()
    (world.folder / "state" / "samples" / "2026-11-29.jsonl").write_text("[]\n")
    world.ok("retire", "--purge")
    assert not (world.folder / "state").exists() and not world.instance.exists()


@pytest.mark.promise(1)
@pytest.mark.fault("F22")
def test_a_bot_started_in_the_middle_of_a_purge_is_still_the_only_one(world: World) -> None:
    for _ in range(3):
        world.ok("check")
        pid = world.bot
        purge = world.begin("retire", "--purge")
        check = world.begin("check")
        assert {purge.wait(30), check.wait(30)} <= {0, 75, 78, 1}
        world.ok("check")
        assert world.bots() == [pid]
        os.kill(pid, signal.SIGKILL)
        oracle.until(lambda: not world.bots(), "it is dead")
        world.forget_deaths()
