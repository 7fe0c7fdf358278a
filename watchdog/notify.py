"""The notify socket: a bot that speaks sd_notify(3) may say READY=1 and so end its start grace early."""

from __future__ import annotations

import contextlib
import os
import socket
import struct

_LONGEST = 107
"""Bytes that fit into a socket address (unix(7)); stock clients know no way around it."""

_QUEUE = 10
"""Datagrams that may wait at least, before one that is sent without waiting is lost (net.unix.max_dgram_qlen)."""


class Listener:
    """Datagrams from the bot; the kernel vouches for the sender's PID (SCM_CREDENTIALS)."""

    def __init__(self, path: str) -> None:
        """Bind at ``path``. The caller holds the guard lock. Raises OSError, also when the path is too long."""
        if len(os.fsencode(path)) > _LONGEST:
            raise OSError(36, "the path is too long for a socket", path)
        self._path = path
        self.crowded = False
        """Whether so many had arrived by the last call of `messages` that others may have been lost."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        try:
            self.socket.bind(path)
            os.chmod(path, 0o600)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        except OSError:
            self.socket.close()
            raise

    def messages(self) -> list[tuple[int, str]]:
        """(PID of the sender, line) for everything that has arrived."""
        found: list[tuple[int, str]] = []
        count = 0
        with contextlib.suppress(BlockingIOError):
            for _ in range(100):
                data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
                count += 1
                for level, kind, payload in ancillary:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                        pid = struct.unpack("3i", payload[:12])[0]
                        found += [(pid, line) for line in data.decode("utf-8", "replace").splitlines()]
        self.crowded = count >= _QUEUE
        return found

    def close(self) -> None:
        """Stop listening and remove the socket."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self.socket.close()
