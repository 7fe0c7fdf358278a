"""Bots that fall ill on a word, and what a guard must do and say about them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from demo.mail import Mail
from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import REPOSITORY, World

SICK = Path(__file__).with_name("sick")
PARTS = (*SICK.glob("*.py"), REPOSITORY / "bot" / "lifesign.py", REPOSITORY / "demo" / "bot" / "src" / "ws_client.py")

Record = Callable[[str, object], None]

HANG_AFTER = 1.2
"""The setting of that name in these tests: short, and yet time for eight looks and more."""


def infect(world: World, program: str, later: dict[str, Any] | None = None, **behaviour: Any) -> None:
    """The first life runs one of the programs below ``sick/``; later ones are healthy, or what ``later`` says."""
    for part in PARTS:
        shutil.copyfile(part, world.script.with_name(part.name))
    world.behave({"program": program, **behaviour}, later or {"ready": True})
    impatient(world)


def impatient(world: World) -> None:
    """Short limits."""
    world.env.setdefault("WATCHDOG_HANG_AFTER", str(HANG_AFTER))
    world.env["WATCHDOG_STOP_GRACE"] = "0.5"


def watched(world: World) -> int:
    """Put a guard on watch over a bot that is well; the bot's PID."""
    world.guard()
    return world.until_running()


def fall_ill(world: World) -> None:
    """Give the word, and wait until the bot has heard it."""
    (world.project / "ill").touch()
    oracle.until(lambda: world.lines("fell"), "the bot falls ill")


def note_illness(world: World) -> None:
    """It begins now, and the bot will not say so."""
    (world.project / "fell").write_text(f"{time.time()!r}\n")


def signs(world: World) -> dict[str, dict[str, Any]]:
    """What speaks against the bot at the moment, by kind."""
    return {sign["kind"]: sign for sign in world.status()["signs"]}


def until_suspect(world: World, kind: str, evidence: str) -> dict[str, Any]:
    """Wait for a doubt of that kind; the sign. Its sentence is in status and event, with what was measured."""
    event = world.until_event("suspect")
    assert evidence in event["message"], event

    def found() -> dict[str, Any] | None:
        return signs(world).get(kind)

    sign = oracle.until(found, f"a sign of kind {kind}; log: {world.log[-1500:]}", every=0.05)
    assert isinstance(sign, dict) and evidence in sign["text"], sign
    assert sign["since_s"] > 0 and sign["measured"] > 0 and sign["limit"] > 0, sign
    return sign


def until_restarted(
    world: World, sink: MailSink, pid: int, evidence: str, record: Record, stack: tuple[str, str] | None = None
) -> Mail:
    """Wait for the verdict, the new bot and the mail about it, and hold them against what is wanted.

    ``evidence`` are words of the verdict; ``stack`` are the file and the function in which the bot hung.
    """
    verdict = world.until_event("hung")
    fell = float(world.lines("fell")[0])
    record("seconds to verdict", round(datetime.fromisoformat(verdict["time"]).timestamp() - fell, 2))
    assert evidence in verdict["message"], verdict
    assert world.until_running(other_than=pid) == world.bot
    assert not oracle.alive(pid)
    end = world.status()["last_exit"]
    assert end["pid"] == pid and evidence in end["text"], end
    mail = sink.wait_for(lambda mail: "running again" in mail.text)
    assert evidence in mail.text, mail.text
    line = next((line for line in mail.text.splitlines() if "stuck at" in line), "")
    if stack is not None:
        assert f"{stack[0]}:" in line and f" in {stack[1]}" in line, mail.text
        assert f"{stack[0]}:" in end["text"], end
        record("stuck at", line)
    assert len(world.events("hung")) == 1 and len(world.births()) == 2
    assert sum("running again" in mail.text for mail in sink.mails) == 1, [mail.text for mail in sink.mails]
    return mail


def left_alone(world: World, pid: int, seconds: float = 2 * HANG_AFTER) -> None:
    """For so long the bot keeps its PID and nobody calls it hung. There is no event to wait for: nothing happens."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert world.bots() == [pid], world.log
        time.sleep(0.05)
    assert world.events("hung") == [] and len(world.births()) == 1, world.log
