"""reset: the failures are forgotten and nothing else is changed; who should run and does not is started at once."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.process import oracle
from tests.process.world import World


def remembered(world: World) -> dict[str, Any]:
    """What the policy has on record."""
    found: dict[str, Any] = json.loads((world.state_dir / "state.json").read_text())["memory"]
    return found


def test_a_reset_ends_the_waiting_of_a_crash_loop_and_the_word_of_the_operator_stays_as_it_was(world: World) -> None:
    world.ok("check")
    world.kill(world.bot)
    path = world.state_dir / "state.json"
    state = json.loads(path.read_text())
    state["memory"].update(failures=[state["saved_boot"] - 5] * 4, attempt=9)
    path.write_text(json.dumps(state))
    world.guard()
    oracle.until(lambda: (world.status()["next_start_in_s"] or 0) > 60, "the bot waits for minutes", every=0.1)
    assert world.status()["state"] == "failed"
    found = world.ok("reset", "--json", "--by", "alice", "--reason", "exchange is back").json
    assert (found["verb"], found["action"], found["pid"]) == ("reset", "started", world.bot)
    assert found["verified_after_s"] >= 0.29
    assert (remembered(world)["attempt"], remembered(world)["breaker"], world.status()["restarts"]) == (0, False, 0)
    asked = world.events("reset-asked")[-1]
    assert asked["by"] == "alice" and "exchange is back" in asked["message"]
    assert world.status()["desired_by"] is None, "nothing was said about stop or start"
    world.kill(found["pid"])
    assert world.until_running(other_than=found["pid"]), "the first rung again: at once"


@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_a_reset_ends_a_hold(world: World, guarded: bool) -> None:
    world.behave({"exit_after": 0.1, "exit_code": 78}, {})
    world.guard() if guarded else world.verb("check")
    world.until_event("held")
    found = world.ok("reset", "--json").json
    assert (found["state"], found["action"], found["pid"]) == ("running", "started", world.bot)
    assert len(world.births()) == 2 and len(world.events("started")) == 1


@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_a_reset_never_touches_a_running_bot_and_its_counters_begin_anew(world: World, guarded: bool) -> None:
    if guarded:
        world.guard()
    world.ok("check")
    first = world.until_bot()
    world.kill(first)
    world.ok("check")
    pid = world.until_running(other_than=first)
    assert (world.status()["restarts"], remembered(world)["attempt"]) == (1, 1)
    found = world.ok("reset", "--json").json
    assert (found["action"], found["old_pid"], found["pid"], found["verified_after_s"]) == ("none", pid, pid, None)
    assert "its failures are forgotten; already running" in found["message"]
    assert world.bot == pid and len(world.births()) == 2
    assert (world.status()["restarts"], remembered(world)["attempt"], remembered(world)["failures"]) == (0, 0, [])


def test_a_bot_under_suspicion_goes_on_over_a_reset_and_stays_suspect(world: World) -> None:
    world.env.update(WATCHDOG_HANG_AFTER="1", WATCHDOG_RESTART_ON="backlog")
    world.guard()
    pid = world.until_running()
    world.kill(pid, signal.SIGSTOP)
    world.until_event("suspect")
    found = world.ok("reset", "--json").json
    assert (found["state"], found["action"], found["old_pid"], found["pid"]) == ("suspect", "none", pid, pid)
    assert world.bot == pid and remembered(world)["doubts"] == ["stopped"]
    assert remembered(world)["doubts_told_at"] == [], "the next doubt may be told again"


@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_a_stopped_bot_stays_stopped_over_a_reset(world: World, guarded: bool) -> None:
    if guarded:
        world.guard()
        world.until_running()
    world.ok("stop", "--by", "bob")
    found = world.ok("reset", "--json", "--by", "alice").json
    assert (found["state"], found["action"], found["pid"]) == ("stopped", "none", None)
    assert "stopped by the operator: left alone" in found["message"]
    assert world.bots() == [] and world.status()["desired_by"] == "bob"


@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_a_reset_respects_maintenance_and_what_it_forgot_counts_no_more_after_it(world: World, guarded: bool) -> None:
    world.behave({"exit_after": 0.1, "exit_code": 78}, {})
    world.guard() if guarded else world.verb("check")
    world.until_event("held")
    world.ok("maintenance", "on")
    found = world.ok("reset", "--json").json
    assert (found["state"], found["action"]) == ("down", "none") and "maintenance is on" in found["message"]
    assert world.bots() == [] and len(world.births()) == 1
    world.ok("maintenance", "off")
    world.ok("check")
    assert world.until_running() == world.births()[1]["pid"]


def test_a_reset_is_answered_in_one_line(world: World) -> None:
    for part in ("verified after", "already running"):
        out = world.ok("reset").out
        assert out.count("\n") == 1 and "its failures are forgotten" in out and part in out, out
