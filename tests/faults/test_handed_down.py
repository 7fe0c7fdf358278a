"""What the bot gets from whoever starts it, and what it does not; and that it needs nobody once it runs."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import Any

import pytest

from tests.process import oracle
from tests.process.world import World

#: Run a command with signals ignored and blocked, as a careless shell, cron or ssh may hand it on.
CARELESS = """\
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR2})
os.umask(0o077)
os.execv(sys.argv[1], sys.argv[1:])
"""

#: Python itself ignores these two in every program.
PYTHONS_OWN = {signal.SIGPIPE, signal.SIGXFSZ}


def signals(pid: int, which: str) -> set[int]:
    """The signals in a mask of /proc/PID/status, without the C library's own and the real-time ones."""
    lines = dict(line.split(":\t", 1) for line in oracle.read(pid, "status").decode().splitlines() if ":\t" in line)
    mask = int(lines[which], 16)
    return {number for number in range(1, 32) if mask >> (number - 1) & 1}


def given(world: World) -> dict[str, Any]:
    """What the bot found when it began."""
    text = str(oracle.until(lambda: "".join(world.lines("given.json")), "given.json"))
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


@pytest.mark.fault("F47")
@pytest.mark.promise(7)
@pytest.mark.parametrize("verb", ["guard", "start"])
def test_a_bot_inherits_nothing_from_a_careless_log_in_and_survives_its_end(world: World, verb: str) -> None:
    world.behave({"inspect": True})
    terminal, slave = os.openpty()
    secret = world.folder / "secret"
    secret.write_text("password")
    with secret.open() as file, socket.socket() as connection:
        argv = ["setsid", "--ctty", world.python, "-c", CARELESS, *world.command(verb)]
        streams = {"stdin": slave, "stdout": slave, "stderr": slave}
        process = world.spawn(argv, pass_fds=(file.fileno(), connection.fileno()), **streams)
        pid = world.until_bot()
        found = given(world)
        os.close(slave)
        assert process.wait(30) == 0
        os.close(terminal)  # the log-in ends: SIGHUP to whoever belongs to it
    known = {
        "/dev/null", str(world.instance / "bot.lock"), str(world.project / "logs" / "bot.out"),
        str(world.project / "market.lock"),
    }  # fmt: skip
    assert {path for path in found["descriptors"].values() if not path.startswith("/proc")} <= known
    assert (found["descriptors"]["0"], found["umask"], found["session"]) == ("/dev/null", 0o022, True)
    assert signals(pid, "SigIgn") == PYTHONS_OWN and signals(pid, "SigBlk") == set()
    terminal_number = oracle.read(pid, "stat").rpartition(b")")[2].split()[4]
    assert terminal_number == b"0", "it has no terminal to be hung up on"
    if verb == "guard":
        guard = world.until_guarded()
        assert world.until_running() == pid and world.guards == [guard]
    assert world.bots() == [pid] and len(world.births()) == 1
    world.kill(pid, signal.SIGTERM)
    oracle.until(lambda: not oracle.alive(pid), "it hears SIGTERM, although its starter did not")


@pytest.mark.fault("F46")
def test_a_bot_that_prints_megabytes_after_guard_and_heir_are_gone_lives_on(world: World) -> None:
    world.behave({"after": "go", "flood": 10_000_000})
    guard = world.guard()
    pid = world.until_running()
    for one in (*world.heirs, guard):
        os.kill(one, signal.SIGKILL)
    oracle.until(lambda: not world.guards and not world.heirs, "both are gone")
    (world.project / "go").touch()
    oracle.until(lambda: world.lines("flooded"), "it has printed it all, with nobody to read it", within=30)
    assert (world.project / "logs" / "bot.out").stat().st_size >= 10_000_000
    assert world.ok("check", "--json").json["pid"] == pid
    assert len(world.births()) == 1
