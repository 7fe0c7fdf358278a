"""`logs`: the last lines, the lines since, the lines that match, and those still to come."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.process.world import World


def stamp(ago: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def written(world: World) -> World:
    """A bot's log of 200 lines, the oldest two hundred minutes old."""
    folder = world.project / "logs"
    folder.mkdir()
    lines = [f"{stamp((200 - number) * 60)} line {number} {'odd' if number % 2 else 'even'}" for number in range(200)]
    (folder / "bot.out").write_text("\n".join(lines) + "\n")
    return world


def numbers(text: str) -> list[int]:
    return [int(line.split()[2]) for line in text.splitlines()]


def test_fifty_lines_are_shown_or_as_many_as_asked_for(written: World) -> None:
    assert numbers(written.ok("logs").out) == list(range(150, 200))
    assert numbers(written.ok("logs", "-n", "3").out) == [197, 198, 199]
    assert numbers(written.ok("logs", "--lines", "1000").out) == list(range(200))
    assert written.ok("logs", "--lines", "0").out == ""


def test_grep_chooses_before_the_lines_are_counted(written: World) -> None:
    assert numbers(written.ok("logs", "--grep", r"line \d+ odd$", "-n", "2").out) == [197, 199]
    assert written.ok("logs", "--grep", "no such thing").out == ""


@pytest.mark.parametrize("since", ["10m", "600s", "600", lambda: stamp(600), lambda: stamp(600).replace("T", " ")[:-1]])
def test_since_is_a_span_or_a_time(written: World, since: object) -> None:
    text = since() if callable(since) else str(since)
    found = numbers(written.ok("logs", "--since", text).out)
    assert found in (list(range(190, 200)), list(range(191, 200)))


def test_a_traceback_belongs_to_the_line_before_it(written: World) -> None:
    with (written.project / "logs" / "bot.out").open("a") as file:
        file.write(f"{stamp(1)} error\nTraceback (most recent call last):\n  File x\nValueError\n")
    shown = subprocess.run(
        written.command("logs", "--since", "30s"), env=written.environment(), capture_output=True, text=True, timeout=30
    )
    assert shown.stdout.splitlines()[-3:] == ["Traceback (most recent call last):", "  File x", "ValueError"]


def test_json_names_the_file_and_holds_the_lines(written: World) -> None:
    found = written.ok("logs", "-n", "2", "--json").json
    assert (found["schema"], found["source"], found["name"]) == (1, "app", "dcaTrader")
    assert found["file"] == str(written.project / "logs" / "bot.out")
    assert [line.split()[2] for line in found["lines"]] == ["198", "199"]


def test_the_sources_are_the_bot_the_watchdog_and_the_events(world: World) -> None:
    world.behave({"say": ["hello"]})
    world.ok("start", "--by", "alice")
    assert "hello" in world.ok("logs").out
    assert "start asked for by alice" in world.ok("logs", "--source", "watchdog").out
    kinds = [json.loads(line)["kind"] for line in world.ok("logs", "--source", "events").out.splitlines()]
    assert kinds[0] == "start-asked" and "started" in kinds


def test_the_bots_own_log_is_shown_where_it_is_configured(world: World) -> None:
    (world.project / "trade.log").write_text("a trade\n")
    assert world.ok("logs", WATCHDOG_APP_LOG="trade.log").out == "a trade\n"
    done = world.verb("logs", WATCHDOG_APP_LOG="gone.log")
    assert done.code == 1 and "gone.log" in done.err and done.err.count("\n") == 1


def test_a_log_that_is_not_a_file_is_an_error_in_one_line(world: World) -> None:
    os.mkfifo(world.project / "pipe.log")
    for name in ("pipe.log", "src"):
        done = world.verb("logs", WATCHDOG_APP_LOG=name, timeout=10)
        assert done.code == 1 and name in done.err and done.err.count("\n") == 1


class Reader:
    """Lines of a follower as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self.process, self.descriptor, self.rest = process, process.stdout.fileno(), b""

    def until(self, text: str, within: float = 15.0) -> str:
        """Read on until a line has the text in it."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            head, newline, tail = self.rest.partition(b"\n")
            if newline:
                self.rest = tail
                if text in (line := head.decode()):
                    return line
                continue
            if select.select([self.descriptor], [], [], 0.2)[0]:
                chunk = os.read(self.descriptor, 65536)
                assert chunk, f"the follower ended before {text!r}"
                self.rest += chunk
        raise AssertionError(f"no line with {text!r} within {within:g} s")


@pytest.mark.fault("F77")
def test_follow_goes_on_over_truncation_and_rotation(written: World) -> None:
    path = written.project / "logs" / "bot.out"
    reader = Reader(written.begin("logs", "--follow", "-n", "1"))
    reader.until("line 199")
    with path.open("a") as file:
        file.write("appended\n")
    reader.until("appended")
    os.truncate(path, 0)
    time.sleep(0.3)  # a file that is cut and has grown again within one look cannot be told from one that grew
    with path.open("a") as file:
        file.write("after truncation\n")
    reader.until("after truncation")
    path.rename(path.with_suffix(".1"))
    path.write_text("after rotation\n")
    reader.until("after rotation")
    assert reader.process.poll() is None


def test_follow_shows_matching_lines_alone_and_safe_for_a_terminal(written: World) -> None:
    reader = Reader(written.begin("logs", "-f", "-n", "0", "--grep", "keep", "--source", "app"))
    path = written.project / "logs" / "bot.out"
    end = time.monotonic() + 15
    while not select.select([reader.descriptor], [], [], 0.2)[0]:
        assert time.monotonic() < end
        with path.open("a") as file:
            file.write("drop this\nkeep \x1b[31mred\x1b[0m\n")
    line = reader.until("keep")
    assert "\x1b" not in line and "red" in line and "drop" not in line


def test_follow_with_json_is_one_object_a_line(written: World) -> None:
    reader = Reader(written.begin("logs", "-f", "-n", "2", "--json"))
    found = json.loads(reader.until("line 198"))
    assert found["schema"] == 1 and found["line"].endswith("even")


def test_until_eof_ends_with_its_stdin_and_leaves_nothing(written: World) -> None:
    process = written.begin("logs", "--follow", "--until-eof", "-n", "1")
    Reader(process).until("line 199")
    assert process.poll() is None and process.stdin
    process.stdin.close()
    process.stdin = None
    assert process.wait(10) == 0


def test_ctrl_c_ends_a_follower_without_a_traceback(written: World) -> None:
    process = written.begin("logs", "-f", "-n", "1")
    Reader(process).until("line 199")
    process.send_signal(2)
    assert process.wait(10) == 130
    assert process.stderr and process.stderr.read() == ""


def test_a_reader_that_goes_away_ends_the_follower_quietly(written: World) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(written.command('logs', '-n', '200'))} | head -n 1"],
        cwd=written.folder, env=written.environment(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.stdout.count("\n") == 1 and done.stderr == ""
