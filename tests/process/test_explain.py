"""explain: what really happened to a bot, with the reasons of the guard that was on watch."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.process import oracle
from tests.process.world import World
from watchdog import __version__


def explained(world: World, *words: str) -> list[dict[str, Any]]:
    """The decisions on record. This version took them all, so it takes them alike."""
    found: list[dict[str, Any]] = world.ok("explain", "--json", *words).json["decisions"]
    assert all(one["replayed"] == "same" for one in found if one["event"]), found
    return found


def reasons(world: World, event: str) -> list[str]:
    """Why, for all decisions about one sort of event."""
    return [one["why"] for one in explained(world, "-n", "99") if one["event"] == event]


def test_three_deaths_are_explained_with_the_ladder_that_was_climbed(world: World) -> None:
    world.behave(*[{"exit_after": 0.1, "exit_code": 3}] * 3, {})
    world.guard()
    world.until_running()
    first, second, third = reasons(world, "Died")
    assert first.startswith("1st death in a row: the ladder waits 0 s; 1 of 5 failures")
    assert second.startswith("2nd death in a row: the ladder waits 1 s; 2 of 5 failures")
    assert third.startswith("3rd death in a row: the ladder waits 2 s; 3 of 5 failures")
    assert reasons(world, "Spawned")[-1].endswith("delay of 2 s is over: start no. 3 by itself")
    assert "mail 1 of 10 about restarts" in reasons(world, "Verified")[0]
    text = world.ok("explain").out
    assert text.count("    why   ") == text.count("    done  ") == 8
    assert "ended with exit code 3" in text and "alert restarted" in text and "replayed" not in text
    assert world.ok("explain", "-n", "1", "-v").out.endswith(f"{__version__}: same\n")
    assert [one["message"] for one in explained(world, "-n", "1")] == [world.events()[-1]["message"]]
    assert world.ok("explain", "--since", "2030-01-01").out == "nothing is on record for that time\n"


def test_stop_start_and_maintenance_are_explained(world: World) -> None:
    world.guard()
    pid = world.until_running()
    world.ok("maintenance", "on")
    world.kill(pid)
    world.until_event("not-started")
    assert reasons(world, "Vacant") == ["maintenance is on: not started"]
    world.ok("start", "--by", "alice")
    assert reasons(world, "Spawned")[-1] == "the operator asked for it: started at once"
    world.ok("stop", "--by", "bob")
    assert "operator said stop: its end is no failure" in reasons(world, "Stopped")[0]
    out = world.ok("explain").out
    assert "stop asked for by bob" in out and "maintenance on by" in out


def test_a_hold_and_its_end_by_a_changed_script_are_explained(world: World) -> None:
    world.behave({"exit_after": 0.1, "exit_code": 78}, {})
    world.verb("check")
    (found,) = [one for one in explained(world) if one["event"] == "Died"]
    assert "code 78 asks not to be restarted: held" in found["why"]
    assert found["actions"] == ["state held", "event died", "event held", "alert failed"]
    assert "mend it, then" in found["message"], "both events of that decision are there"
    world.script.write_text(world.script.read_text() + "\n# mended\n")
    world.ok("check")
    assert "the bot's files changed: failures forgotten; it should run" in reasons(world, "Vacant")[-1]


def test_a_second_bot_is_explained(world: World) -> None:
    world.bots_allowed = 2
    world.behave({"may_overlap": True})
    world.by_hand()
    world.by_hand()
    world.ok("check")
    world.until_event("duplicate")
    assert reasons(world, "Duplicate") == [
        "there must be one bot, and one that others started is never ended by us; told once"
    ]
    assert "watched and left as it is" in reasons(world, "Adopted")[0]


def test_the_restart_of_a_hung_bot_is_explained_with_its_evidence(world: World) -> None:
    world.env["WATCHDOG_HANG_AFTER"] = "1"
    world.guard()
    pid = world.until_running()
    world.kill(pid, signal.SIGSTOP)
    world.until_running(other_than=pid)
    hung = next(one for one in explained(world) if one["event"] == "Judged" and "kill" in one["actions"])
    assert hung["why"].startswith("evidence: stopped: it has been stopped (state T) for ")
    assert hung["why"].endswith(": restart; 1 of 3 such restarts within the hour")
    assert hung["fields"]["signs"][0][:2] == ["stopped", True]


def test_what_it_says_of_a_changed_policy_is_no_failure_and_nothing_is_touched(world: World) -> None:
    world.behave({"exit_after": 0.1, "exit_code": 3}, {})
    world.guard()
    world.until_running()
    path = world.instance / "events.jsonl"
    oracle.until(lambda: path.read_text().count("next start in 0 s") == 1, "the death is on record")
    content = path.read_text().replace("next start in 0 s", "next start in 9 s") + "{torn"
    path.write_text(content)
    done = world.ok("explain")
    assert done.out.count(f"this version ({__version__}) would have: state backoff, next start in 0 s") == 1
    assert path.read_text() == content


@pytest.mark.parametrize("words", [("-n", "-1"), ("-n", "x"), ("--since", "soon"), ("--grep", "x")])
def test_a_slip_in_its_options_is_a_usage_error(world: World, words: tuple[str, ...]) -> None:
    assert world.verb("explain", *words).code == 2


def test_without_anything_on_record_it_says_so(world: World) -> None:
    assert world.ok("explain").out == "nothing is on record for that time\n"
    assert world.ok("explain", "--json").json["decisions"] == []
    assert not world.instance.exists()
