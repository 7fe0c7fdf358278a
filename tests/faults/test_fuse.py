"""File systems in user space: locks on them prove nothing, and who hangs on one cannot be killed. Both for real."""

from __future__ import annotations

import pytest

from demo.mail_sink import MailSink
from tests.faults.fuse import Fuse
from tests.faults.watched import WatchedWorld
from tests.process import oracle
from tests.process.world import World

pytestmark = [pytest.mark.needs_root]


@pytest.mark.fault("F28")
@pytest.mark.promise(1)
def test_a_lock_directory_on_fuse_is_refused(world: World) -> None:
    with Fuse(world.instance):
        for verb in ("check", "guard", "start"):
            done = world.verb(verb)
            assert done.code == 78 and "lies on fuse" in done.err and done.err.count("\n") == 1, done
    assert world.births() == []


@pytest.mark.fault("F29")
@pytest.mark.promise(1)
@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_beside_a_bot_that_sigkill_does_not_end_nothing_is_started(
    world: WatchedWorld, sink: MailSink, guarded: bool
) -> None:
    folder = world.folder / "dead disk"
    world.env["WATCHDOG_STOP_GRACE"] = "0.5"
    with Fuse(folder, {"prices": b"1\n"}) as disk:
        disk.silent.add("prices")
        world.behave({"open": str(folder / "prices")}, {})
        if guarded:
            world.guard()
        pid = world.ok("check", "--json").json["pid"]
        oracle.until(lambda: disk.waiting, "the bot hangs in the kernel")
        done = world.verb("restart", "--json")
        assert done.code == 5 and str(pid) in done.json["message"], done
        assert (found := oracle.stat(pid)) and found.state == "D"
        done = world.verb("check", "--json")
        assert done.code == 5 and str(pid) in done.json["message"], done
        status = world.verb("status", "--json")
        assert status.code == 0 and status.json["state"] == "stuck", status
        assert world.bots() == [pid] and len(world.births()) == 1
        sink.wait_for(lambda mail: "error" in mail.subject and str(pid) in mail.text)
        disk.speak()
        oracle.until(lambda: not oracle.alive(pid), "it dies at last")
        if guarded:
            assert world.until_running(other_than=pid)
        else:
            assert world.ok("check", "--json").json["pid"] == world.bot


@pytest.mark.promise(2)
def test_a_dead_disk_below_the_file_that_shows_freshness_keeps_no_guard_from_its_work(world: WatchedWorld) -> None:
    folder = world.folder / "dead disk"
    world.env.update(WATCHDOG_HANG_AFTER="2", WATCHDOG_FRESH_FILE=str(folder / "fresh"), WATCHDOG_FRESH_AFTER="2")
    with Fuse(folder, {"fresh": b"1\n"}) as disk:
        world.guard()
        pid = world.until_running()
        disk.dead = True
        oracle.until(lambda: disk.ignored, "the guard has asked for the file")
        world.kill(pid)
        assert world.until_running(other_than=pid) == world.bot
        assert len(disk.ignored) == 1, "it does not ask again before it has an answer"
