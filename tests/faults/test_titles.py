"""A bot that has given itself a title: its argument vector does not tell any more what it runs."""

from __future__ import annotations

import pytest

from demo.mail_sink import MailSink
from tests.faults.watched import WatchedWorld
from tests.process import oracle

TITLE = "dcatrader: trading"


def titled(world: WatchedWorld) -> int:
    """The PID of the bot whose title has changed."""

    def found() -> int | None:
        born = [entry["pid"] for entry in world.births()]
        return next((pid for pid in born if oracle.read(pid, "cmdline").startswith(TITLE.encode())), None)

    return int(str(oracle.until(found, "a bot with a title of its own")))


@pytest.mark.fault("F12")
@pytest.mark.parametrize("keeps_the_lock", [True, False], ids=["with its lock", "by its marker alone"])
def test_a_bot_with_a_title_of_its_own_is_found_by_every_next_guard(world: WatchedWorld, keeps_the_lock: bool) -> None:
    world.behave({"title": TITLE})
    world.guard()
    pid = titled(world)
    world.ok("retire")
    world.lose_pid_file()
    if not keeps_the_lock:
        (world.instance / "bot.lock").unlink()
        world.forget_deaths()
    world.guard()
    assert world.until_running() == pid
    assert world.ok("check", "--json").json["pid"] == pid
    assert world.pid_file.read_text() == f"{pid}\n"
    assert world.ok("stop", "--json").json["old_pid"] == pid and not oracle.alive(pid)
    assert len(world.births()) == 1


@pytest.mark.fault("F10")
@pytest.mark.promise(3)
def test_a_process_with_a_title_that_the_pid_file_names_may_be_the_bot_hands_off(
    world: WatchedWorld, sink: MailSink
) -> None:
    world.behave({"title": TITLE})
    process = world.spawn([world.python, str(world.script)], world.project, {"PATH": "/usr/bin:/bin"})
    assert titled(world) == process.pid
    world.pid_file.write_text(f"{process.pid}\n")
    with world.hands_off(process.pid):
        for verb in ("check", "start", "stop"):
            done = world.verb(verb, "--json")
            assert done.code == 4 and str(process.pid) in done.json["message"], done
    process.kill()
    process.wait()
    assert world.ok("start", "--json").json["action"] == "started"
