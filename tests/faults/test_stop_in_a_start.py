"""`stop` while a start is held between two steps of the ordering protocol: in the end there is no bot and no lock."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.process import oracle
from tests.process.world import World

#: The instants, in the order of the protocol (docs/architecture.md).
INSTANTS = {
    "before the lock": ("claim:Claim.examine", "before"),
    "under the lock": ("claim:Claim.examine", "after"),
    "after the wish was read": ("spawn:start", "before"),
    "after the spawn": ("spawn:start", "after"),
    "after the PID file": ("pidfile:write_pid_file", "after"),
}


@pytest.mark.fault("F35")
@pytest.mark.promise(1)
@pytest.mark.promise(5)
@pytest.mark.parametrize("instant", INSTANTS)
def test_a_stop_at_this_instant_of_a_pass_leaves_no_bot(world: World, instant: str) -> None:
    harness = str(Path(__file__).with_name("holdpoint.py"))
    start = world.spawn([world.python, harness, *INSTANTS[instant], "--", "check", "--json"])
    oracle.until(lambda: (found := oracle.stat(start.pid)) and found.state == "T", f"the start is held {instant}")
    began = len(world.bots())
    assert began == (1 if instant in ("after the spawn", "after the PID file") else 0)
    stop = world.begin("stop", "--json")
    desired = world.instance / "desired"
    oracle.until(lambda: json.loads(desired.read_text())["desired"] == "stopped", "the stop is recorded")
    os.kill(start.pid, signal.SIGCONT)
    out, _ = stop.communicate(timeout=60)
    assert stop.returncode == 0, out
    assert world.bots() == []
    start.communicate(timeout=30)
    assert start.returncode in (0, 1, 75), "what it answers depends on the instant"
    assert world.bots() == [] and not oracle.lock_holders(world.instance / "bot.lock")
    assert not world.pid_file.exists()
    assert world.ok("check", "--json").json["action"] == "none" and world.bots() == []
    assert world.status()["state"] == "stopped"
