"""Killed at any instruction, the system holds at most one bot, and the next tick makes it exactly one.

Three harnesses: at chosen system calls (exact: seccomp), at lines of a one-shot start, at lines of a guard's restart.
WATCHDOG_ROUNDS=50 looks at ten times as many lines as usual.
"""

from __future__ import annotations

import platform
import signal
import subprocess
from pathlib import Path

import pytest

from tests.process import oracle
from tests.process.world import ROUNDS, World

HERE = Path(__file__).parent

#: System calls that the agent makes and the bot of these tests does not, by architecture (asm/unistd_64.h, unistd.h).
CALLS = {
    "x86_64": {"pidfd_open": 434, "rename": 82, "fsync": 74, "pwrite64": 18, "bind": 49, "listen": 50, "chmod": 90},
    "aarch64": {"pidfd_open": 434, "rename": 38, "fsync": 82, "pwrite64": 68, "bind": 200, "listen": 201, "chmod": 53},
}.get(platform.machine(), {})  # fmt: skip


def after_the_kill(world: World) -> None:
    """What must hold now, and after the next clean tick."""
    before = world.bots()
    assert len(before) <= 1
    world.ok("guard")
    pid = world.until_running(within=20)
    assert world.bots() == [pid]
    if before:
        assert before == [pid], "the bot that was there is still the one"
    assert world.pid_file.read_text().strip() == str(pid)


@pytest.mark.fault("F22")
@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", ["guard", "check"])
@pytest.mark.parametrize("call", CALLS)
def test_a_start_that_is_killed_at_a_system_call_never_becomes_two(world: World, call: str, verb: str) -> None:
    words = ["guard", "--foreground"] if verb == "guard" else [verb]
    argv = [world.python, str(HERE / "killpoint.py"), str(CALLS[call]), "--", *words]
    process = world.spawn(argv)
    if call in ("bind", "listen", "chmod", "pwrite64") and verb == "check":
        assert process.wait(20) in (0, -signal.SIGSYS), "a pass without sockets and beat may not come by"
    else:
        assert process.wait(20) == -signal.SIGSYS, process.communicate()
    if call in ("pidfd_open", "rename"):
        assert len(world.bots()) == 1, "the bot was there before"
    after_the_kill(world)
    assert len(world.births()) == 1


@pytest.mark.fault("F22")
@pytest.mark.promise(1)
def test_a_guard_killed_between_spawn_and_pid_file_leaves_one_bot_that_is_adopted(world: World) -> None:
    if not CALLS:
        pytest.skip(f"no system call numbers for {platform.machine()}")
    argv = [world.python, str(HERE / "killpoint.py"), str(CALLS["rename"]), "--", "guard", "--foreground"]
    process = world.spawn(argv)
    assert process.wait(20) == -signal.SIGSYS
    pid = world.until_bot()
    assert not world.pid_file.exists(), "killed before it was written"
    assert oracle.lock_holders(world.instance / "bot.lock") == [pid]
    assert world.ok("check", "--json").json["pid"] == pid
    assert world.pid_file.read_text().strip() == str(pid)
    world.guard()
    assert world.until_running() == pid and len(world.births()) == 1


def points(total: int, few: int) -> list[int]:
    """Evenly spread over the lines, so that every part of the path is met; the full proof takes ten times as many."""
    count = few if ROUNDS <= 5 else min(total, few * ROUNDS // 5)
    return sorted({1 + number * (total - 1) // (count - 1) for number in range(count)})


def traced(world: World, line: int, when: str, *words: str) -> subprocess.Popen[str]:
    argv = [world.python, str(HERE / "linekill.py"), str(line), str(world.folder / "count"), when, "--", *words]
    return world.spawn(argv)


@pytest.mark.fault("F22")
@pytest.mark.promise(1)
@pytest.mark.timeout(60 + ROUNDS * 60)
def test_a_pass_killed_at_any_line_never_makes_two_bots(world: World) -> None:
    def a_pass(line: int) -> subprocess.Popen[str]:
        world.ok("stop")
        (world.instance / "desired").unlink()
        world.forget_deaths()
        return traced(world, line, "now", "check")

    assert a_pass(0).wait(60) == 0
    total = int((world.folder / "count").read_text()) * 95 // 100  # not each pass comes by each line
    assert total > 300
    for line in points(total, 10):
        process = a_pass(line)
        assert process.wait(60) == -signal.SIGKILL, line
        before = world.bots()
        assert len(before) <= 1, line
        assert world.ok("check").code == 0
        assert world.bots() == (before or world.bots()) and len(world.bots()) == 1, line


@pytest.mark.fault("F22")
@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.timeout(60 + ROUNDS * 60)
def test_a_guard_killed_at_any_line_of_a_restart_never_makes_two_bots(world: World) -> None:
    def a_restart(line: int) -> tuple[subprocess.Popen[str], int]:
        world.forget_deaths()
        process = traced(world, line, "armed", "guard", "--foreground")
        pid = world.until_running()
        world.until_guarded()
        for heir in world.heirs:
            world.kill(heir)  # the next one comes after seconds: until then nobody takes over
        process.send_signal(signal.SIGUSR1)
        world.kill(pid)
        return process, pid

    process, pid = a_restart(0)
    world.until_running(other_than=pid)
    process.send_signal(signal.SIGUSR2)
    count = world.folder / "count"
    oracle.until(count.exists, "the count")
    total = int(count.read_text()) * 95 // 100
    assert total > 200
    world.ok("retire")
    for line in points(total, 6):
        process, pid = a_restart(line)
        oracle.until(lambda: process.poll() is not None, f"killed at line {line} of {total}")  # noqa: B023
        before = world.bots()
        assert len(before) <= 1, line
        world.ok("guard")
        new = world.until_running(other_than=pid)
        assert world.bots() == [new], line
        if before:
            assert before == [new], line
        world.ok("retire")
