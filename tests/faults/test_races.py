"""Many at once: never two bots, exactly one afterwards. WATCHDOG_ROUNDS=50 is the full proof."""

from __future__ import annotations

import json
import random
import shutil
import threading
from pathlib import Path

import pytest

from tests.process import oracle
from tests.process.world import AGENT, ROUNDS, World

CROWD = 20


@pytest.mark.timeout(60 + ROUNDS * 60)
@pytest.mark.fault("F20")
@pytest.mark.promise(1)
def test_twenty_simultaneous_checks_start_one_bot(world: World) -> None:
    for _ in range(ROUNDS):
        crowd = [world.begin("check", "--json") for _ in range(CROWD)]
        answers = [(process.wait(60), process.communicate()) for process in crowd]
        codes = [code for code, _ in answers]
        assert set(codes) <= {0, 75} and 0 in codes, [answer for answer in answers if answer[0] not in (0, 75)] or codes
        started = [
            json.loads(out) for code, (out, _) in answers if code == 0 and json.loads(out)["action"] == "started"
        ]
        assert [answer["pid"] for answer in started] == [world.bot]
        assert all("acting on" in err and err.count("\n") == 1 for code, (_, err) in answers if code == 75)
        world.kill(world.bot)
        world.forget_deaths()


@pytest.mark.fault("F20")
def test_a_pass_that_comes_second_ends_at_once_with_exit_75(world: World) -> None:
    first = world.begin("check", "--json", WATCHDOG_START_GRACE="45")
    oracle.until(lambda: world.guards and world.births(), "the first pass is waiting for its start to be verified")
    done = world.verb("check", "--json", WATCHDOG_START_GRACE="45")
    assert done.code == 75 and done.json["exit_code"] == 75
    assert str(first.pid) in done.json["error"]
    assert first.poll() is None, "it did not wait for the first one"
    assert len(world.births()) == 1


@pytest.mark.timeout(60 + ROUNDS * 60)
@pytest.mark.fault("F20")
@pytest.mark.promise(1)
def test_twenty_simultaneous_guards_are_one_guard_and_one_bot(world: World) -> None:
    for _ in range(ROUNDS):
        crowd = [world.begin("guard") for _ in range(CROWD)]
        answers = [(process.wait(60), process.communicate()) for process in crowd]
        assert {code for code, _ in answers} <= {0, 75}, answers
        guard = world.until_guarded()
        pid = world.until_bot()
        assert world.bots() == [pid] and world.guards == [guard]
        assert world.verb("retire").code == 0
        oracle.until(lambda: not world.guards and not world.heirs, "guard and heir leave")
        assert world.bots() == [pid]
        world.kill(pid)
        world.forget_deaths()


@pytest.mark.fault("F33")
@pytest.mark.promise(1)
@pytest.mark.timeout(60 + ROUNDS * 60)
def test_two_releases_with_two_state_directories_are_one_bot(world: World) -> None:
    releases = []
    for name in ("a", "b"):
        shutil.copytree(AGENT / "watchdog", world.folder / name / "watchdog")
        releases.append(
            {"PYTHONPATH": str(world.folder / name), "WATCHDOG_STATE_DIR": str(world.folder / name / "state")}
        )
    rounds = random.Random(5)
    for number in range(min(20, 2 * ROUNDS)):
        verb = ("check", "guard")[number % 2]
        order = rounds.sample(releases, 2)
        pair = [world.begin(verb, **settings) for settings in order]
        assert {process.wait(60) for process in pair} <= {0, 75}
        pid = world.until_bot()
        assert world.bots() == [pid], f"round {number}"
        if verb == "guard":
            assert world.verb("retire", **order[0]).code == 0
            oracle.until(lambda: not world.guards and not world.heirs, "guard and heir leave")
            assert world.bots() == [pid]
        world.kill(pid)
        world.forget_deaths(*(Path(settings["WATCHDOG_STATE_DIR"]) for settings in releases))


@pytest.mark.fault("F33")
@pytest.mark.promise(5)
def test_a_stop_by_one_configuration_is_obeyed_by_the_guard_of_another(world: World) -> None:
    world.guard(WATCHDOG_STATE_DIR=str(world.folder / "a"), WATCHDOG_NAME="one")
    pid = world.until_bot()
    b = {"WATCHDOG_STATE_DIR": str(world.folder / "b"), "WATCHDOG_NAME": "two"}
    assert world.ok("stop", "--json", **b).json["old_pid"] == pid
    assert world.bots() == []
    assert world.ok("guard", **b).code == 0
    assert world.ok("check", "--json", **b).json["action"] == "none"
    assert world.status(WATCHDOG_STATE_DIR=str(world.folder / "a"))["state"] == "stopped"
    assert world.bots() == []
    assert world.ok("start", "--json", **b).json["pid"] == world.bot


@pytest.mark.fault("F33")
def test_a_run_without_configuration_beside_a_deployed_guard_finds_its_bot(world: World) -> None:
    guard = world.guard(WATCHDOG_STATE_DIR=str(world.folder / "deployed"))
    pid = world.until_bot()
    plain = {key: "" for key in world.env if key != "WATCHDOG_ALLOW_ROOT"}
    done = world.ok("check", "--json", cwd=world.project, **plain)
    assert done.json["pid"] == pid
    assert world.ok("guard", cwd=world.project, **plain).code == 0
    assert world.guards == [guard] and world.bots() == [pid]


@pytest.mark.fault("F21")
@pytest.mark.promise(1)
@pytest.mark.timeout(60 + ROUNDS * 60)
def test_cron_and_operators_all_at_once_never_make_two_bots_and_the_last_word_holds(world: World) -> None:
    world.guard()
    chance = random.Random(21)
    for _ in range(max(2, ROUNDS // 2)):
        words = [chance.choice(("check", "guard", "start", "restart", "stop", "status")) for _ in range(8)]
        crowd = [world.begin(word) for word in words]
        killer = threading.Thread(target=lambda: [world.kill(pid) for pid in world.bots()])
        killer.start()
        killer.join()
        codes = [process.wait(60) for process in crowd]
        assert set(codes) <= {0, 1, 3, 75}, list(zip(words, codes, strict=True))
        assert world.ok("stop").code == 0
        assert world.bots() == []
        assert world.ok("start", "--json").json["pid"] == world.bot
