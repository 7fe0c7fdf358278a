"""What is said of a bot that was ended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import Sleepers
from watchdog import identity, watched
from watchdog.config import Config
from watchdog.stopping import Stopping

pytestmark = [pytest.mark.fault("F65")]

DUMP = """Fatal Python error: Aborted

Current thread 0x00007f8b182756c0 (most recent call first):
  File "src/main_app.py", line 42 in \x1b[2Jtoken=Zq7-hunter2
"""


MANY = "".join(
    f"Thread 0x{number:016x} (most recent call first):\n"
    + 30 * '  File "/srv/bot/src/feed.py", line 7 in wait_for_data\n'
    for number in range(90)
)


def ended(sleepers: Sleepers, config: Config, output: Path, dump: str) -> str:
    """What is said of a bot that was ended because it hung, and printed this meanwhile."""
    process = sleepers.python("-c", "import time; print(1, flush=True); time.sleep(600)", start_new_session=True)
    who = identity.identify(process.pid, own_session=True)
    assert who is not None
    output.write_text("Traceback of a life before\n")
    bot = watched.bot(who, os.pidfd_open(who.pid), True, True, str(output))
    stopping = Stopping(config, bot, evidence="has not read 1 kB")
    with output.open("a") as file:
        file.write(dump)
    _, text = stopping.end(asked=False)
    stopping.ladder.close()
    watched.release(bot)
    assert text is not None
    return text


def test_what_a_hung_bot_printed_tells_where_it_stood_without_its_secrets(
    sleepers: Sleepers, config: Config, tmp_path: Path
) -> None:
    text = ended(sleepers, config, tmp_path / "bot.out", DUMP)
    assert "it was stuck at src/main_app.py:42 in" in text
    assert "hunter2" not in text and text.isprintable()


def test_of_a_bot_with_many_threads_the_one_that_was_interrupted_is_told(
    sleepers: Sleepers, config: Config, tmp_path: Path
) -> None:
    first, _, last = DUMP.partition("Current")
    text = ended(sleepers, config, tmp_path / "bot.out", f"{first}{MANY}Current{last}")
    assert len(MANY) > 100_000 and "it was stuck at src/main_app.py:42 in" in text
