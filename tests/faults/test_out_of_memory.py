"""A bot that the kernel kills for want of memory, for real: in a memory cgroup of the test's own, v1 or v2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import World

#: Bytes for guard, heir, sender and bot together.
ROOM = 96_000_000


def hierarchy() -> tuple[Path, str]:
    """Where memory cgroups are made on this machine, and the name of the file that takes the limit (cgroups(7))."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    for _, where, kind, options, *_ in mounts:
        if kind == "cgroup" and "memory" in options.split(","):
            return Path(where), "memory.limit_in_bytes"
    root = next(Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2")
    (root / "cgroup.subtree_control").write_text("+memory")
    return root, "memory.max"


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A group with little memory; it is removed once it is empty."""
    root, limit = hierarchy()
    group = root / f"small-{os.urandom(4).hex()}"
    group.mkdir()
    for name in (limit, "memory.memsw.limit_in_bytes", "memory.swap.max"):  # no way out into swap space
        if (group / name).exists():
            (group / name).write_text("0" if "swap." in name else str(ROOM))
    yield group
    oracle.until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
    group.rmdir()


@pytest.mark.needs_root
@pytest.mark.fault("F49")
@pytest.mark.promise(2)
def test_a_bot_killed_for_want_of_memory_is_back_and_the_alert_says_why(
    small_group: Path, world: World, sink: MailSink
) -> None:
    world.behave({}, {"after": "go", "eat": True}, {})
    join = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(small_group)]
    assert world.spawn([*join, *world.command("guard")]).wait(30) == 0
    guard = world.until_guarded()
    first = world.until_running()
    world.kill(first)
    assert world.until_event("died")["exit"]["oom"] is False, "a SIGKILL alone is none of the kernel's"
    second = world.until_running(other_than=first)
    (world.project / "go").touch()
    end = world.until_event("died", 2)["exit"]
    assert (end["pid"], end["code"], end["signal"], end["oom"]) == (second, None, 9, True)
    assert "memory" in end["text"]
    mail = sink.wait_for(lambda mail: end["text"] in mail.text)
    assert "restarted" in mail.subject
    third = world.until_running(other_than=second)
    assert world.status()["last_exit"]["oom"] is True and world.bots() == [third]
    assert world.guards == [guard], "the guard was not the one to go"
