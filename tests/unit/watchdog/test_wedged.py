"""A guard that holds its lock and does nothing: told from one that only cannot write, and ended by its identity."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import Sleepers, VirtualClock, first_line
from watchdog import beat, clock, identity, locks, paths, procfs, wedged
from watchdog.argv import is_agent
from watchdog.config import Config
from watchdog.instance import Instance
from watchdog.journal import Journal
from watchdog.wedged import Observer

HANG = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def places(config: Config, instance: Instance) -> paths.Paths:
    return paths.of(config, instance)


def silent(sleepers: Sleepers, instance: Instance, tmp_path: Path, verb: str = "guard") -> subprocess.Popen[str]:
    """A process that looks like this agent, holds the guard's lock and answers nobody."""
    program = tmp_path / "bin" / "watchdog"
    program.parent.mkdir(exist_ok=True)
    program.write_text(HANG)
    lock = locks.acquire(instance.guard_lock)
    assert lock is not None
    process = sleepers.start(sys.executable, str(program), "--config", "x.env", verb, pass_fds=(lock,))
    os.close(lock)
    first_line(process)
    return process


def written_beat(places: paths.Paths, pid: int, age: float) -> None:
    """A beat of that process, so many seconds old."""
    Path(places.beat).write_text(f"{clock.now() - age:018.3f} {pid:08d} {clock.boot_id():<36}\n")


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("python -m watchdog guard", True),
        ("/usr/bin/python3 -I -S -B /opt/dca-watchdog/x/current/bin/watchdog --config y guard", True),
        ("python bin/watchdog", True),
        ("python watchdog.py", False),
        ("python -m watchdog.observers", False),
        ("python main_app.py watchdog", False),
        ("/usr/sbin/watchdog", False),
        ("flock -F guard.lock python -m watchdog guard", False),
        ("", False),
    ],
)
def test_a_process_of_this_agent_is_known_by_what_it_runs(line: str, ours: bool) -> None:
    assert is_agent(line.split()) is ours


@pytest.mark.fault("F23")
def test_a_guard_with_an_old_beat_is_ended_after_a_second_look(
    sleepers: Sleepers, config: Config, instance: Instance, places: paths.Paths, journal: Journal, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(wedged, "LOOK", 0.05)
    process = silent(sleepers, instance, tmp_path)
    written_beat(places, process.pid, wedged.STALE + 5)
    observer = Observer(config, instance, places, journal)
    assert not observer.relieve() and observer.suspicious
    assert process.poll() is None
    clock_before = clock.now()
    while not observer.relieve():
        assert clock.now() - clock_before < 5
    assert process.wait(5) == -9
    lock = locks.acquire(instance.guard_lock)
    assert lock is not None
    os.close(lock)
    assert str(process.pid) in Path(journal.log_file).read_text()


@pytest.mark.fault("F37")
@pytest.mark.parametrize("age", [0.0, 5.0, 30.0])
def test_a_guard_with_a_fresh_beat_is_left_alone(
    sleepers: Sleepers, config: Config, instance: Instance, places: paths.Paths, journal: Journal, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, age: float,
) -> None:  # fmt: skip
    monkeypatch.setattr(wedged, "LOOK", 0.0)
    process = silent(sleepers, instance, tmp_path)
    written_beat(places, process.pid, age)
    observer = Observer(config, instance, places, journal)
    assert not observer.relieve() and not observer.relieve() and not observer.suspicious
    assert process.poll() is None


@pytest.mark.fault("F23")
def test_a_young_guard_without_a_beat_is_left_alone(
    sleepers: Sleepers, config: Config, instance: Instance, places: paths.Paths, journal: Journal, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(wedged, "LOOK", 0.0)
    process = silent(sleepers, instance, tmp_path)
    for content in (None, "", "rubbish", f"1.0 {process.pid} another-boot", f"{clock.now() - 99} 1 {clock.boot_id()}"):
        if content is not None:
            Path(places.beat).write_text(content)
        observer = Observer(config, instance, places, journal)
        assert not observer.relieve() and not observer.relieve(), content
    assert process.poll() is None


@pytest.mark.fault("F23")
def test_a_verb_that_holds_the_lock_gets_the_time_that_it_may_take(
    sleepers: Sleepers, config: Config, instance: Instance, places: paths.Paths, journal: Journal, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(wedged, "LOOK", 0.0)
    process = silent(sleepers, instance, tmp_path, verb="restart")
    written_beat(places, process.pid, 10_000)
    observer = Observer(config, instance, places, journal)
    assert not observer.relieve() and not observer.relieve()
    impatient = Observer(config._replace(stop_grace=-60.0), instance, places, journal)
    assert config._replace(stop_grace=-60.0).pass_limit + wedged.HUNG_PASS < 0
    assert impatient.relieve() or impatient.relieve()
    assert process.wait(5) == -9


@pytest.mark.promise(3)
def test_a_stranger_that_holds_the_lock_is_never_ended(
    sleepers: Sleepers, config: Config, instance: Instance, places: paths.Paths, journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(wedged, "LOOK", 0.0)
    lock = locks.acquire(instance.guard_lock)
    assert lock is not None
    process = sleepers.start(sys.executable, "-c", HANG, "guard", "watchdog", pass_fds=(lock,))
    os.close(lock)
    first_line(process)
    written_beat(places, process.pid, 10_000)
    observer = Observer(config, instance, places, journal)
    assert not observer.relieve() and not observer.relieve()
    assert wedged.holder(instance) is None
    assert process.poll() is None


def test_the_beat_is_read_back_as_its_age(tmp_path: Path, virtual_clock: VirtualClock) -> None:
    path = str(tmp_path / "beat")
    assert beat.silence(path, os.getpid()) is None
    beat.write(path)
    first = os.stat(path)
    virtual_clock.pass_by(12.0)
    assert beat.silence(path, os.getpid()) == pytest.approx(12.0, abs=0.01)
    virtual_clock.wall_seconds += 86_400
    assert beat.silence(path, os.getpid()) == pytest.approx(12.0, abs=0.01)
    assert beat.silence(path, os.getpid() + 1) is None
    beat.write(path)
    assert (os.stat(path).st_ino, os.stat(path).st_size) == (first.st_ino, first.st_size), "in place"
    virtual_clock.reboot()
    assert beat.silence(path, os.getpid()) is None


def test_a_process_that_is_gone_needs_no_ending(sleepers: Sleepers, journal: Journal) -> None:
    process = sleepers.python("-c", HANG)
    found = identity.identify(process.pid)
    assert found is not None
    process.kill()
    process.wait(10)
    assert wedged.end(found, journal)
    assert procfs.stat(process.pid) is None
