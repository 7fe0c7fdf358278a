"""fab, sshd, door, agent and bot together: nothing stands in for anything but the bot itself."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process import oracle
from tests.process.world import World
from tests.ssh.checkout import ROOT, Checkout
from tests.ssh.conftest import MakeSshd
from tests.ssh.test_logs import Follower, gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the agent needs Linux")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A bot project with a door as the role makes one."""
    folder = tmp_path / "world"
    folder.mkdir()
    made = World(folder)
    settings = folder / "watchdog.env"
    settings.write_text("".join(f"{name}={value}\n" for name, value in made.env.items() if value))
    door = folder / "root" / "bin" / "dcaTrader"
    door.parent.mkdir(parents=True)
    call = shlex.join([sys.executable, "-m", "watchdog", "--config", str(settings), "--door", str(door)])
    door.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {call} "$@"\n')
    door.chmod(0o755)
    yield made
    made.close()


@pytest.fixture
def fab(checkout: Checkout, make_sshd: MakeSshd, world: World) -> Callable[..., Any]:
    """Run fab against that bot, which is the host ``bot``."""
    server = make_sshd()
    checkout.trust(server.known_hosts_line())
    own = {"watchdog_root": str(world.folder / "root"), "watchdog_start_grace": 0.3, "watchdog_stop_grace": 2}
    checkout.write_inventory({"bot": checkout.host(server, own)})
    return checkout.fab


def test_a_bot_is_started_shown_restarted_with_proof_and_stopped(fab: Callable[..., Any], world: World) -> None:
    assert fab("status").code == 3
    started = fab("start")
    assert started.code == 0, started
    first = world.until_bot()
    assert started.out.startswith(f"bot  started      PID {first}  verified after 0.")
    shown = fab("status")
    assert (shown.code, shown.rows()[0][:3]) == (0, ["bot", "running", str(first)]), shown
    restarted = fab("restart", "--reason", "new -x version")
    assert restarted.code == 0, restarted
    second = world.until_bot(other_than=first)
    assert f"old PID {first} → new PID {second}  verified after 0." in restarted.out
    stopped = fab("stop", LOGNAME="alice")
    assert (stopped.code, stopped.out) == (0, f"bot  stopped      PID {second} is gone\n"), stopped
    assert world.bots() == []
    document = fab("status", "--json").json()["hosts"][0]
    assert document["exit_code"] == 3
    assert document["status"]["state"] == "stopped"
    assert document["status"]["desired_by"] == f"alice@{os.uname().nodename.split('.')[0]}"


def test_a_reset_ends_the_waiting_of_a_crash_loop_and_leaves_a_stopped_bot_alone(
    fab: Callable[..., Any], world: World
) -> None:
    world.behave({"exit_after": 0.1, "exit_code": 78}, {})
    world.guard()
    world.until_event("held")
    done = fab("reset", "--reason", "settings mended", LOGNAME="alice")
    assert done.code == 0, done
    first = world.until_bot()
    assert done.out.startswith(f"bot  started      PID {first}  verified after 0.")
    assert "(settings mended)" in world.until_event("reset-asked")["message"]
    again = fab("reset")
    assert (again.code, again.out.split(None, 2)[1:]) == (
        0, ["ok", f"its failures are forgotten; already running: PID {first}\n"],
    ), again  # fmt: skip
    assert fab("stop").code == 0
    left = fab("reset")
    assert (left.code, world.bots()) == (0, []) and "stopped by the operator: left alone" in left.out, left


def test_decisions_are_explained_in_the_agents_words(fab: Callable[..., Any], world: World) -> None:
    world.behave({"exit_after": 0.1, "exit_code": 78}, {})
    world.guard()
    world.until_event("held")
    done = fab("explain", "-n", "1")
    assert (done.code, done.out) == (0, world.ok("explain", "-n", "1").out), done
    assert "code 78 asks not to be restarted" in done.out
    document = fab("explain", "--since", "2h", "--json").json()["hosts"][0]
    assert [one["event"] for one in document["result"]["decisions"]] == ["Spawned", "Died"]
    assert fab("explain", "-n", "many").code == 2


def test_maintenance_is_switched_and_shown(fab: Callable[..., Any], world: World) -> None:
    on = fab("maintenance", "on", "--for", "90m", "--reason", "new strategy", LOGNAME="alice")
    assert on.code == 0, on
    assert "maintenance by alice@" in on.out
    assert on.out.endswith("left: new strategy\n")
    shown = fab("status")
    assert shown.rows()[0][1].startswith("maint:"), shown
    assert "new strategy" in shown.out
    assert fab("maintenance", "off").code == 0
    assert "no maintenance" in fab("maintenance").out


def test_a_refusal_of_the_agent_is_shown_in_its_words(fab: Callable[..., Any]) -> None:
    done = fab("maintenance", "on", "--for", "soon")
    assert done.code != 0
    assert "'soon' is not a duration" in done.out


def test_the_log_is_shown_and_followed_and_the_agents_follower_leaves(
    checkout: Checkout, make_sshd: MakeSshd, world: World
) -> None:
    server = make_sshd()
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, {"watchdog_root": str(world.folder / "root")})})
    log = world.project / "logs" / "bot.out"
    log.parent.mkdir(exist_ok=True)
    log.write_text("".join(f"line {number}\n" for number in range(10)))
    done = checkout.fab("logs", "-n", "3", "--grep", "-x|line")
    assert (done.code, done.out) == (0, "line 7\nline 8\nline 9\n"), done
    follower = Follower(checkout, "-n", "1")
    try:
        follower.until("line 9\n")
        with log.open("a") as file:
            file.write("line 10\n")
        follower.until("line 10\n")
        assert server.children()
        code, err, _ = follower.interrupt()
        assert (code, err) == (130, "")
        oracle.until(lambda: gone(server), "the follower on the host ends")
    finally:
        if follower.process.poll() is None:
            follower.process.kill()
