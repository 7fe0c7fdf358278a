"""Only its own processes: how the demonstration finds and ends what it started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import processes
from demo.commands import run
from demo.processes import MARK

Start = Callable[..., subprocess.Popen[bytes]]
SLEEP = "import sys, time; print(flush=True); time.sleep(60)"


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*argv: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, env={"PATH": os.environ["PATH"], **environment}, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()  # it has become what its argv says
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_marked_and_inside_processes_are_ended_and_all_others_live_on(start: Start, tmp_path: Path) -> None:
    mine, other = tmp_path / "demo-1", tmp_path / "demo-2"
    mine.mkdir()
    (mine / "log").write_text("line\n")
    marked = start(sys.executable, "-c", SLEEP, **{MARK: str(mine)})
    inside = start(sys.executable, "-c", SLEEP, str(mine / "src" / "main_app.py"))
    neighbour = start(sys.executable, "-c", SLEEP, str(other / "src"), **{MARK: str(other)})
    prefix = start(sys.executable, "-c", SLEEP, f"{mine}0/src")
    reader = start("tail", "-f", str(mine / "log"))
    assert {process.pid for process in processes.of_folder(mine)} == {marked.pid, inside.pid}
    processes.end(mine)
    assert (marked.wait(5), inside.wait(5)) == (-9, -9)
    assert [process.poll() for process in (neighbour, prefix, reader)] == [None, None, None]


def test_a_guard_that_would_restart_its_bot_does_not_get_the_time(start: Start, tmp_path: Path) -> None:
    guard = (
        "import subprocess, sys\n"
        "print(flush=True)\n"
        "while True: subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)', sys.argv[1]])"
    )
    start(sys.executable, "-c", guard, str(tmp_path / "bot"))
    assert processes.wait_until(lambda: len(processes.of_folder(tmp_path)) == 2, 10)
    processes.end(tmp_path)
    assert not processes.of_folder(tmp_path)


def test_the_count_sees_a_second_copy(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "main_app.py"
    start(sys.executable, "-c", SLEEP, str(script))
    with processes.Count(script) as count:
        assert processes.wait_until(lambda: len(count.samples) > 2, 10)
        start(sys.executable, "-c", SLEEP, str(script))
        seen = len(count.samples)
        assert processes.wait_until(lambda: len(count.samples) > seen + 2, 10)
    assert set(count.samples) == {1, 2}


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], MARK: str(tmp_path)}
    with pytest.raises(TimeoutError, match=r"longer than 0\.5 s"):
        run(["sh", "-c", "sleep 60 & sleep 61"], cwd=tmp_path, environment=environment, timeout=0.5)
    assert processes.wait_until(lambda: not processes.of_folder(tmp_path), 5)


def test_the_output_of_a_command_comes_line_by_line_while_it_runs(tmp_path: Path) -> None:
    came: list[tuple[str, float]] = []
    done = run(
        ["sh", "-c", "echo one; sleep 0.3; echo two >&2; exit 3"],
        cwd=tmp_path,
        environment={"PATH": os.environ["PATH"]},
        timeout=10,
        on_line=lambda line: came.append((line, time.monotonic())),
    )
    assert (done.code, done.output) == (3, "one\ntwo\n")
    assert [line for line, _ in came] == ["one", "two"]
    assert came[1][1] - came[0][1] > 0.2


def test_a_command_on_a_terminal_knows_its_width_and_keeps_colours_but_not_cursor_movements(tmp_path: Path) -> None:
    say = (
        "import os; print(os.get_terminal_size(1).columns); print('working...\\r\\x1b[K\\x1b[32mgreen\\x1b[0m\\x1b[2A')"
    )
    environment = {"PATH": os.environ["PATH"]}
    done = run([sys.executable, "-c", say], cwd=tmp_path, environment=environment, timeout=10, columns=76)
    assert done.output == "76\n\x1b[32mgreen\x1b[0m\n"
