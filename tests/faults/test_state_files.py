"""A state file that is damaged, of another version or kind: begun anew, told once, and no start is blocked."""

from __future__ import annotations

import json
import os

import pytest

from demo.mail_sink import MailSink
from tests.process.world import World


def state(saved_boot: str = "1", saved_utc: str = "1", memory: str = "{}", bot: str = "null") -> bytes:
    return (
        f'{{"version":1,"boot":"x","saved_boot":{saved_boot},"saved_utc":{saved_utc},"memory":{memory},"bot":{bot},'
        f'"last_exit":null}}'
    ).encode()


STATES = {
    "empty": b"",
    "words": b"garbage",
    "a list": b"[]",
    "null": b"null",
    "truncated": None,
    "newer": b'{"version": 99}',
    "binary": bytes(range(256)),
    "wrong types": b'{"version": 1, "boot": 7, "memory": [], "bot": 3}',
    "deep": b"[" * 100_000,
    "wild numbers": state(
        saved_boot="1e400", saved_utc="-1", memory='{"failures":[1e999],"next_start":1e308,"attempt":-9}'
    ),
    "a wild PID": state(bot='[-1,0,"x",true]'),
    "an unknown phase": state(memory='{"phase":"dancing"}'),
}


@pytest.mark.fault("F74")
@pytest.mark.parametrize("content", STATES.values(), ids=STATES.keys())
def test_a_state_file_that_cannot_be_used_begins_anew_and_starts_nothing_twice(
    world: World, content: bytes | None
) -> None:
    pid = world.ok("check", "--json").json["pid"]
    path = world.instance / "state.json"
    rubbish = path.read_bytes()[:100] if content is None else content
    path.write_bytes(rubbish)
    assert world.verb("status", "--json").json["pid"] == pid
    world.guard()
    assert world.until_running() == pid and len(world.births()) == 1
    assert json.loads(path.read_text())["version"] == 1
    world.kill(pid)
    assert world.until_bot(other_than=pid)


@pytest.mark.fault("F74")
@pytest.mark.promise(2)
@pytest.mark.parametrize("content", [b'{"version":1,"boot":', b'{"version": 99}'], ids=["truncated", "newer"])
def test_a_state_file_that_cannot_be_used_is_told_once_and_blocks_no_start(
    world: World, sink: MailSink, content: bytes
) -> None:
    world.ok("check")
    world.kill(world.bot)
    (world.instance / "state.json").write_bytes(content)
    world.guard()
    pid = world.until_running()
    mail = sink.wait_for(lambda mail: "begins anew" in mail.text)
    assert "watchdog error" in mail.subject
    assert world.ok("check", "--json").json["pid"] == pid
    world.ok("guard", "--replace")
    world.until_guarded()
    assert len(world.events("state-rebuilt")) == sum("begins anew" in mail.text for mail in sink.mails) == 1


@pytest.mark.fault("F74")
@pytest.mark.parametrize("kind", ["directory", "FIFO", "dangling link"])
def test_a_state_file_of_the_wrong_kind_blocks_no_start(world: World, kind: str) -> None:
    world.ok("stop")
    path = world.instance / "state.json"
    path.unlink(missing_ok=True)
    {"directory": path.mkdir, "FIFO": lambda: os.mkfifo(path), "dangling link": lambda: path.symlink_to("/nowhere/x")}[
        kind
    ]()
    found = world.ok("start", "--json", timeout=20).json
    assert found["pid"] == world.bot
    assert world.verb("status", "--json", timeout=20).json["pid"] == found["pid"]
