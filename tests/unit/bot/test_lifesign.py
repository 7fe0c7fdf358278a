"""What the helper says over a real socket, and that it never stands in a bot's way."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

HELPER = Path(__file__).resolve().parents[3] / "bot" / "lifesign.py"


class Watcher:
    """Whoever binds NOTIFY_SOCKET; ``said`` is what has arrived since the last look."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(address)

    def said(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="n-") as name:
        yield Path(name)


@pytest.fixture
def watcher(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watcher]:
    found = Watcher(str(folder / "notify.sock"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify.sock"))
    yield found
    found.socket.close()


@pytest.fixture
def lifesign(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The helper as a bot has it to which nobody said how often it should beat."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    return begun()


def begun() -> ModuleType:
    """The helper as a bot has it that has just begun."""
    spec = importlib.util.spec_from_file_location("lifesign", HELPER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_says_what_sd_notify_says(lifesign: ModuleType, watcher: Watcher) -> None:
    lifesign.ready()
    lifesign.beat()
    lifesign.stopping()
    assert watcher.said() == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_after_the_farewell_no_beat_makes_anybody_wait_for_the_next(lifesign: ModuleType, watcher: Watcher) -> None:
    lifesign.stopping()
    lifesign.beat()
    assert watcher.said() == ["STOPPING=1"]


def test_of_many_beats_one_a_second_is_sent(
    lifesign: ModuleType, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5000.0
    monkeypatch.setattr(lifesign.time, "monotonic", lambda: now)
    for _ in range(10_000):
        lifesign.beat()
    now += 0.99
    lifesign.beat()
    assert watcher.said() == ["WATCHDOG=1"]
    now += 0.02
    lifesign.beat()
    lifesign.beat()
    assert watcher.said() == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("wanted", "every"),
    [("60000000", 1.0), ("4000000", 1.0), ("1000000", 0.25), ("0", 1.0), ("", 1.0), ("-1", 1.0), ("1s", 1.0)],
)
def test_where_beats_are_wanted_sooner_they_come_four_times_as_often(
    wanted: str, every: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", wanted)
    found = begun().EVERY
    assert found == every


def test_threads_that_beat_at_the_same_time_send_one_beat_and_none_waits(
    lifesign: ModuleType, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifesign, "EVERY", 3600.0)
    together = threading.Barrier(8)

    def work() -> None:
        together.wait(10)
        for _ in range(1000):
            lifesign.beat()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert watcher.said() == ["WATCHDOG=1"]


def test_a_beat_that_finds_another_one_under_way_does_not_wait_for_it(lifesign: ModuleType, watcher: Watcher) -> None:
    with lifesign._gate:
        lifesign.beat()
    assert watcher.said() == []
    lifesign.beat()
    assert watcher.said() == ["WATCHDOG=1"]


def test_a_coroutine_may_beat(lifesign: ModuleType, watcher: Watcher) -> None:
    async def work() -> None:
        lifesign.beat()

    asyncio.run(work())
    assert watcher.said() == ["WATCHDOG=1"]


def test_an_abstract_address_is_one_that_begins_with_an_at_sign(
    lifesign: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"lifesign-{os.getpid()}"
    found = Watcher(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    lifesign.ready()
    assert found.said() == ["READY=1"]
    found.socket.close()


def test_a_child_that_was_forked_is_silent_and_its_parent_is_not(lifesign: ModuleType, watcher: Watcher) -> None:
    child = os.fork()
    if child == 0:
        lifesign.ready()
        lifesign.beat()
        lifesign.stopping()
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    assert watcher.said() == []
    lifesign.beat()
    assert watcher.said() == ["WATCHDOG=1"]


def test_a_watcher_that_was_replaced_hears_the_next_beat(lifesign: ModuleType, watcher: Watcher, folder: Path) -> None:
    lifesign.ready()
    watcher.socket.close()
    (folder / "notify.sock").unlink()
    lifesign.ready()
    second = Watcher(str(folder / "notify.sock"))
    lifesign.ready()
    assert second.said() == ["READY=1"]
    second.socket.close()


def test_a_queue_that_nobody_empties_holds_nobody_up(lifesign: ModuleType, watcher: Watcher) -> None:
    began = time.monotonic()
    for _ in range(5000):
        lifesign.ready()
    waiting = len(watcher.said())
    assert 0 < waiting < 5000, "the queue was full: net.unix.max_dgram_qlen, unix(7)"
    assert time.monotonic() - began < 30
    lifesign.ready()
    assert watcher.said() == ["READY=1"]


@pytest.mark.parametrize(
    "address", ["", "@", "relative", "vsock:2:1", "/", "/no/such/socket", "/dev/null", "/" + "x" * 200, "@" + "x" * 200]
)
def test_an_address_where_nobody_is_does_no_harm(
    lifesign: ModuleType, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    lifesign.ready()
    lifesign.beat()
    lifesign.stopping()


def test_without_a_free_descriptor_a_beat_is_lost_and_nothing_else(tmp_path: Path, watcher: Watcher) -> None:
    program = """if True:
        import os, resource, lifesign
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
        taken = []
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            lifesign.ready()
        os.close(taken.pop())
        lifesign.beat()
    """
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=HELPER.parent, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert watcher.said() == ["WATCHDOG=1"]


def test_where_nobody_watches_it_does_nothing(lifesign: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(lifesign.socket, "socket", None)
    lifesign.ready()
    lifesign.beat()
    lifesign.stopping()
