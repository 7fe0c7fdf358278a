"""The control socket: whatever a client or a server does, the other side goes on, and in time."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.watchdog.parts import until
from watchdog import address, control
from watchdog.control import Server


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "control.sock")


class Running:
    """A server in a thread, driven with poll(2) as the guard drives it."""

    def __init__(self, path: str, handler: Callable[[dict[str, Any], control.Reply], None]) -> None:
        self.server = Server(path, handler)
        self._wake, self._end = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            poll = select.poll()
            for descriptor in [*self.server.descriptors(), self._wake]:
                poll.register(descriptor, select.POLLIN)
            ready = [descriptor for descriptor, _ in poll.poll(5000)]
            if self._wake in ready:
                return
            for descriptor in ready:
                self.server.handle(descriptor)

    def close(self) -> None:
        """End thread and server."""
        os.write(self._end, b"x")
        self._thread.join(5)
        assert not self._thread.is_alive()
        self.server.close()
        os.close(self._wake)
        os.close(self._end)


def echo(request: dict[str, Any], reply: control.Reply) -> None:
    """Answers with what was asked."""
    reply({"asked": request})


@pytest.fixture
def running(path: str) -> Iterator[Running]:
    found = Running(path, echo)
    yield found
    found.close()


@contextmanager
def client(path: str) -> Iterator[socket.socket]:
    """A client that says what it likes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(path)
        yield connection


def still_answers(path: str) -> bool:
    """True while the server works."""
    return control.ask(path, {"verb": "ping"}, 5.0) == {"asked": {"verb": "ping"}}


# Both sides as they should be ----------------------------------------------------------------------------------------


def test_a_question_gets_its_answer(running: Running, path: str) -> None:
    assert control.ask(path, {"verb": "status", "text": "ünï\n"}, 5.0) == {"asked": {"verb": "status", "text": "ünï\n"}}


def test_an_answer_may_take_longer_than_the_first_word(path: str) -> None:
    waiting: list[control.Reply] = []
    running = Running(path, lambda request, reply: waiting.append(reply))
    threading.Timer(0.4, lambda: waiting[0]({"done": 1})).start()
    assert control.ask(path, {}, 5.0, hear=0.2) == {"done": 1}
    running.close()


@pytest.mark.fault("F20")
def test_many_clients_at_once_are_all_answered(running: Running, path: str) -> None:
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(control.ask(path, {"n": n}, 5.0))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(answer["asked"]["n"] for answer in answers) == list(range(20))


def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    path = str(folder / "control.sock")
    running = Running(path, echo)
    assert len(path) > 200 and still_answers(path)
    running.close()


def test_the_socket_is_for_its_owner_and_goes_with_the_server(path: str) -> None:
    running = Running(path, echo)
    assert os.stat(path).st_mode & 0o777 == 0o600
    running.close()
    assert not os.path.exists(path)


def test_a_dead_servers_socket_is_replaced(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(path)
    running = Running(path, echo)
    assert still_answers(path)
    running.close()


def test_a_reply_to_a_client_that_has_left_reaches_nobody_else(path: str) -> None:
    replies: list[control.Reply] = []
    running = Running(path, lambda request, reply: replies.append(reply))
    with client(path) as leaving:
        leaving.sendall(b'{"verb": "stop"}\n')
        assert json.loads(leaving.recv(100)) == {"heard": True}
    until(lambda: len(running.server.descriptors()) == 1)
    with client(path) as another:  # it may well get the same descriptor on the server's side
        another.sendall(b'{"verb": "start"}\n')
        assert json.loads(another.recv(100)) == {"heard": True}
        until(lambda: len(replies) == 2)
        replies[0]({"answer to": "stop"})
        replies[1]({"answer to": "start"})
        assert json.loads(another.recv(1000)) == {"answer to": "start"}
    running.close()


# Odd clients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rubbish",
    [b"\n", b"nonsense\n", b"[]\n", b"null\n", b"5\n", b'"x"\n', b"\xff\xfe\n", b"{" * 60_000 + b"\n",
     b"\0" * 100 + b"\n", b"[" * 60_000 + b"\n", b"GET / HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_rubbish_ends_the_connection_and_nothing_else(running: Running, path: str, rubbish: bytes) -> None:
    with client(path) as connection:
        connection.sendall(rubbish)
        try:
            assert connection.recv(100) == b""
        except ConnectionResetError:
            pass
    assert still_answers(path)


def test_a_line_without_an_end_is_cut_off(running: Running, path: str) -> None:
    with client(path) as connection, pytest.raises(OSError, match=r"reset|pipe"):
        connection.sendall(b"x" * 10_000_000)
    assert still_answers(path)


def test_a_question_may_come_in_pieces(running: Running, path: str) -> None:
    with client(path) as connection:
        for piece in (b'{"ve', b'rb": ', b'"x"}', b"\n"):
            connection.sendall(piece)
            time.sleep(0.02)
        answer = b""
        while answer.count(b"\n") < 2:
            answer += connection.recv(100)
    assert json.loads(answer.splitlines()[1]) == {"asked": {"verb": "x"}}


def test_silent_and_vanishing_clients_keep_nobody_waiting(running: Running, path: str) -> None:
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(10)]
    for connection in silent:
        connection.connect(path)
    silent[0].sendall(b'{"half')
    silent[1].shutdown(socket.SHUT_WR)
    silent[2].shutdown(socket.SHUT_RDWR)
    before = time.monotonic()
    assert still_answers(path)
    assert time.monotonic() - before < 1
    for connection in silent:
        connection.close()
    assert still_answers(path)


def test_a_client_that_never_reads_does_not_block_the_server(path: str) -> None:
    running = Running(path, lambda request, reply: reply({"asked": request, "much": "x" * request.get("much", 0)}))
    with client(path) as lazy:
        lazy.sendall(b'{"much": 5000000}\n')
        before = time.monotonic()
        answer = control.ask(path, {"n": 1}, 5.0)
        assert time.monotonic() - before < 3
        assert answer == {"asked": {"n": 1}, "much": ""}
    running.close()


# Trust and tidiness ---------------------------------------------------------------------------------------------------


def test_a_server_of_another_user_is_not_trusted(running: Running, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    running.server._handler = lambda request, reply: asked.append(request)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if os.getuid() != 0:  # root is trusted by everybody
        assert control.ask(path, {}, 1.0) is None
    monkeypatch.setattr(address, "trusted", lambda connection: False)
    assert control.ask(path, {}, 1.0, hear=0.5) is None
    assert asked == []


@pytest.mark.parametrize(("uid", "trusted"), [(0, True), (os.geteuid(), True), (4242, False)])
def test_whom_the_kernel_names_is_trusted_or_not(uid: int, trusted: bool) -> None:
    class Connection:
        """A socket whose other end belongs to that user."""

        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            assert (level, option, size) == (socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            return struct.pack("3i", 17, uid, 99)

    assert address.trusted(Connection()) is trusted


def test_no_descriptor_is_left_open(path: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    running = Running(path, echo)
    for _ in range(5):
        assert still_answers(path)
        with client(path) as connection:
            connection.sendall(b"rubbish\n")
            connection.recv(10)
    assert control.ask(path + ".no", {}, 1.0) is None
    running.close()
    assert len(os.listdir("/proc/self/fd")) == before
