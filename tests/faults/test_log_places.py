"""The bot's log directory cannot be written, or its output is moved away under it: the bot and its alerts go on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.faults import disks
from tests.process import oracle
from tests.process.world import World

Place = Callable[[Path], contextlib.AbstractContextManager[object]]


@contextlib.contextmanager
def read_only_disk(logs: Path) -> Iterator[None]:
    with disks.mounted(logs):
        disks.read_only(logs)
        yield


@contextlib.contextmanager
def forbidden(logs: Path) -> Iterator[None]:
    logs.mkdir(mode=0o555)
    yield
    logs.chmod(0o755)


@contextlib.contextmanager
def missing_in_a_forbidden_place(logs: Path) -> Iterator[None]:
    logs.parent.chmod(0o555)
    yield
    logs.parent.chmod(0o755)


@pytest.mark.fault("F72")
@pytest.mark.promise(4)
@pytest.mark.parametrize(
    "place",
    [
        pytest.param(read_only_disk, marks=pytest.mark.needs_root),
        pytest.param(forbidden, marks=pytest.mark.needs_user),
        pytest.param(missing_in_a_forbidden_place, marks=pytest.mark.needs_user),
    ],
)
def test_without_a_place_for_logs_the_console_tells_and_the_bot_is_restarted(
    world: World, sink: MailSink, place: Place
) -> None:
    for name in ("births.jsonl", "market.lock", "leaving"):
        (world.project / name).touch()
    world.behave({"say": ["hello from the bot"]})
    world.env["WATCHDOG_LOG_DIR"] = "var/logs"
    world.env["WATCHDOG_PID_FILE"] = str(world.folder / "bot.pid")
    (world.project / "var").mkdir()
    with place(world.project / "var" / "logs"):
        done = world.ok("check", "--json")
        assert "cannot write" in done.err and str(world.instance / "bot.out") in done.err
        first = done.json["pid"]
        world.guard()
        assert world.until_running() == first
        world.kill(first)
        second = world.until_bot(other_than=first)
        sink.wait_for(lambda mail: str(second) in mail.text)
        world.ok("stop")
        assert world.status()["last_exit"]["last_lines"] == ["hello from the bot"], "from where its output went"
        assert (world.instance / "bot.out").read_text().count("hello from the bot") == 2
        world._end_processes()


def renamed(output: Path) -> None:
    """As logrotate(8) does it without copytruncate."""
    output.rename(output.with_name("bot.out.1"))


def truncated(output: Path) -> None:
    """As logrotate(8) does it with copytruncate."""
    os.truncate(output, 0)


@pytest.mark.fault("F77")
@pytest.mark.parametrize("rotate", [renamed, truncated, os.unlink])
def test_a_bot_whose_output_is_rotated_prints_on_and_its_alert_is_sent(
    world: World, sink: MailSink, rotate: Callable[[Path], None]
) -> None:
    output = world.project / "logs" / "bot.out"
    world.behave(
        {"say": ["before"]}, {"say": ["second life"], "after": "go", "flood": 100_000}, {"say": ["third life"]}
    )
    world.guard()
    first = world.until_running()
    world.kill(first)
    second = world.until_running(other_than=first)
    rotate(output)
    (world.project / "go").touch()
    oracle.until(lambda: world.lines("flooded"), "it prints on")
    assert world.bots() == [second]
    world.kill(second)
    third = world.until_running(other_than=second)
    mail = sink.wait_for(lambda mail: str(third) in mail.text)
    assert "restarted" in mail.subject and "\x1b" not in mail.text
    assert "third life" in world.ok("logs").out
