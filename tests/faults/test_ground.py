"""Poor ground: full and read-only disks, no descriptors left. The bot comes first, everything else is best effort."""

from __future__ import annotations

import subprocess

import pytest

from tests.faults.disks import fill, mounted, read_only
from tests.process.world import World


@pytest.mark.needs_root
@pytest.mark.fault("F70")
@pytest.mark.fault("F28")
@pytest.mark.promise(4)
@pytest.mark.parametrize("guarded", [True, False], ids=["guard", "check"])
def test_on_a_full_disk_the_bot_is_started_again_and_stop_is_recorded(world: World, guarded: bool) -> None:
    with mounted(world.instance), mounted(world.project / "logs"):
        pid = world.ok("start", "--json").json["pid"]
        if guarded:
            world.guard()
        fill(world.instance)
        fill(world.project / "logs")
        world.kill(pid)
        if not guarded:
            assert world.ok("check", "--json").json["action"] == "started"
        new = world.until_bot(other_than=pid)
        assert world.verb("status", "--json").json["pid"] == new
        assert world.ok("stop", "--json", timeout=30).json["old_pid"] == new, "the wish is written in place"
        assert world.bots() == []
        assert world.ok("check", "--json").json["action"] == "none"
        assert world.bots() == []
        assert world.ok("start", "--json").json["pid"] == world.bot
        world._end_processes()


@pytest.mark.needs_root
@pytest.mark.fault("F28")
@pytest.mark.fault("F70")
@pytest.mark.promise(5)
@pytest.mark.parametrize("guarded", [True, False], ids=["guard", "check"])
def test_on_a_read_only_disk_the_bot_is_started_again_and_a_stop_is_refused_in_words(
    world: World, guarded: bool
) -> None:
    with mounted(world.instance):
        pid = world.ok("start", "--json").json["pid"]
        if guarded:
            world.guard()
        read_only(world.instance)
        world.kill(pid)
        if not guarded:
            assert world.ok("check", "--json").json["action"] == "started"
        new = world.until_bot(other_than=pid)
        done = world.verb("stop", "--json", timeout=30)
        assert done.code == 1 and "not recorded" in (done.json.get("message") or done.json["error"])
        assert world.bots() == [new]
        world._end_processes()


@pytest.mark.needs_root
@pytest.mark.fault("F37")
def test_on_a_read_only_disk_a_guard_that_answers_is_left_alone(world: World) -> None:
    with mounted(world.instance):
        guard = world.guard()
        world.until_running()
        beat = world.instance / "beat"
        moment, _, boot = beat.read_text().split()
        beat.write_text(f"{float(moment) - 600:018.3f} {guard:08d} {boot}\n")
        read_only(world.instance)
        for _ in range(3):
            assert world.ok("guard").code == 0
        assert world.guards == [guard]
        world._end_processes()


@pytest.mark.fault("F71")
@pytest.mark.parametrize("descriptors", [4, 5, 6, 7, 8, 9, 10, 12, 16])
def test_without_descriptors_a_pass_ends_in_order_and_the_next_one_helps(world: World, descriptors: int) -> None:
    words = " ".join(world.command("check"))
    done = subprocess.run(
        ["sh", "-c", f"ulimit -n {descriptors}; exec {words}"], cwd=world.folder, env=world.environment(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40,
    )  # fmt: skip
    assert done.returncode in (0, 1, 4, 75, 78), done
    if "Fatal Python error" not in done.stderr:  # the interpreter itself could not start
        assert "Traceback" not in done.stderr or "watchdog" not in done.stderr, done.stderr
    assert len(world.bots()) <= 1
    assert world.verb("start").code == 0
    assert len(world.bots()) == 1


@pytest.mark.fault("F71")
def test_an_interpreter_that_the_kernel_will_not_run_is_named_and_the_next_pass_helps(world: World) -> None:
    (world.folder / "python").write_text("not a program\n")
    (world.folder / "python").chmod(0o755)
    done = world.verb("check", "--json", WATCHDOG_APP_PYTHON=str(world.folder / "python"))
    assert done.code == 1 and "Exec format error" in done.json["message"]
    assert world.ok("start", "--json").json["pid"] == world.bot
