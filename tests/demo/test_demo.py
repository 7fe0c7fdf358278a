"""The demonstration as a newcomer runs it: two at once, one on an 80-column terminal and one into a pipe."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from demo import processes
from demo.project import REPOSITORY
from demo.run import INTERRUPTED, main
from demo.story import Story
from watchdog.pidfile import instance_dir

pytestmark = pytest.mark.timeout(240)

#: What looks at the one pair of demonstrations that is timed.
timed = pytest.mark.serial

COMMAND = [sys.executable, "-m", "demo.run"]


@dataclass(frozen=True)
class Played:
    output: str
    code: int | None
    seconds: float


@dataclass(frozen=True)
class Theatre:
    """Where demonstrations are played: a folder for temporary files."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        unwanted = ("NO_COLOR", "COLUMNS", "LINES")
        kept = {name: value for name, value in os.environ.items() if name not in unwanted}
        return {**kept, "TMPDIR": str(self.folder), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

    def on_a_terminal(self) -> pexpect.spawn[str]:
        return pexpect.spawn(
            COMMAND[0],
            COMMAND[1:],
            cwd=str(REPOSITORY),
            env=self.environment,
            dimensions=(24, 80),
            encoding="utf-8",
            timeout=120,
        )

    def assert_nothing_is_left(self, output: str) -> None:
        assert list(self.folder.iterdir()) == []
        assert processes.of_folder(self.folder) == []
        private = re.search(rf"{self.folder}/watchdog-demo-\w+", output)
        assert private
        assert not Path(instance_dir(f"{private[0]}/dcaTrader/src/main_app.py")).exists()


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    folder = Path(tempfile.mkdtemp(prefix="th-")).resolve()  # short, for lines of 80 columns
    yield Theatre(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def played(theatre: Theatre) -> tuple[Played, Played]:
    began = time.monotonic()
    piped = subprocess.Popen(
        COMMAND,
        cwd=REPOSITORY,
        env=theatre.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    terminal = theatre.on_a_terminal()
    terminal.expect(pexpect.EOF)
    seconds = time.monotonic() - began
    terminal.close()
    output, _ = piped.communicate(timeout=120)
    return (
        Played(str(terminal.before), terminal.exitstatus, seconds),
        Played(output, piped.returncode, time.monotonic() - began),
    )


@pytest.fixture(params=["on a terminal", "into a pipe"])
def one(request: pytest.FixtureRequest, played: tuple[Played, Played]) -> Played:
    return played[request.param == "into a pipe"]


@timed
def test_every_step_is_seen_to_be_true(one: Played) -> None:
    assert one.code == 0, one.output
    assert "[10/10]" in one.output
    assert "All of it was seen to be true" in one.output


@timed
def test_it_takes_less_than_a_minute_even_with_another_one_beside_it(one: Played) -> None:
    assert one.seconds < 60


@timed
def test_it_shows_no_traceback_and_fits_80_columns(one: Played) -> None:
    assert "Traceback" not in one.output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", one.output)
    assert "\x1b" not in plain
    assert [line for line in plain.splitlines() if len(line) > 80] == []


@timed
def test_it_tells_the_milliseconds_from_the_kill_to_the_first_line(one: Played) -> None:
    match = re.search(r"back after (\d+) ms: PID \d+ -> PID \d+", one.output)
    assert match
    assert int(match[1]) < 5000


@timed
def test_colours_are_for_the_terminal_only(played: tuple[Played, Played]) -> None:
    terminal, piped = played
    assert "\x1b[" in terminal.output
    assert "\x1b[" not in piped.output


@timed
def test_nothing_is_left_when_it_is_over(one: Played, theatre: Theatre) -> None:
    theatre.assert_nothing_is_left(one.output)


@pytest.mark.parametrize("moment", ["ansible-playbook deploy.yml", r"kill -9 \d+", "fab -H bot stop"])
def test_ctrl_c_at_any_moment_leaves_nothing(theatre: Theatre, moment: str) -> None:
    terminal = theatre.on_a_terminal()
    terminal.expect(moment)
    output = str(terminal.before)
    terminal.sendintr()
    terminal.sendintr()  # impatience does no harm
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == INTERRUPTED
    assert "Traceback" not in str(terminal.before)
    theatre.assert_nothing_is_left(output)


def test_a_lost_terminal_leaves_nothing_either(theatre: Theatre) -> None:
    terminal = theatre.on_a_terminal()
    terminal.expect(r"\[3/10\]")
    output = str(terminal.before)
    terminal.kill(signal.SIGHUP)
    terminal.expect(pexpect.EOF)
    terminal.close()
    theatre.assert_nothing_is_left(output)


def test_a_claim_that_fails_is_one_line_and_exit_code_1_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], theatre: Theatre
) -> None:
    def play(story: Story) -> None:
        story.prepare()
        story.stage.claim(1 + 1 == 3, "one and one is three")

    monkeypatch.setattr(Story, "play", play)
    monkeypatch.setattr(tempfile, "tempdir", str(theatre.folder))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        code = main([])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    output = capsys.readouterr().out
    assert code == 1
    assert "demo: not seen to be true: one and one is three\n" in output
    assert "All of it" not in output
    theatre.assert_nothing_is_left(output)
