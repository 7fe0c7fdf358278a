"""A PID file is a hint: read without trust, it may veto a start and never permits one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.watchdog.parts import SLEEP, Sleepers
from watchdog import clock, identity
from watchdog.config import Config
from watchdog.identity import Identity, Sighting


@pytest.mark.fault("F09")
@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b"1234", 1234), (b"1234\n", 1234), (b"1234\r\n", 1234), (b"  1234  \n", 1234), (b"4194303", 4194303),
        (b"", None), (b"\n", None), (b"0", None), (b"1", None), (b"-1", None), (b"-1234", None), (b"+1234", None),
        (b"4194304", None), (b"322993229932299", None), (b"9" * 5000, None), (b"1234 5678", None),
        (b"1234\n5678", None), (b"12.5", None), (b"0x10", None), (b"1_000", None), (b"\xff\xfe1\x002\x00", None),
        (b"\0", None), (b"abc", None),
        ("١٢٣٤".encode(), None), (b"1234\0", None),
    ],
)  # fmt: skip
def test_a_pid_file_names_one_plausible_number_or_nobody(tmp_path: Path, content: bytes, number: int | None) -> None:
    path = tmp_path / "main_app.pid"
    path.write_bytes(content)
    assert identity.read_pid_file(str(path)) == number


@pytest.mark.fault("F09")
@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "dangling link", "device"])
def test_what_is_no_file_names_nobody_and_does_not_block(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "main_app.pid"
    make: dict[str, Callable[[], Any]] = {
        "missing": lambda: None,
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "dangling link": lambda: path.symlink_to(tmp_path / "nowhere"),
        "device": lambda: path.symlink_to("/dev/zero"),
    }
    make[kind]()
    before = set(os.listdir("/proc/self/fd"))
    assert identity.read_pid_file(str(path)) is None
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.fault("F03")
@pytest.mark.fault("F04")
@pytest.mark.fault("F06")
@pytest.mark.parametrize("names", ["dead", "stranger", "thread", "init", "kernel thread"])
def test_a_pid_file_that_names_somebody_else_vetoes_nothing(
    sleepers: Sleepers, config: Config, look: Callable[..., Sighting], names: str
) -> None:
    stranger = sleepers.python("-c", SLEEP)
    dead = sleepers.start("true")
    dead.wait(10)
    leave = threading.Event()
    started = threading.Event()
    threads: list[int] = []

    def wait() -> None:
        threads.append(threading.get_native_id())
        started.set()
        leave.wait(30)

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait(10)
    numbers = {"dead": dead.pid, "stranger": stranger.pid, "thread": threads[0], "init": 1, "kernel thread": 2}
    Path(config.pid_file).write_text(f"{numbers[names]}\n")
    found = look()
    leave.set()
    thread.join(10)
    assert found == Sighting(None, (), (), None)


@pytest.mark.fault("F10")
def test_a_pid_file_that_names_what_nobody_may_inspect_is_a_veto(
    config: Config, look: Callable[..., Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """hidepid=2 cannot be had here without a mount: this is how it answers."""
    hidden = 4194301
    monkeypatch.setattr(os, "kill", lambda pid, number: (_ for _ in ()).throw(PermissionError(1, "x")))
    Path(config.pid_file).write_text(f"{hidden}\n")
    found = look()
    assert found.bot is None and found.unknown is not None
    assert str(hidden) in found.unknown and config.pid_file in found.unknown


@pytest.mark.fault("F13")
def test_a_pid_file_from_before_the_boot_is_no_veto(
    config: Config, look: Callable[..., Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda pid, number: (_ for _ in ()).throw(PermissionError(1, "x")))
    path = Path(config.pid_file)
    path.write_text("4194301\n")
    boot = clock.utc() - clock.now()
    made_at_boot = path.with_name("node")
    made_at_boot.touch()
    os.utime(made_at_boot, (boot, boot))
    monkeypatch.setattr(clock, "_MADE_AT_BOOT", str(made_at_boot))
    os.utime(path, (boot - 3600, boot - 3600))
    assert look().unknown is None


@pytest.mark.fault("F10")
@pytest.mark.fault("F80")
def test_a_wall_clock_that_was_set_forward_lifts_no_veto(
    config: Config, look: Callable[..., Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda pid, number: (_ for _ in ()).throw(PermissionError(1, "x")))
    path = Path(config.pid_file)
    path.write_text("4194301\n")
    made_at_boot = path.with_name("node")
    made_at_boot.touch()
    monkeypatch.setattr(clock, "_MADE_AT_BOOT", str(made_at_boot))
    day_ago = clock.utc() - 86_400  # both were written in this boot, by a clock that said yesterday
    for file, age in ((made_at_boot, 60), (path, 0)):
        os.utime(file, (day_ago - age, day_ago - age))
    assert "nobody lets us inspect" in str(look().unknown)


@pytest.mark.fault("F08")
@pytest.mark.fault("F13")
def test_the_veto_falls_when_boot_or_start_differ(
    config: Config, look: Callable[..., Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda pid, number: (_ for _ in ()).throw(PermissionError(1, "x")))
    Path(config.pid_file).write_text("4194301\n")
    assert look(Identity(4194301, 5, "another boot", True)).unknown is None
    assert look(Identity(4194301, 5, clock.boot_id(), True)).unknown is not None
