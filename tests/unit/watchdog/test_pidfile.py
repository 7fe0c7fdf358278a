"""The bot's side, one copied file: the lock, the PID file and the exit codes, under every supported Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import PACKAGE, Sleepers, first_line, interpreters, version_of
from watchdog import locks, pidfile

BOT = """
import os, sys
from pidfile import create_pid_file, remove_pid_file
given = sys.argv[1] if len(sys.argv) > 1 else None
print(create_pid_file(given), flush=True)
sys.stdin.read()
print(remove_pid_file(given), flush=True)
"""


Attempt = subprocess.Popen[str]


class Project:
    """A bot project with a copy of the one file, and its lock directory in the user's real home."""

    def __init__(self, root: Path, name: str = "main_app.py", folder: str = "src") -> None:
        self.root = root
        self.script = root / folder / name
        self.script.parent.mkdir(parents=True)
        self.script.write_text(BOT)
        shutil.copyfile(PACKAGE / "pidfile.py", self.script.with_name("pidfile.py"))
        self.locks = Path(pidfile.instance_dir(str(self.script)))
        self.pid_file = root / "main_app.pid"
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}

    def start(
        self, sleepers: Sleepers, *args: str, python: str = sys.executable, pass_fds: tuple[int, ...] = (), **env: str
    ) -> subprocess.Popen[str]:
        """Start the bot; the first line is the path of its PID file."""
        return sleepers.start(
            python, str(self.script), *args, cwd="/", env={**self.environment, **env}, pass_fds=pass_fds,
            stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def attempt(self, *words: str, cwd: Path | str = "/", python: str = sys.executable, **env: str) -> Attempt:
        """Start a bot that should end by itself."""
        return subprocess.Popen(
            [python, *(words or [str(self.script)])], cwd=cwd, env={**self.environment, **env},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def ends(*attempts: Attempt) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of bots that were all started before the first is waited for."""
    found = [attempt.communicate(timeout=30) for attempt in attempts]
    return [(attempt.returncode, out, err) for attempt, (out, err) in zip(attempts, found, strict=True)]


def leave(process: subprocess.Popen[str]) -> str:
    """Let the bot end in order; what remove_pid_file() said."""
    assert process.stdin is not None
    process.stdin.close()
    said = first_line(process)
    process.stdin = None
    assert process.wait(10) == 0
    return said


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Project]:
    found = Project(tmp_path / "dcaTrader")
    yield found
    shutil.rmtree(found.locks, ignore_errors=True)


@pytest.mark.fault("F20")
@pytest.mark.promise(1)
def test_the_copied_file_alone_keeps_a_second_bot_away_under_every_python(sleepers: Sleepers, tmp_path: Path) -> None:
    bots = {python: Project(tmp_path / version_of(python)) for python in interpreters()}
    try:
        first = {python: bot.start(sleepers, python=python) for python, bot in bots.items()}
        for python, bot in bots.items():
            assert first_line(first[python]) == str(bot.pid_file)
            assert bot.pid_file.read_text() == f"{first[python].pid}\n"
        second = ends(*(bot.attempt(python=python) for python, bot in bots.items()))
        for bot, (code, _, said) in zip(bots.values(), second, strict=True):
            assert code == 79
            assert str(bot.script) in said and said.count("\n") == 1
        for python, bot in bots.items():
            assert bot.pid_file.read_text() == f"{first[python].pid}\n", "the loser touches nothing"
            assert leave(first[python]) == "True"
            assert not bot.pid_file.exists()
        third = ends(*(bot.attempt(python=python) for python, bot in bots.items()))
        assert [code for code, _, _ in third] == [0] * len(bots)
    finally:
        for bot in bots.values():
            shutil.rmtree(bot.locks, ignore_errors=True)


def test_the_lock_is_where_the_watchdog_looks(sleepers: Sleepers, bot: Project) -> None:
    process = bot.start(sleepers)
    first_line(process)
    lock = str(bot.locks / "bot.lock")
    assert locks.acquire(lock) is None
    assert locks.holders(lock) == [process.pid]
    assert bot.locks.stat().st_mode & 0o777 == 0o700
    process.kill()
    process.wait(10)
    found = locks.acquire(lock)
    assert found is not None
    os.close(found)


@pytest.mark.fault("F33")
def test_every_path_to_the_script_meets_at_one_lock(sleepers: Sleepers, bot: Project, tmp_path: Path) -> None:
    first_line(bot.start(sleepers))
    (tmp_path / "current").symlink_to(bot.root)
    others = ends(
        bot.attempt("current/src/main_app.py", cwd=tmp_path),
        bot.attempt("-m", "src.main_app", cwd=bot.root, PYTHONPATH="src"),
        bot.attempt("main_app.py", cwd=bot.root / "src"),
    )
    assert [code for code, _, _ in others] == [79, 79, 79]


@pytest.mark.fault("F22")
def test_a_bot_that_inherited_the_lock_from_the_watchdog_does_not_meet_itself(sleepers: Sleepers, bot: Project) -> None:
    bot.locks.mkdir(parents=True, mode=0o700)
    lock = locks.acquire(str(bot.locks / "bot.lock"))
    assert lock is not None
    process = bot.start(
        sleepers, pass_fds=(lock,), WATCHDOG_LOCK_FD=str(lock), WATCHDOG_PID_FILE=str(bot.root / "x.pid")
    )
    os.close(lock)
    assert first_line(process) == str(bot.root / "x.pid")
    assert locks.holders(str(bot.locks / "bot.lock")) == [process.pid]
    assert ends(bot.attempt())[0][0] == 79


def test_a_number_that_is_no_inherited_lock_buys_nothing(sleepers: Sleepers, bot: Project) -> None:
    first_line(bot.start(sleepers))
    numbers = ["", "x", "-1", "0", "1", "9999", "3"]
    assert [code for code, _, _ in ends(*(bot.attempt(WATCHDOG_LOCK_FD=number) for number in numbers))] == [79] * 7


@pytest.mark.fault("F07")
def test_the_lock_of_another_bot_is_not_ours(sleepers: Sleepers, bot: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "otherTrader")
    other.locks.mkdir(parents=True, mode=0o700)
    try:
        lock = locks.acquire(str(other.locks / "bot.lock"))
        assert lock is not None
        process = bot.start(sleepers, pass_fds=(lock,), WATCHDOG_LOCK_FD=str(lock))
        os.close(lock)
        first_line(process)
        assert ends(bot.attempt())[0][0] == 79, "a bot started by another bot needs a lock of its own"
    finally:
        shutil.rmtree(other.locks, ignore_errors=True)


@pytest.mark.fault("F14")
def test_a_bot_removes_only_a_file_that_names_itself(sleepers: Sleepers, bot: Project) -> None:
    process = bot.start(sleepers)
    first_line(process)
    bot.pid_file.write_text(f"{os.getpid()}\n")
    assert leave(process) == "False"
    assert bot.pid_file.read_text() == f"{os.getpid()}\n"


@pytest.mark.fault("F09")
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe", b"1 2", None])
def test_a_damaged_or_missing_pid_file_is_no_error_at_the_end(
    sleepers: Sleepers, bot: Project, content: bytes | None
) -> None:
    process = bot.start(sleepers)
    first_line(process)
    bot.pid_file.unlink()
    if content is not None:
        bot.pid_file.write_bytes(content)
    assert leave(process) == "False"


@pytest.mark.fault("F70")
@pytest.mark.fault("F72")
def test_a_pid_file_that_cannot_be_written_is_no_reason_not_to_trade(sleepers: Sleepers, bot: Project) -> None:
    process = bot.start(sleepers, "/proc/no/such/main_app.pid")
    assert first_line(process) == "/proc/no/such/main_app.pid"
    assert leave(process) == "False"
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert "/proc/no/such/main_app.pid" in said and "goes on" in said and said.count("\n") == 1


@pytest.mark.fault("F28")
def test_without_a_lock_the_bot_does_not_start(bot: Project) -> None:
    bot.locks.parent.mkdir(parents=True, exist_ok=True)
    bot.locks.write_text("a file where the lock directory should be")
    try:
        ((code, _, said),) = ends(bot.attempt())
    finally:
        bot.locks.unlink()
    assert code == 78
    assert "not starting" in said and said.count("\n") == 1
    assert not bot.pid_file.exists()


@pytest.mark.fault("F27")
def test_a_symlink_in_the_place_of_the_lock_is_no_lock(bot: Project, tmp_path: Path) -> None:
    bot.locks.mkdir(parents=True)
    (bot.locks / "bot.lock").symlink_to(tmp_path / "elsewhere")
    assert ends(bot.attempt())[0][0] == 78


def test_the_watchdogs_short_look_at_the_lock_is_waited_out(sleepers: Sleepers, bot: Project) -> None:
    bot.locks.mkdir(parents=True, mode=0o700)
    lock = locks.acquire(str(bot.locks / "bot.lock"))
    assert lock is not None
    process = bot.start(sleepers)
    try:
        process.wait(0.3)
    except subprocess.TimeoutExpired:
        pass
    assert process.returncode is None, "it waits for a moment"
    os.close(lock)
    assert first_line(process) == str(bot.pid_file)


@pytest.mark.parametrize(
    ("folder", "expected"), [("src", "main_app.pid"), (".", "main_app.pid"), ("lib", "lib/main_app.pid")]
)
def test_the_default_pid_file_lies_in_the_projects_root(
    sleepers: Sleepers, tmp_path: Path, folder: str, expected: str
) -> None:
    project = (
        Project(tmp_path / "bots" / "x", folder=folder) if folder != "." else Project(tmp_path / "bots", folder="x")
    )
    try:
        process = project.start(sleepers)
        root = project.script.parent if folder == "." else project.root
        assert first_line(process) == str(root / expected)
    finally:
        shutil.rmtree(project.locks, ignore_errors=True)


def test_a_relative_path_is_made_absolute_at_once(bot: Project) -> None:
    ((code, out, _),) = ends(bot.attempt("src/main_app.py", "run/x.pid", cwd=bot.root))
    assert code == 0 and out.splitlines()[0] == str(bot.root / "run" / "x.pid")


# Writing -------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F15")
def test_a_reader_never_sees_half_a_pid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "main_app.pid"
    path.write_text("111\n")
    seen: list[str] = []
    real = os.rename

    def look_then_rename(source: str, target: str) -> None:
        seen.append(path.read_text())
        real(source, target)
        seen.append(path.read_text())

    monkeypatch.setattr(os, "rename", look_then_rename)
    pidfile.write_pid_file(str(path), 222)
    assert seen == ["111\n", "222\n"]
    assert os.listdir(tmp_path) == ["main_app.pid"]


def test_a_pid_file_can_be_read_by_people(tmp_path: Path) -> None:
    path = tmp_path / "main_app.pid"
    old = os.umask(0o077)
    try:
        pidfile.write_pid_file(str(path), 222)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.fault("F09")
def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("untouched")
    path = tmp_path / "main_app.pid"
    path.symlink_to(precious)
    pidfile.write_pid_file(str(path), 222)
    assert precious.read_text() == "untouched" and path.read_text() == "222\n"


def test_a_failed_write_leaves_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "main_app.pid"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        pidfile.write_pid_file(str(path), 222)
    assert os.listdir(tmp_path) == ["main_app.pid"]
