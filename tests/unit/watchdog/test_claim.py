"""The claim to the bot's place: what the lock, and who holds it, say about the bot."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import Sleepers, first_line
from watchdog import claim as claims
from watchdog import identity, locks
from watchdog.claim import Claim
from watchdog.config import Config
from watchdog.instance import Instance

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
FORK = "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(600)\n"


@pytest.fixture
def claim(config: Config, instance: Instance) -> Iterator[Claim]:
    found = Claim(config, instance)
    yield found
    found.release()


def held_by(instance: Instance, sleepers: Sleepers, *argv: str, cwd: Path | None = None) -> int:
    """Start a process that inherits the bot's lock from us; its PID."""
    lock = locks.acquire(instance.bot_lock)
    assert lock is not None
    process = sleepers.start(*argv, pass_fds=(lock,), cwd=cwd, start_new_session=True)
    os.close(lock)
    first_line(process)
    return process.pid


@pytest.mark.fault("F01")
def test_a_free_place_is_vacant_and_nobody_else_can_have_it(claim: Claim, instance: Instance) -> None:
    assert claim.examine(None, patient=True).kind == "vacant"
    assert locks.acquire(instance.bot_lock) is None
    claim.release()
    lock = locks.acquire(instance.bot_lock)
    assert lock is not None
    os.close(lock)


@pytest.mark.fault("F02")
def test_a_bot_without_the_lock_is_found_while_the_place_is_ours(
    claim: Claim, instance: Instance, sleepers: Sleepers, project: Path
) -> None:
    process = sleepers.python("src/main_app.py", cwd=project)
    found = claim.examine(None, patient=True)
    assert found.kind == "bot" and found.bot is not None and found.bot.pid == process.pid
    assert locks.acquire(instance.bot_lock) is None, "kept, so that nobody starts a second one beside it"


@pytest.mark.fault("F22")
def test_the_bot_is_found_as_the_holder_of_its_lock(
    claim: Claim, instance: Instance, sleepers: Sleepers, project: Path
) -> None:
    pid = held_by(instance, sleepers, sys.executable, "src/main_app.py", cwd=project)
    found = claim.examine(None, patient=True)
    assert found.kind == "bot" and found.bot is not None and found.bot.pid == pid
    assert claim.descriptor is None and not claim.contended


@pytest.mark.fault("F25")
@pytest.mark.promise(3)
def test_a_stranger_at_the_lock_is_waited_for_and_then_reported(
    claim: Claim, instance: Instance, sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = held_by(instance, sleepers, sys.executable, "-c", SLEEP)
    assert claim.examine(None, patient=True).kind == "wait"
    assert claim.contended
    monkeypatch.setattr(claims, "CONTENTION", 0.0)
    found = claim.examine(None, patient=True)
    assert found.kind == "unclear" and f"PID {pid}" in found.text and instance.bot_lock in found.text
    assert not claim.contended


@pytest.mark.fault("F10")
@pytest.mark.promise(3)
def test_a_free_lock_is_no_permission_where_somebody_may_be_the_bot(
    claim: Claim, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = 4194301
    monkeypatch.setattr(os, "kill", lambda pid, number: (_ for _ in ()).throw(PermissionError(1, "x")))
    Path(config.pid_file).write_text(f"{hidden}\n")
    found = claim.examine(None, patient=True)
    assert found.kind == "unclear" and str(hidden) in found.text


def test_where_it_was_unclear_already_a_stranger_is_not_waited_for_again(
    claim: Claim, instance: Instance, sleepers: Sleepers
) -> None:
    held_by(instance, sleepers, sys.executable, "-c", SLEEP)
    assert claim.examine(None, patient=False).kind == "unclear"


@pytest.mark.fault("F25")
def test_children_of_the_dead_bot_that_hold_its_lock_are_leftovers(
    claim: Claim, instance: Instance, sleepers: Sleepers
) -> None:
    lock = locks.acquire(instance.bot_lock)
    assert lock is not None
    bot = sleepers.start(sys.executable, "-c", FORK, pass_fds=(lock,), start_new_session=True)
    os.close(lock)
    sleepers.child_of(bot)
    known = identity.identify(bot.pid, own_session=True)
    bot.kill()
    bot.wait(10)
    assert claim.examine(known, patient=True).kind == "leftovers"
    assert claim.examine(known._replace(own_session=False) if known else None, patient=False).kind == "unclear"


@pytest.mark.fault("F28")
@pytest.mark.parametrize("kind", ["directory", "link"])
def test_no_lock_at_all_is_unclear_and_never_vacant(
    claim: Claim, instance: Instance, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "link":
        os.symlink("/dev/null", instance.bot_lock)
    else:
        monkeypatch.setattr(locks, "acquire", lambda path: (_ for _ in ()).throw(OSError(37, "No locks available")))
    found = claim.examine(None, patient=True)
    assert found.kind == "unclear" and instance.bot_lock in found.text


def test_a_lock_file_on_a_directory_is_still_one_lock(claim: Claim, instance: Instance) -> None:
    os.mkdir(instance.bot_lock)
    assert claim.examine(None, patient=True).kind == "vacant", "flock works on a directory"
    assert locks.acquire(instance.bot_lock) is None
