"""Asking over the control socket: whatever the server does, the asker has an answer or none, and in time."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from watchdog import control


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "control.sock")


@contextmanager
def odd_server(path: str, behave: Callable[[socket.socket], None]) -> Iterator[None]:
    """A server that does to its one client what it likes."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(1)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                behave(connection)
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    listener.close()
    thread.join(5)


def test_no_socket_or_a_dead_one_is_no_answer(path: str, tmp_path: Path) -> None:
    assert control.ask(path, {}, 1.0) is None
    assert control.ask(str(tmp_path / "no folder" / "x.sock"), {}, 1.0) is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(path)
    assert control.ask(path, {}, 1.0) is None
    os.unlink(path)
    Path(path).write_text("no socket at all")
    assert control.ask(path, {}, 1.0) is None


@pytest.mark.fault("F23")
def test_a_server_that_says_nothing_is_no_answer_in_time(path: str) -> None:
    with odd_server(path, lambda connection: time.sleep(1.0)):
        before = time.monotonic()
        assert control.ask(path, {}, 5.0, hear=0.2) is None
        assert time.monotonic() - before < 0.9


@pytest.mark.fault("F23")
def test_a_server_that_does_not_even_accept_is_no_answer_in_time(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as frozen:
        frozen.bind(path)
        frozen.listen(0)
        fillers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(path)
        before = time.monotonic()
        assert control.ask(path, {}, 5.0, hear=0.2) is None
        assert time.monotonic() - before < 1.5
        for filler in fillers:
            filler.close()


def test_a_server_that_has_heard_but_does_not_finish_is_said_to_be_late(path: str) -> None:
    def hear_only(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b'{"heard": true}\n')
        time.sleep(1.0)

    with odd_server(path, hear_only):
        before = time.monotonic()
        with pytest.raises(TimeoutError, match="has not finished"):
            control.ask(path, {}, 0.4, hear=0.2)
        assert time.monotonic() - before < 0.9


def test_a_server_that_ends_before_it_is_done_is_told_from_one_that_never_answered(path: str) -> None:
    def hear_and_die(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b'{"heard": true}\n')

    with odd_server(path, hear_and_die), pytest.raises(ConnectionResetError, match="ended before"):
        control.ask(path, {}, 2.0, hear=1.0)


@pytest.mark.fault("F23")
def test_a_server_that_drips_single_bytes_is_no_answer_in_time(path: str) -> None:
    def drip(connection: socket.socket) -> None:
        for _ in range(20):
            connection.sendall(b" ")
            time.sleep(0.1)

    with odd_server(path, drip):
        before = time.monotonic()
        assert control.ask(path, {}, 0.6, hear=0.3) is None
        assert time.monotonic() - before < 1.2


@pytest.mark.parametrize("said", [b"", b"rubbish\n", b"[]\n", b"5\n", b"\xff\n", b"[" * 50_000 + b"\n"])
def test_a_server_that_talks_rubbish_or_hangs_up_is_no_answer(path: str, said: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(said)

    with odd_server(path, talk):
        assert control.ask(path, {}, 2.0, hear=1.0) is None
