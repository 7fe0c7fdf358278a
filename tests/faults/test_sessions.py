"""Stopped processes can be ended; and a session's number alone makes nobody a leftover."""

from __future__ import annotations

import json
import signal

import pytest

from tests.process import oracle
from tests.process.world import World


@pytest.mark.fault("F30")
@pytest.mark.promise(1)
@pytest.mark.parametrize("deaf", [False, True], ids=["ends on SIGTERM", "ignores SIGTERM"])
def test_a_restart_continues_a_stopped_bot_and_then_kills_it_if_it_must(world: World, deaf: bool) -> None:
    world.behave({"ignore_term": deaf, "term_code": 7}, {})
    world.guard(WATCHDOG_STOP_GRACE="0.5" if deaf else "10")
    pid = world.until_running()
    world.kill(pid, signal.SIGSTOP)
    oracle.until(lambda: (found := oracle.stat(pid)) and found.state == "T", "the bot is stopped")
    found = world.ok("restart", "--json").json
    assert (found["old_pid"], found["pid"]) == (pid, world.bot) and found["pid"] != pid
    assert not oracle.alive(pid)
    assert ("killed" in world.status()["last_exit"]["text"]) is deaf


@pytest.mark.fault("F31")
@pytest.mark.promise(3)
def test_a_session_whose_number_was_given_out_again_is_not_touched(world: World) -> None:
    """The kernel gives a number out again only after all others, so the record names another start instead."""
    world.ok("check")
    recorded = world.bot
    world.kill(recorded)
    holder = world.spawn(["flock", "-x", str(world.instance / "bot.lock"), "sleep", "3600"], start_new_session=True)
    oracle.until(lambda: len(oracle.lock_holders(world.instance / "bot.lock")) == 2, "leader and member have the lock")
    state = json.loads((world.instance / "state.json").read_text())
    assert state["bot"][0] == recorded
    state["bot"][0] = holder.pid
    (world.instance / "state.json").write_text(json.dumps(state))
    for verb in ("check", "stop", "start"):
        done = world.verb(verb, "--json")
        assert done.code == 4 and str(holder.pid) in done.json["message"], done
    assert len(oracle.lock_holders(world.instance / "bot.lock")) == 2, "neither of them was ended"
    assert len(world.births()) == 1
