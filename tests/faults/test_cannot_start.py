"""A bot that cannot even begin: no storm, one alert that names the cause, no PID file, and back once it is mended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import World

#: Breaks something; returns what the alert must say, and how to mend it.
Break = Callable[[World], tuple[str, Callable[[], object]]]


def no_script(world: World) -> tuple[str, Callable[[], object]]:
    away = world.script.rename(world.script.with_name("away.py"))
    return f"the script is missing: {world.script}", lambda: away.rename(world.script)


def no_venv(world: World) -> tuple[str, Callable[[], object]]:
    python = world.project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/no/such/python3")
    world.env["WATCHDOG_APP_PYTHON"] = str(python)

    def mend() -> None:
        python.unlink()
        python.symlink_to(world.python)

    return f"the interpreter is missing: {python}", mend


def not_executable(world: World) -> tuple[str, Callable[[], object]]:
    python = world.folder / "python"
    python.write_text(f'#!/bin/sh\nexec {world.python} "$@"\n')
    python.chmod(0o644)
    world.env["WATCHDOG_APP_PYTHON"] = str(python)
    return f"the interpreter is not executable: {python}", lambda: python.chmod(0o755)


def broken_source(world: World, line: str) -> Callable[[], object]:
    source = world.script.read_text()
    world.script.write_text(f"{line}\n{source}")
    return lambda: world.script.write_text(source)


def syntax_error(world: World) -> tuple[str, Callable[[], object]]:
    return "SyntaxError: ", broken_source(world, "def broken(:")


def import_error(world: World) -> tuple[str, Callable[[], object]]:
    return "No module named 'no_such_exchange'", broken_source(world, "import no_such_exchange")


@pytest.mark.fault("F45")
@pytest.mark.promise(2)
@pytest.mark.parametrize("broken", [no_script, no_venv, not_executable, syntax_error, import_error])
def test_a_bot_that_cannot_begin_is_tried_on_the_ladder_told_once_and_back_when_mended(
    world: World, sink: MailSink, broken: Break
) -> None:
    cause, mend = broken(world)
    world.guard()
    mail = sink.wait_for(lambda mail: "failed to restart" in mail.subject)
    assert cause in mail.text
    world.until_event("died", 2)
    oracle.until(lambda: not world.pid_file.exists() and not world.bots(), "no PID file between two tries")
    mend()
    pid = world.until_running()
    sink.wait_for(lambda mail: str(pid) in mail.text)
    assert [mail.subject.split(": ")[-1] for mail in sink.mails] == ["failed to restart", "restarted"]
    tries = [datetime.fromisoformat(event["time"]) for event in world.events("died")]
    tries.append(datetime.fromisoformat(world.events("spawned")[-1]["time"]))
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(tries)]
    assert all(wait > rung - 0.1 for wait, rung in zip(waits, (0, 1, 2, 5), strict=False)), "the ladder: no storm"
    assert oracle.lock_holders(world.instance / "bot.lock") == [pid]
