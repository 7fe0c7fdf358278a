"""A host that shuts down; here systemd is a stand-in, in tests/lab/test_reboot.py it is real."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.process import oracle
from tests.process.world import World

#: A private /run, so that the host looks like one that systemd has booted (sd_booted(3)).
BOOTED = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs run /run && mkdir -p /run/systemd/system && exec "$@"', "sh"]


def system_is(world: World, state: str) -> None:
    """What `systemctl is-system-running` answers from now on."""
    (world.folder / "bin").mkdir(exist_ok=True)
    part = world.folder / "bin" / "part"
    part.write_text(f"#!/bin/sh\necho {state}\n")
    part.chmod(0o755)
    part.rename(world.folder / "bin" / "systemctl")


@pytest.mark.needs_root
@pytest.mark.fault("F38")
def test_a_bot_that_ends_while_the_host_goes_down_is_started_after_the_boot(world: World) -> None:
    world.behave({"term_takes": 0.5})
    system_is(world, "running")
    world.env["PATH"] = f"{world.folder / 'bin'}:{os.environ['PATH']}"
    assert world.spawn([*BOOTED, *world.command("guard")]).wait(30) == 0
    guard = world.until_guarded()
    first = world.until_running()
    system_is(world, "stopping")
    world.kill(first, signal.SIGTERM)
    oracle.until(lambda: not oracle.alive(first), "it ends in its own time")
    world.until_event("died")
    assert world.spawn([*BOOTED, *world.command("check")]).wait(30) == 1
    assert world.bots() == [] and len(world.births()) == 1 and world.guards == [guard]
    world.kill(guard, signal.SIGTERM)
    oracle.until(lambda: not world.guards and not world.heirs, "guard and heir leave, as everybody does")
    system_is(world, "running")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    state = world.instance / "state.json"
    state.write_text(state.read_text().replace(boot, "0" * 36))
    assert world.spawn([*BOOTED, *world.command("guard")]).wait(30) == 0
    assert world.until_running() != first
    assert len(world.births()) == 2
