"""Unix sockets: names longer than an address, a name that needs no disk, and whom to believe.

Works on sockets of `socket` and of the bare `_socket` alike; the tick of cron uses the latter, which costs a tenth.
"""

from __future__ import annotations

import os
import sys
from _socket import SO_PEERCRED, SOL_SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Callable


def through(path: str, call: Callable[[str], None]) -> None:
    """bind or connect by a short name for a long path."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        call(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


def spare(path: str) -> str:
    """An abstract address (unix(7)) for disks on which no socket can be made. It needs none, and has no permissions:
    both sides look at the other's uid anyway.
    """
    return f"\0dca-watchdog/{os.geteuid()}/{os.path.basename(os.path.dirname(path))}"[:100]


def trusted(connection: socket) -> bool:
    """True when the other end belongs to the same user or to root, as the kernel says (SO_PEERCRED)."""
    try:
        credentials = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)  # struct ucred: pid, uid, gid
    except OSError:
        return False
    return int.from_bytes(credentials[4:8], sys.byteorder) in (0, os.geteuid())
