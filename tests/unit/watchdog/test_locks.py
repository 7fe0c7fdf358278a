"""flock locks: who has them, who inherits them, and that nobody is fooled by a replaced file."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import REPOSITORY, Sleepers, first_line
from watchdog import locks

HOLD = """
import sys, time
from watchdog import locks
lock = locks.acquire(sys.argv[1])
print("has it" if lock is not None else "refused", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "bot.lock")


def holder(sleepers: Sleepers, path: str) -> subprocess.Popen[str]:
    """Another process that has taken the lock."""
    process = sleepers.start(sys.executable, "-c", HOLD, path, cwd=REPOSITORY)
    assert first_line(process) == "has it"
    return process


def is_free(path: str) -> bool:
    """Whether the lock can be had right now."""
    descriptor = locks.acquire(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def test_a_lock_is_had_once_and_is_free_again_when_closed(path: str) -> None:
    first = locks.acquire(path)
    assert first is not None
    assert locks.acquire(path) is None
    os.close(first)
    assert is_free(path)


@pytest.mark.fault("F20")
def test_another_process_is_refused_and_gets_it_after_our_death(sleepers: Sleepers, path: str) -> None:
    process = holder(sleepers, path)
    assert not is_free(path)
    assert locks.holders(path) == [process.pid]
    process.kill()
    process.wait(10)
    assert locks.holders(path) == []
    assert is_free(path)


@pytest.mark.fault("F24")
def test_a_lock_is_not_inherited_unless_that_is_asked_for(sleepers: Sleepers, path: str) -> None:
    lock = locks.acquire(path)
    assert lock is not None and not os.get_inheritable(lock)
    sleepers.start("sleep", "600", close_fds=False)
    os.close(lock)
    assert is_free(path)


@pytest.mark.fault("F22")
def test_an_inherited_lock_lives_as_long_as_the_process_that_inherited_it(sleepers: Sleepers, path: str) -> None:
    lock = locks.acquire(path)
    assert lock is not None
    process = sleepers.start("sleep", "600", pass_fds=(lock,))
    os.close(lock)
    assert not is_free(path)
    assert locks.holders(path) == [process.pid], "the one who has it, not the one who took it"
    process.kill()
    process.wait(10)
    assert is_free(path)


@pytest.mark.fault("F36")
def test_an_inherited_descriptor_is_found_and_becomes_close_on_exec(path: str) -> None:
    lock = locks.acquire(path)
    assert lock is not None
    code = """
import os, sys
from watchdog import locks
found = locks.inherited(sys.argv[1])
print(found is not None and not os.get_inheritable(found), locks.inherited(sys.argv[2]), locks.acquire(sys.argv[1]))
"""
    twin = os.dup(lock)
    done = subprocess.run(
        [sys.executable, "-c", code, path, path + ".other"], pass_fds=(lock, twin), cwd=REPOSITORY,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    os.close(twin)
    os.close(lock)
    assert done.stdout.split() == ["True", "None", "None"], done


def test_a_file_that_is_open_but_not_locked_has_no_holder(path: str) -> None:
    descriptor = locks.open_lock(path)
    assert locks.holders(path) == []
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert locks.holders(path) == [os.getpid()]
    os.close(descriptor)


def test_a_missing_lock_has_no_holder_and_is_made_for_its_owner_alone(path: str) -> None:
    assert locks.holders(path) == []
    os.close(locks.open_lock(path))
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.fault("F27")
def test_a_lock_file_replaced_while_it_is_being_locked_is_not_taken_for_the_lock(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[str] = []
    real = fcntl.flock

    def replace_then_lock(descriptor: int, operation: int) -> None:
        if len(replaced) < 2:
            os.rename(path, f"{path}.{len(replaced)}")
            replaced.append(path)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace_then_lock)
    lock = locks.acquire(path)
    assert lock is not None and len(replaced) == 2
    assert os.fstat(lock).st_ino == os.stat(path).st_ino, "the lock that everybody else will meet"
    monkeypatch.undo()
    assert not is_free(path)
    os.close(lock)


@pytest.mark.fault("F28")
def test_a_lock_file_that_keeps_being_replaced_is_an_error_not_a_lock(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def lock_then_remove(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        os.unlink(path)

    monkeypatch.setattr(fcntl, "flock", lock_then_remove)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="replaced"):
        locks.acquire(path)
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.fault("F28")
def test_a_file_system_that_cannot_lock_is_an_error_not_a_lock(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No locks"):
        locks.acquire(path)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_symlink_is_no_lock(tmp_path: Path, path: str) -> None:
    (tmp_path / "elsewhere").write_text("")
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(OSError, match="symbolic"):
        locks.acquire(path)


def test_a_lock_file_that_may_only_be_read_can_be_locked(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o400))
    assert is_free(path)
    assert os.path.getsize(path) == 0, "nothing is ever written into it"


def test_taking_a_lock_never_removes_it(path: str) -> None:
    for _ in range(3):
        assert is_free(path)
    assert os.path.exists(path)
