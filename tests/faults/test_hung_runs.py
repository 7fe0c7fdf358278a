"""An earlier run hangs and keeps the guard's lock: it is named, and ended only when that is due and it is ours."""

from __future__ import annotations

import shutil
import signal

import pytest

from demo.mail_sink import MailSink
from tests.faults.watched import WatchedWorld
from tests.process import oracle
from tests.process.world import AGENT, World


def lose_patience(world: World) -> None:
    """An agent for which every run has taken too long: it stands in for minutes of waiting."""
    package = world.folder / "later" / "watchdog"
    shutil.copytree(AGENT / "watchdog", package)
    text = (package / "wedged.py").read_text()
    assert "\nHUNG_PASS = 60.0\n" in text
    (package / "wedged.py").write_text(text.replace("\nHUNG_PASS = 60.0\n", "\nHUNG_PASS = -1e9\n"))
    world.agent = package.parent


@pytest.mark.fault("F23")
@pytest.mark.promise(2)
def test_a_hung_pass_is_named_and_once_its_time_is_up_replaced_by_the_next_tick(world: WatchedWorld) -> None:
    hung = world.begin("check", WATCHDOG_START_GRACE="20")
    pid = world.until_bot()
    world.kill(hung.pid, signal.SIGSTOP)
    for verb in ("check", "guard"):
        done = world.verb(verb)
        assert done.code == 75 and f"PID {hung.pid}" in done.err and done.err.count("\n") == 1, done
    assert hung.poll() is None, "it may still be at work"
    lose_patience(world)
    world.guard()
    assert hung.wait(5) == -signal.SIGKILL and world.events("guard-replaced")
    assert world.until_running() == pid and len(world.births()) == 1


@pytest.mark.fault("F23")
@pytest.mark.promise(3)
def test_a_stranger_that_holds_the_guards_lock_is_named_told_once_and_never_ended(
    world: WatchedWorld, sink: MailSink
) -> None:
    pid = world.ok("check", "--json").json["pid"]
    lock = world.instance / "guard.lock"
    stranger = world.spawn(["flock", "-x", str(lock), "sleep", "3600"])
    oracle.until(lambda: oracle.lock_holders(lock), "the stranger has the lock")
    lose_patience(world)
    for verb in ("check", "guard", "guard"):
        done = world.verb(verb)
        assert done.code == 75 and str(stranger.pid) in done.err and done.err.count("\n") == 1, done
    sink.wait_for(lambda mail: "error" in mail.subject and str(stranger.pid) in mail.text)
    assert len([mail for mail in sink.mails if "error" in mail.subject]) == 1
    assert stranger.poll() is None and world.bots() == [pid]
