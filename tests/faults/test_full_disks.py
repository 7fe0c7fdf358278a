"""A disk that takes nothing more: the bot is restarted all the same, nobody's files are emptied, the alert is sent."""

from __future__ import annotations

import contextlib
import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.faults import disks
from tests.process import oracle
from tests.process.world import World

#: Bytes that a file may have under the limit: enough for the stand-in's own notes, too little for an alert.
FILE_SIZE = 1000

Scarcity = Callable[[World, int], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def full_disk(world: World, guard: int) -> Iterator[None]:
    """ENOSPC at every write."""
    for folder in (world.instance, world.project / "logs"):
        disks.fill(folder)
    yield
    for folder in (world.instance, world.project / "logs"):
        disks.make_room(folder)


@contextlib.contextmanager
def no_inodes(world: World, guard: int) -> Iterator[None]:
    """ENOSPC at every new file."""
    for folder in (world.instance, world.project / "logs"):
        disks.use_up_inodes(folder)
    yield
    for folder in (world.instance, world.project / "logs"):
        disks.make_room(folder)


@contextlib.contextmanager
def small_files(world: World, guard: int) -> Iterator[None]:
    """EFBIG at every write beyond the first bytes of a file (RLIMIT_FSIZE), which needs no root."""
    hard = resource.prlimit(guard, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(guard, resource.RLIMIT_FSIZE, (FILE_SIZE, hard))
    yield
    resource.prlimit(guard, resource.RLIMIT_FSIZE, (hard, hard))


def contents(world: World) -> dict[Path, bytes]:
    """What must not get lost."""
    logs = world.project / "logs"
    here = [world.instance / name for name in ("state.json", "desired", "events.jsonl", "beat")]
    return {path: path.read_bytes() for path in (*here, logs / "watchdog.log", logs / "bot.out", logs / "bot.pid")}


@pytest.mark.fault("F70")
@pytest.mark.promise(4)
@pytest.mark.parametrize(
    "scarcity",
    [
        pytest.param(full_disk, marks=pytest.mark.needs_root),
        pytest.param(no_inodes, marks=[pytest.mark.needs_root, pytest.mark.fault("F71")]),
        small_files,
    ],
)
def test_the_bot_is_restarted_the_alert_is_sent_and_no_file_is_emptied(
    world: World, sink: MailSink, scarcity: Scarcity
) -> None:
    world.env["WATCHDOG_PID_FILE"] = "logs/bot.pid"
    world.behave({"say": ["x" * 100] * 30}, {})
    with contextlib.ExitStack() as stack:
        if scarcity is not small_files:
            for folder in (world.instance, world.project / "logs"):
                stack.enter_context(disks.mounted(folder))
        guard = world.guard()
        first = world.until_running()
        sink.wait_for(lambda mail: str(first) in mail.text)
        oracle.until(lambda: not world.outbox(), "the alert has left the outbox")
        before = contents(world)
        assert all(before.values()) and len(before[world.project / "logs" / "bot.out"]) > FILE_SIZE
        with scarcity(world, guard):
            world.kill(first)
            second = world.until_bot(other_than=first)
            mail = sink.wait_for(lambda mail: str(second) in mail.text)
            assert "restarted" in mail.subject and "SIGKILL" in mail.text
            after = contents(world)
            for path, text in after.items():
                whole = text.startswith(before[path]) if path.suffix in (".log", ".jsonl", ".out") else text
                assert whole, path
            assert json.loads(after[world.instance / "state.json"])["version"] == 1
            assert json.loads(after[world.instance / "desired"])["desired"] == "run"
            assert int(after[world.project / "logs" / "bot.pid"]) in (first, second)
            status = world.status()
            assert (status["pid"], status["guard"]["pid"]) == (second, guard)
        assert world.ok("check", "--json").json["pid"] == second
        oracle.until(lambda: json.loads((world.instance / "state.json").read_text())["bot"][0] == second, "it is noted")
        world._end_processes()
