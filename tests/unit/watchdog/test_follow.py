"""`logs --follow`: a follower sees every line, over truncation and rotation, and ends when nobody listens."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import REPOSITORY, Sleepers, first_line
from watchdog import logs

FOLLOW = """
import sys
from watchdog import logs
path, position, wanted = sys.argv[1], int(sys.argv[2]), logs.pattern(sys.argv[3] or None)
print("ready", flush=True)
logs.follow(path, position, wanted, lambda line: print(line, flush=True), True)
print("ended", flush=True)
"""


class Enough(Exception):
    """Ends a follower of the test."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "bot.out"
    path.write_text("old\n")
    return path


def follower(sleepers: Sleepers, log: Path, wanted: str = "") -> subprocess.Popen[str]:
    """A follower in a process of its own that has read everything so far."""
    process = sleepers.start(
        sys.executable, "-c", FOLLOW, str(log), str(log.stat().st_size), wanted, cwd=REPOSITORY, stdin=subprocess.PIPE
    )
    assert first_line(process) == "ready"
    return process


def append(path: Path, text: str) -> None:
    """What a bot does with its log."""
    with path.open("a") as file:
        file.write(text)


def collect(log: Path, count: int, between: Callable[[int], None]) -> list[str]:
    """Follow in this process until ``count`` lines have come; ``between(n)`` runs right after the nth."""
    seen: list[str] = []

    def show(line: str) -> None:
        seen.append(line)
        if len(seen) >= count:
            raise Enough
        between(len(seen))

    def run() -> None:
        with pytest.raises(Enough):
            logs.follow(str(log), log_size, logs.pattern(None), show, False)

    log_size = log.stat().st_size
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    between(0)
    thread.join(5)
    return seen


def test_new_lines_are_shown_and_old_ones_are_not(sleepers: Sleepers, log: Path) -> None:
    process = follower(sleepers, log)
    append(log, "new\n")
    assert first_line(process) == "new"


def test_only_whole_lines_are_shown(sleepers: Sleepers, log: Path) -> None:
    process = follower(sleepers, log)
    append(log, "begun ")
    append(log, "and done\nnext\n")
    assert first_line(process) == "begun and done"
    assert first_line(process) == "next"


def test_only_matching_lines_are_shown(sleepers: Sleepers, log: Path) -> None:
    process = follower(sleepers, log, "^buy")
    append(log, "sell\nbuy 1\nsell\nbuy 2\n")
    assert [first_line(process) for _ in range(2)] == ["buy 1", "buy 2"]


def test_a_follower_ends_when_its_stdin_closes(sleepers: Sleepers, log: Path) -> None:
    process = follower(sleepers, log)
    assert process.stdin is not None
    process.stdin.close()
    assert first_line(process, within=5) == "ended"
    process.stdin = None
    assert process.wait(5) == 0


def test_what_is_typed_does_not_end_a_follower(sleepers: Sleepers, log: Path) -> None:
    process = follower(sleepers, log)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    append(log, "still here\n")
    assert first_line(process) == "still here"


@pytest.mark.fault("F77")
def test_a_truncated_file_is_followed_from_its_beginning(log: Path) -> None:
    def between(seen: int) -> None:
        if seen == 0:
            append(log, "one\n")
        elif seen == 1:
            log.write_text("")
            append(log, "two\n")

    assert collect(log, 2, between) == ["one", "two"]


@pytest.mark.fault("F77")
def test_a_renamed_file_is_followed_by_its_successor(log: Path) -> None:
    def between(seen: int) -> None:
        if seen == 0:
            append(log, "one\n")
        elif seen == 1:
            log.rename(log.with_name("bot.out.1"))
            log.write_text("two\nthree\n")

    assert collect(log, 3, between) == ["one", "two", "three"]


@pytest.mark.fault("F77")
def test_what_was_written_just_before_a_rotation_is_not_lost(log: Path) -> None:
    def between(seen: int) -> None:
        if seen == 0:
            append(log, "one\n")
        elif seen == 1:
            append(log, "last words of the old file\n")
            log.rename(log.with_name("bot.out.1"))
            log.write_text("first words of the new file\n")

    assert collect(log, 3, between) == ["one", "last words of the old file", "first words of the new file"]


@pytest.mark.fault("F77")
def test_a_file_that_is_gone_for_a_while_is_waited_for(log: Path) -> None:
    def between(seen: int) -> None:
        if seen == 0:
            append(log, "one\n")
        elif seen == 1:
            log.unlink()
            threading.Timer(0.3, lambda: log.write_text("two\n")).start()

    assert collect(log, 2, between) == ["one", "two"]


def test_a_flood_is_shown_completely_and_in_order(log: Path) -> None:
    lines = [f"{number} {'x' * (number % 97)}" for number in range(4000)]

    def between(seen: int) -> None:
        if seen == 0:
            append(log, "".join(line + "\n" for line in lines))

    assert collect(log, len(lines), between) == lines
