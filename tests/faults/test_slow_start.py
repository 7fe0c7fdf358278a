"""A bot that needs long until it trades: nobody doubts it meanwhile, and no limit begins before it has begun."""

from __future__ import annotations

import pytest

from tests.faults.illness import HANG_AFTER, infect, left_alone
from tests.process.world import World


@pytest.mark.fault("F48")
@pytest.mark.promise(6)
def test_a_bot_that_warms_up_for_longer_than_any_limit_is_neither_suspect_nor_doubled_by_ticks(
    world: World,
) -> None:
    world.env.update(WATCHDOG_START_GRACE="60", WATCHDOG_HEARTBEAT="1")
    infect(world, "silent", after="warm")
    world.guard()
    pid = world.until_bot()
    for _ in range(3):
        assert world.ok("guard").code == 0
        left_alone(world, pid, HANG_AFTER / 2)
        assert world.status()["state"] == "starting"
    (world.project / "warm").touch()
    assert world.until_running() == pid, "READY=1 ends the start"
    left_alone(world, pid, HANG_AFTER)
    assert world.events("suspect") == [] and world.events("adopted") == []
