"""The stand-in bot with its price feed: what the demonstration and the lab take for granted."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.price_server import PriceServer
from demo.project import Project, make_project
from watchdog.pidfile import instance_dir


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = make_project(tmp_path / "dcaTrader")
    yield made
    shutil.rmtree(instance_dir(str(made.script)), ignore_errors=True)


@pytest.fixture
def feed() -> Iterator[PriceServer]:
    with PriceServer(every=0.02) as server:
        yield server


class Bots:
    """Starts bots and makes sure that none outlives the test."""

    def __init__(self, project: Project, feed: PriceServer) -> None:
        self._project, self._feed = project, feed
        self._started: list[subprocess.Popen[str]] = []

    def start(self, **environment: str) -> subprocess.Popen[str]:
        bot = subprocess.Popen(
            [sys.executable, str(self._project.script)],
            env={"PATH": os.defpath, "DEMO_FEED_URL": self._feed.url, "DEMO_BUY_EVERY": "0.05", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(bot)
        return bot

    def end(self) -> None:
        for bot in self._started:
            bot.kill()
            bot.communicate()


@pytest.fixture
def bots(project: Project, feed: PriceServer) -> Iterator[Bots]:
    made = Bots(project, feed)
    yield made
    made.end()


def until(true: Callable[[], bool], what: str, timeout: float = 15) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.01)


def trades(project: Project) -> list[dict[str, str]]:
    with project.ledger.open() as file:
        return list(csv.DictReader(file))


def bought(project: Project, count: int) -> Callable[[], bool]:
    return lambda: project.ledger.exists() and len(trades(project)) >= count


def test_the_first_line_carries_the_boot_time_and_comes_within_the_interpreters_start(bots: Bots) -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    bot = bots.start()
    assert bot.stdout is not None
    line = bot.stdout.readline()
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    match = re.fullmatch(r"BOOTTIME=(\d+\.\d{6}) first line\n", line)
    assert match
    assert before < float(match[1]) < after


def test_it_trades_on_paper_with_its_pid_file_in_place_and_sigterm_ends_it_tidily(bots: Bots, project: Project) -> None:
    bot = bots.start()
    until(bought(project, 3), "three trades")
    assert project.pid_file.read_text() == f"{bot.pid}\n"
    bot.send_signal(signal.SIGTERM)
    output, _ = bot.communicate(timeout=10)
    assert bot.returncode == 0
    assert not project.pid_file.exists()
    assert re.search(r"SIGTERM: [1-9]\d*0\.00 EUR in all, ledger saved, goodbye", output)
    assert "Traceback" not in output
    assert {trade["pid"] for trade in trades(project)} == {str(bot.pid)}
    log = project.log.read_text()
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO PID \d+ buys 10.00 EUR", log, re.MULTILINE)
    assert log.splitlines() == output.splitlines()[1:]


def test_ctrl_c_is_a_tidy_end_too(bots: Bots, project: Project) -> None:
    bot = bots.start()
    until(bought(project, 1), "a trade")
    bot.send_signal(signal.SIGINT)
    output, _ = bot.communicate(timeout=10)
    assert (bot.returncode, project.pid_file.exists()) == (0, False)
    assert "Traceback" not in output


def test_it_reconnects_when_the_feed_drops(bots: Bots, project: Project, feed: PriceServer) -> None:
    bots.start()
    feed.wait_for_connections(1)
    until(bought(project, 1), "a trade")
    feed.drop_clients()
    feed.wait_for_connections(2)
    before = len(trades(project))
    until(bought(project, before + 2), "trades after the reconnect")
    assert "feed lost (connection lost" in project.log.read_text()


def test_it_outlives_a_feed_that_is_gone_for_a_while_and_buys_nothing_meanwhile(
    bots: Bots, project: Project, feed: PriceServer
) -> None:
    bot = bots.start()
    until(bought(project, 1), "a trade")
    feed.stop()
    until(lambda: project.log.read_text().count("feed lost") >= 2, "two failed attempts")
    before = len(trades(project))
    with PriceServer(port=feed.port, every=0.02) as again:
        assert len(trades(project)) == before
        again.wait_for_connections(1)
        until(bought(project, before + 1), "a trade after the feed's return")
    assert bot.poll() is None


def test_a_second_copy_ends_with_79_and_the_first_goes_on(bots: Bots, project: Project) -> None:
    first = bots.start()
    until(project.pid_file.exists, "the PID file")
    second = bots.start()
    output, _ = second.communicate(timeout=10)
    assert second.returncode == 79
    assert "another copy" in output
    assert project.pid_file.read_text() == f"{first.pid}\n"
    assert first.poll() is None


def test_after_a_kill_the_next_run_goes_on_with_the_same_ledger_even_if_its_last_line_is_torn(
    bots: Bots, project: Project
) -> None:
    first = bots.start()
    until(bought(project, 2), "two trades")
    first.kill()
    first.wait()
    kept = trades(project)
    with project.ledger.open("a") as file:
        file.write("2026-11-24T05:40:01.000+00:00,17,612")
    second = bots.start()
    until(lambda: any(trade["pid"] == str(second.pid) for trade in trades(project)), "a trade of the second run")
    rows = trades(project)
    assert rows[: len(kept)] == kept
    assert {trade["pid"] for trade in rows[len(kept) :]} == {str(second.pid)}


@pytest.mark.parametrize(("environment", "code"), [({}, 1), ({"DEMO_EXIT_CODE": "78"}, 78)])
def test_a_crash_on_request_leaves_the_pid_file_lying_about(
    bots: Bots, project: Project, environment: dict[str, str], code: int
) -> None:
    bot = bots.start(DEMO_CRASH_AFTER="0.1", **environment)
    bot.communicate(timeout=10)
    assert bot.returncode == code
    assert project.pid_file.read_text() == f"{bot.pid}\n"


@pytest.mark.parametrize("name", ["DEMO_BUY_EVERY", "DEMO_BUY_AMOUNT", "DEMO_EXIT_CODE"])
def test_a_setting_that_is_no_number_is_78_in_one_line(bots: Bots, project: Project, name: str) -> None:
    bot = bots.start(**{name: "plenty"})
    output, _ = bot.communicate(timeout=10)
    assert bot.returncode == 78
    assert "Traceback" not in output
    assert "correct it" in output.splitlines()[1]
    assert not project.pid_file.exists()


def test_told_so_it_ignores_sigterm_and_only_kill_ends_it(bots: Bots, project: Project) -> None:
    bot = bots.start(DEMO_IGNORE_TERM="1")
    until(bought(project, 1), "a trade")
    bot.send_signal(signal.SIGTERM)
    until(lambda: "SIGTERM ignored" in project.log.read_text(), "the log line")
    before = len(trades(project))
    until(bought(project, before + 1), "another trade")
    assert bot.poll() is None


def test_it_needs_nothing_but_the_standard_library(project: Project, feed: PriceServer) -> None:
    folder, script = str(project.script.parent), str(project.script)
    run = f"import runpy, sys; sys.path.insert(0, {folder!r}); runpy.run_path({script!r}, run_name='__main__')"
    bare = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", run], env={"PATH": os.defpath, "DEMO_FEED_URL": feed.url}
    )
    try:
        until(bought(project, 1), "a trade")
    finally:
        bare.terminate()
        assert bare.wait(10) == 0
