"""The PID file is a hint: whatever lies there, nobody starts twice, nobody innocent is signalled, nothing blocks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.process import oracle
from tests.process.world import World

PidFile = Callable[[World], None]


def text(content: bytes) -> PidFile:
    def write(world: World) -> None:
        world.pid_file.write_bytes(content)

    return write


def directory(world: World) -> None:
    world.pid_file.mkdir()
    (world.pid_file / "keep").write_text("x")


def fifo(world: World) -> None:
    os.mkfifo(world.pid_file)


def dangling(world: World) -> None:
    world.pid_file.symlink_to(world.folder / "nowhere")


def link_to_a_file(world: World) -> None:
    (world.folder / "precious").write_text("1\n")
    world.pid_file.symlink_to(world.folder / "precious")


def unreadable(world: World) -> None:
    world.pid_file.write_text("4242\n")
    world.pid_file.chmod(0)


def of_our_parent(world: World) -> None:
    world.pid_file.write_text(f"{os.getpid()}\n")


ODD = {
    "empty": text(b""),
    "zero": text(b"0\n"),
    "minus one": text(b"-1\n"),
    "one": text(b"1\n"),
    "huge": text(b"9" * 40),
    "beyond any PID": text(b"4194305"),
    "binary": text(bytes(range(256))),
    "two PIDs": text(b"322993229932299"),
    "words": text(b"pid=12\n"),
    "CRLF": text(b"12345\r\n"),
    "trailing space": text(b" 12345  \n\n"),
    "a megabyte": text(b"1" * 1_000_000),
    "unicode digits": text("١٢٣".encode()),
    "underscore": text(b"1_000"),
    "directory": directory,
    "FIFO": fifo,
    "dangling link": dangling,
    "link to a file": link_to_a_file,
    "unreadable": unreadable,
    "of the test itself": of_our_parent,
}


@pytest.mark.fault("F09")
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_pid_file_hinders_nothing(world: World, odd: PidFile) -> None:
    odd(world)
    done = world.ok("check", "--json", timeout=20)
    pid = world.bot
    assert done.json["pid"] == pid and len(world.births()) == 1
    assert world.ok("check", "--json").json["pid"] == pid, "and with the bot running it is still found"
    assert world.ok("stop", "--json").json["old_pid"] == pid
    if odd is link_to_a_file:
        assert (world.folder / "precious").read_text() == "1\n"


@pytest.mark.fault("F09")
@pytest.mark.fault("F02")
@pytest.mark.parametrize(
    "odd", [text(b""), text(b"1\n"), fifo, dangling], ids=["empty", "one", "FIFO", "dangling link"]
)
def test_a_running_bot_is_found_whatever_its_pid_file_says(world: World, odd: PidFile) -> None:
    pid = world.by_hand()
    odd(world)
    assert world.ok("check", "--json").json["pid"] == pid
    assert len(world.births()) == 1


@pytest.mark.fault("F14")
def test_a_bot_whose_pid_file_another_one_removed_is_found_by_its_lock(world: World) -> None:
    world.behave({"pid_file": True})
    world.guard()
    pid = world.until_running()
    world.lose_pid_file()
    assert world.ok("check", "--json").json["pid"] == pid
    assert world.verb("guard").code == 0
    guard = world.guards[0]
    world.kill(guard)
    world.until_guarded(other_than=guard)
    assert world.until_running() == pid and len(world.births()) == 1
    assert world.pid_file.read_text().strip() == str(pid)


@pytest.mark.fault("F15")
def test_nobody_ever_reads_half_a_pid_file(world: World) -> None:
    seen: set[bytes] = set()
    world.behave({"exit_after": 0.01, "exit_code": 0}, {"exit_after": 0.01, "exit_code": 0}, {"pid_file": True})
    world.begin("guard", "--foreground")

    def read() -> bool:
        try:
            seen.add(world.pid_file.read_bytes())
        except FileNotFoundError:
            pass
        return len(world.births()) == 3 and len(world.events("restarted")) == 1

    oracle.until(read, "the third life is running", every=0.0002)
    assert seen <= {b"%d\n" % entry["pid"] for entry in world.births()}


@pytest.mark.fault("F15")
@pytest.mark.promise(6)
def test_a_pid_file_that_its_bot_has_half_written_is_not_believed(world: World) -> None:
    pid = world.by_hand()
    for length in range(len(str(pid))):
        world.pid_file.write_text(str(pid)[:length])
        assert world.ok("check", "--json").json["pid"] == pid
        assert world.pid_file.read_text() == f"{pid}\n"
    assert world.bots() == [pid] and len(world.births()) == 1


# The bot's own side ---------------------------------------------------------------------------------------------------


def second_copy(world: World, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(world.script)], cwd="/", env={"PATH": os.environ["PATH"], **more}, capture_output=True,
        text=True, timeout=20,
    )  # fmt: skip


@pytest.mark.promise(1)
@pytest.mark.parametrize("first", ["by the watchdog", "by hand"])
def test_a_second_copy_started_by_hand_exits_79_in_one_line(world: World, first: str) -> None:
    world.behave({"pid_file": True})
    pid = world.ok("start", "--json").json["pid"] if first == "by the watchdog" else world.by_hand()
    oracle.until(lambda: world.lines(world.pid_file) == [str(pid)], "the PID file")
    world.bots_allowed = 2  # the second one lives until it has found out
    done = second_copy(world)
    assert done.returncode == 79
    assert done.stderr.count("\n") == 1 and "another copy" in done.stderr
    assert world.bots() == [pid] and world.lines(world.pid_file) == [str(pid)]
    assert world.lines("overlaps") == [], "the second copy never came to trade"


def test_a_bot_started_by_hand_keeps_the_watchdog_from_starting_one(world: World) -> None:
    world.behave({"pid_file": True})
    pid = world.by_hand()
    oracle.until(lambda: oracle.lock_holders(world.instance / "bot.lock") == [pid], "the bot takes its lock")
    world.guard()
    assert world.until_running() == pid
    world.kill(pid)
    assert world.until_running(other_than=pid) == world.bot


@pytest.mark.fault("F02")
@pytest.mark.promise(6)
@pytest.mark.parametrize("guarded", [True, False], ids=["by a guard", "by a pass"])
def test_a_bot_that_was_adopted_before_its_own_create_pid_file_lives_on(world: World, guarded: bool) -> None:
    world.behave({"pid_file": True, "imports_take": 2, "say": ["past create_pid_file"]})
    process = world.spawn([world.python, str(world.script)], world.project, {"PATH": "/usr/bin:/bin"})
    oracle.until(world.births, "the bot has begun its imports")
    if guarded:
        world.guard()
    assert world.ok("check", "--json").json["pid"] == process.pid
    assert process.stdout and process.stdout.readline() == "past create_pid_file\n"
    assert world.bots() == [process.pid] and len(world.births()) == 1
    world.bots_allowed = 2  # another one lives until it has found out
    world.behave({"pid_file": True})
    assert second_copy(world).returncode == 79
    assert world.bots() == [process.pid]


def test_a_bot_removes_its_own_pid_file_on_a_clean_end_and_only_its_own(world: World) -> None:
    world.behave({"pid_file": True})
    pid = world.by_hand()
    oracle.until(lambda: world.lines(world.pid_file) == [str(pid)], "the PID file")
    world.kill(pid, 15)
    oracle.until(lambda: not oracle.alive(pid), "a clean end")
    assert not world.pid_file.exists()
    pid = world.by_hand()
    oracle.until(lambda: world.lines(world.pid_file) == [str(pid)], "the PID file")
    world.pid_file.write_text("4242\n")
    world.kill(pid, 15)
    oracle.until(lambda: not oracle.alive(pid), "a clean end")
    assert world.pid_file.read_text() == "4242\n"


@pytest.mark.fault("F24")
@pytest.mark.fault("F36")
def test_the_bot_holds_its_own_lock_and_neither_guards_nor_heirs(world: World) -> None:
    guard = world.guard()
    for _ in range(2):
        pid = world.until_running()
        assert oracle.lock_holders(world.instance / "bot.lock") == [pid]
        assert world.guards == [guard]
        assert pid not in world.heirs
        world.kill(pid)
        world.until_bot(other_than=pid)
    world.kill(guard)
    guard = world.until_guarded(other_than=guard)
    assert oracle.lock_holders(world.instance / "bot.lock") == world.bots()
    for pid in (*world.heirs, guard):
        os.kill(pid, signal.SIGKILL)
    oracle.until(lambda: not world.guards and not world.heirs, "guard and heir are gone")
    assert len(world.bots()) == 1
    assert world.ok("check", "--json").code == 0, "the next pass is not locked out"
    world.guard()


@pytest.mark.fault("F27")
def test_a_deleted_lock_file_is_no_reason_for_a_second_bot(world: World) -> None:
    pid = world.ok("check", "--json").json["pid"]
    for name in ("bot.lock", "guard.lock"):
        (world.instance / name).unlink()
    assert world.ok("check", "--json").json["pid"] == pid
    world.guard()
    assert world.until_running() == pid
    assert len(world.births()) == 1


@pytest.mark.fault("F27")
def test_a_deleted_instance_directory_is_no_reason_for_a_second_bot(world: World) -> None:
    import shutil

    pid = world.ok("check", "--json").json["pid"]
    shutil.rmtree(world.instance)
    assert world.ok("check", "--json").json["pid"] == pid
    assert len(world.births()) == 1
