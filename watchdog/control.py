"""The control socket: one JSON line asks, JSON lines answer. Client and server.

The server never blocks on a client; both sides check by SO_PEERCRED (unix(7)) that the other one is the same user or
root. Paths of sockets may be longer than the 107 bytes of an address, so both sides go through /proc/self/fd.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from typing import Any, Callable

from . import clock

ANSWER_WITHIN = 2.0
"""Seconds within which a healthy guard says that it has heard; the outcome itself may take longer."""

_LIMIT = 65_536
_CLIENTS = 32

Reply = Callable[[dict[str, Any]], None]


def ask(path: str, request: dict[str, Any], limit: float, hear: float = ANSWER_WITHIN) -> dict[str, Any] | None:
    """The guard's answer to a request, None when no guard answers within ``hear`` seconds. ``limit`` bounds the whole.

    Raises TimeoutError when the guard has heard us, but did not come to an end in time.
    """
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        end = clock.now() + limit
        connection.settimeout(min(hear, limit))
        try:
            _through(path, connection.connect)
            if not _trusted(connection):
                return None
            connection.sendall(json.dumps(request).encode() + b"\n")
            heard = False
            buffer = b""
            while True:
                line, newline, rest = buffer.partition(b"\n")
                if newline:
                    buffer = rest
                    answer = json.loads(line)
                    if not isinstance(answer, dict):
                        return None
                    if answer.get("heard") is not True:
                        return answer
                    heard = True
                    continue
                if heard:
                    connection.settimeout(max(0.01, end - clock.now()))
                chunk = connection.recv(_LIMIT)
                if not chunk:
                    return None
                buffer += chunk
        except TimeoutError:
            if heard:
                raise TimeoutError(f"the guard has not finished within {limit:.0f} s") from None
            return None
        except (OSError, ValueError):
            return None


class Server:
    """The guard's end. `handle` is called with the descriptor that poll(2) reported."""

    def __init__(self, path: str, handler: Callable[[dict[str, Any], Reply], None]) -> None:
        """Bind at ``path``, replacing a dead guard's socket. The caller holds the guard lock. Raises OSError."""
        self._path = path
        self._handler = handler
        self._clients: dict[int, tuple[socket.socket, bytearray]] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        try:
            _through(path, self._listener.bind)
            os.chmod(path, 0o600)
            self._listener.listen(_CLIENTS)
        except OSError:
            self._listener.close()
            raise

    def descriptors(self) -> list[int]:
        """What to poll for."""
        return [self._listener.fileno(), *self._clients]

    def handle(self, descriptor: int) -> None:
        """Take a new client or what a client has sent; rubbish ends the connection, nothing else."""
        if descriptor == self._listener.fileno():
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                if _trusted(connection) and len(self._clients) < _CLIENTS:
                    self._clients[connection.fileno()] = (connection, bytearray())
                else:
                    connection.close()
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
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self._listener.close()
        for descriptor in list(self._clients):
            self._drop(descriptor)

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


def _through(path: str, call: Callable[[str], None]) -> None:
    """bind or connect by a short name for a long path."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        call(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


def _trusted(connection: socket.socket) -> bool:
    try:
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError:
        return False
    return uid in (0, os.geteuid())
