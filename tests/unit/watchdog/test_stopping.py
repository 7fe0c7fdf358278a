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


def test_what_a_hung_bot_printed_tells_where_it_stood_without_its_secrets(
    sleepers: Sleepers, config: Config, tmp_path: Path
) -> None:
    process = sleepers.python("-c", "import time; print(1, flush=True); time.sleep(600)", start_new_session=True)
    who = identity.identify(process.pid, own_session=True)
    assert who is not None
    output = tmp_path / "bot.out"
    bot = watched.bot(who, os.pidfd_open(who.pid), True, True, str(output))
    stopping = Stopping(config, bot, evidence="has not read 1 kB")
    output.write_text(DUMP)
    _, text = stopping.end(asked=False)
    stopping.ladder.close()
    watched.release(bot)
    assert text is not None and "it was stuck at src/main_app.py:42 in" in text
    assert "hunter2" not in text and text.isprintable()
