"""The control socket: one JSON line asks, JSON lines answer. Client and server.

The server never blocks on a client; both sides check by SO_PEERCRED (unix(7)) that the other one is the same user or
root. Paths of sockets may be longer than the 107 bytes of an address, so both sides go through /proc/self/fd.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from typing import Any, Callable

from . import address, clock

ANSWER_WITHIN = 2.0
"""Seconds within which a healthy guard says that it has heard; the outcome itself may take longer."""

_LIMIT = 65_536
_CLIENTS = 32

Reply = Callable[[dict[str, Any]], None]


def ask(path: str, request: dict[str, Any], limit: float, hear: float = ANSWER_WITHIN) -> dict[str, Any] | None:
    """The guard's answer to a request, None when no guard answers within ``hear`` seconds. ``limit`` bounds the whole.

    Raises TimeoutError when the guard has heard us, but did not come to an end in time, and ConnectionResetError when
    it ended meanwhile.
    """
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        end = clock.now() + limit
        lines = _Lines(connection)
        try:
            connection.settimeout(min(hear, limit))
            try:
                address.through(path, connection.connect)
            except OSError:
                connection.connect(address.spare(path))
            if not address.trusted(connection):
                return None
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = lines.next(clock.now() + min(hear, limit))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(answer, dict) or answer.get("heard") is not True:
            return answer if isinstance(answer, dict) else None
        try:
            answer = lines.next(end)
        except TimeoutError:
            raise TimeoutError(f"the guard has not finished within {limit:.0f} s") from None
        except (OSError, ValueError, RecursionError):
            raise ConnectionResetError("the guard ended before it was done") from None
        return answer if isinstance(answer, dict) else None


class _Lines:
    """JSON lines from a socket, each by a deadline of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def next(self, deadline: float) -> Any:
        """The next document. Raises TimeoutError, OSError, ValueError."""
        while b"\n" not in self._buffer:
            left = deadline - clock.now()
            if left <= 0 or len(self._buffer) > _LIMIT:
                raise TimeoutError
            self._connection.settimeout(left)
            try:
                chunk = self._connection.recv(_LIMIT)
            except socket.timeout:  # TimeoutError only from Python 3.10 on
                raise TimeoutError from None
            if not chunk:
                raise ConnectionResetError
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)


def ping(path: str, verb: str = "ping", limit: float = ANSWER_WITHIN) -> dict[str, Any] | None:
    """What the guard says about itself, None when none answers in time."""
    try:
        return ask(path, {"verb": verb}, limit)
    except OSError:
        return None


class Server:
    """The guard's end. `handle` is called with the descriptor that poll(2) reported."""

    def __init__(self, path: str, handler: Callable[[dict[str, Any], Reply], None]) -> None:
        """Bind at ``path``, replacing a dead guard's socket. The caller holds the guard lock. Raises OSError."""
        self._path = path
        self._handler = handler
        self._clients: dict[int, tuple[socket.socket, bytearray]] = {}
        self._deaf_until = 0.0
        self._inode: int | None = None
        try:
            self._listener, self._inode = _bind(path)
        except OSError:
            self._listener = _listener(address.spare(path))

    def settle(self) -> None:
        """See that our socket is where clients look first, as far as the disk lets us; clients are kept."""
        if self._reachable():
            return
        with contextlib.suppress(OSError):
            found, self._inode = _bind(self._path)
            self._listener.close()
            self._listener = found

    def _reachable(self) -> bool:
        try:
            return os.stat(self._path).st_ino == self._inode
        except OSError:
            return False

    def descriptors(self) -> list[int]:
        """What to poll for."""
        listening = [self._listener.fileno()] if clock.now() >= self._deaf_until else []
        return [*listening, *self._clients]

    def handle(self, descriptor: int) -> None:
        """Take a new client or what a client has sent; rubbish ends the connection, nothing else."""
        if descriptor == self._listener.fileno():
            self._accept()
            return
        client = self._clients.get(descriptor)
        if client is None:
            return
        connection, buffer = client
        try:
            chunk = connection.recv(_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        buffer += chunk
        if not chunk or (len(buffer) > _LIMIT and b"\n" not in buffer):
            self._drop(descriptor)
            return
        if b"\n" in buffer:
            self._request(descriptor, bytes(buffer.partition(b"\n")[0]))

    def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._reachable():
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._listener.close()
        for descriptor in list(self._clients):
            self._drop(descriptor)

    def _accept(self) -> None:
        """A new client; the oldest idle one gives way when there are too many."""
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._deaf_until = clock.now() + 1.0
                for descriptor in list(self._clients)[:1]:
                    self._drop(descriptor)
            return
        connection.setblocking(False)
        if not address.trusted(connection):
            connection.close()
            return
        if len(self._clients) >= _CLIENTS:
            self._drop(next(iter(self._clients)))
        self._clients[connection.fileno()] = (connection, bytearray())

    def _request(self, descriptor: int, line: bytes) -> None:
        connection, buffer = self._clients[descriptor]
        buffer.clear()
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            self._drop(descriptor)
            return

        def reply(answer: dict[str, Any]) -> None:
            current = self._clients.get(descriptor)
            if current is not None and current[0] is connection:
                self._send(descriptor, answer)
                if answer.get("heard") is not True:
                    self._drop(descriptor)

        reply({"heard": True})
        self._handler(request, reply)

    def _send(self, descriptor: int, answer: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._clients[descriptor][0].sendall(json.dumps(answer).encode() + b"\n")

    def _drop(self, descriptor: int) -> None:
        connection, _ = self._clients.pop(descriptor, (None, None))
        if connection is not None:
            connection.close()


def _bind(path: str) -> tuple[socket.socket, int]:
    """A listener at ``path`` and its inode. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    found = _listener(path)
    try:
        os.chmod(path, 0o600)
        return found, os.stat(path).st_ino
    except OSError:
        found.close()
        raise


def _listener(name: str) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if name.startswith("\0"):
            found.bind(name)
        else:
            address.through(name, found.bind)
        found.listen(_CLIENTS)
    except OSError:
        found.close()
        raise
    return found
