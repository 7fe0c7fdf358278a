"""A watchdog of the naive kind beside ours: it trusts the PID file, starts the bot itself, knows no lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import oracle
from tests.process.world import World

#: What people have in their crontabs: no PID file, or a dead number in it, means "start it".
NAIVE = """\
import os, subprocess, sys, time
python, script, pid_file = sys.argv[1:]
while True:
    try:
        os.kill(int(open(pid_file).read()), 0)
    except (OSError, ValueError):
        bot = subprocess.Popen([python, script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open("tries", "a") as file:
            file.write(f"{bot.pid}\\n")
        time.sleep(0.3)
        if bot.poll() is None:
            open(pid_file, "w").write(str(bot.pid))
    time.sleep(0.02)
"""


def older_watchdog(world: World) -> Path:
    script = world.project / "scripts" / "watchdog.py"
    script.parent.mkdir()
    script.write_text(NAIVE)
    argv = [world.python, "scripts/watchdog.py", world.python, str(world.script), str(world.pid_file)]
    process = world.spawn(argv, world.project, {"PATH": "/usr/bin:/bin"})
    (warning,) = [text for text in world.status()["warnings"] if "older watchdog" in text]
    assert str(process.pid) in warning and str(script) in warning
    return script


@pytest.mark.fault("F34")
@pytest.mark.promise(1)
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_an_older_watchdog_beside_ours_is_named_and_two_bots_never_trade(world: World, first: str) -> None:
    world.behave({"pid_file": True})
    world.bots_allowed = 2  # a copy started past us lives until it has found out
    if first == "ours":
        world.guard()
        world.until_running()
        older_watchdog(world)
    else:
        older_watchdog(world)
        world.until_bot()
        world.guard()
    pid = world.until_running()
    tries = len(world.lines("tries"))
    world.lose_pid_file()
    oracle.until(lambda: len(world.lines("tries")) > tries, "theirs trusts the PID file and starts a copy")
    oracle.until(lambda: world.bots() == [pid], "the copy has found out")
    world.kill(pid)
    oracle.until(lambda: len(world.bots()) == 1, "one bot again, whoever started it")
    oracle.until(lambda: world.bots() == [world.status()["pid"]], "ours watches it", every=0.1)
    assert world.lines("overlaps") == []
