"""The agent's own files change under a live guard: it goes on, and what it starts next is what lies there then."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import AGENT, World


def copy_of_the_agent(folder: Path) -> Path:
    shutil.copytree(AGENT / "watchdog", folder / "watchdog", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def swapped(release: Path) -> None:
    """Another copy in its place, as a deploy does it."""
    copy_of_the_agent(release.with_name("next"))
    release.rename(release.with_name("before"))
    release.with_name("next").rename(release)


def half_copied(release: Path) -> None:
    """A copy that is under way: some files are missing, one is cut off."""
    shutil.copytree(release, release.with_name("before"))
    for name in ("mail.py", "guard.py", "sender.py"):
        (release / "watchdog" / name).unlink()
    (release / "watchdog" / "cli.py").write_text("def main(")


def removed(release: Path) -> None:
    """Nothing is left of it."""
    release.rename(release.with_name("before"))


def senders(world: World) -> list[int]:
    return [pid for pid in oracle.related(f"{world.folder}/") if b"send" in oracle.read(pid, "cmdline").split(b"\0")]


@pytest.mark.fault("F76")
@pytest.mark.promise(2)
@pytest.mark.promise(6)
@pytest.mark.parametrize("change", [swapped, half_copied, removed])
def test_a_guard_whose_files_change_goes_on_and_the_healthy_bot_is_left_alone(
    world: World, sink: MailSink, change: Callable[[Path], None]
) -> None:
    release = world.agent = copy_of_the_agent(world.folder / "release")
    guard = world.guard()
    first = world.until_running()
    sink.wait_for(lambda mail: str(first) in mail.text)
    change(release)
    assert world.bots() == [first] and world.guards == [guard]
    world.kill(first)
    second = world.until_bot(other_than=first)
    if change is not swapped:
        world.until_event("restarted", 2)
        oracle.until(lambda: world.outbox() and not senders(world), "the alert waits, no sender could start")
        shutil.rmtree(release, ignore_errors=True)
        release.with_name("before").rename(release)
    assert world.ok("check", "--json").json["pid"] == second
    assert world.ok("guard").code == 0 and world.guards == [guard]
    world.kill(guard)
    world.until_guarded(other_than=guard)
    assert world.until_running() == second and len(world.births()) == 2, "the healthy bot was left alone"
    sink.wait_for(lambda mail: str(second) in mail.text)
    oracle.until(lambda: not world.outbox(), "what could not be sent meanwhile has been sent")
