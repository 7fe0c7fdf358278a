"""A process that does what a test tells it, line by line, and the server that it talks to."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.unit.watchdog.parts import Sleepers, first_line

NOBODY = 65534

_OBEY = """
import os, socket, sys, threading, time
kept = {}
print("up", flush=True)
while True:
    line = sys.stdin.readline()
    if not line:
        break
    exec(line)
    print("done", flush=True)
"""


class Puppet:
    """Between two orders it sleeps in a read of its stdin; whatever it opens, it keeps in ``kept``."""

    def __init__(self, sleepers: Sleepers, *before: str) -> None:
        """Start it; ``before`` are words of a command that runs the rest of its command line."""
        self.process = sleepers.start(*before, sys.executable, "-S", "-c", _OBEY, stdin=-1)
        self.pid = self.process.pid
        first_line(self.process)

    def do(self, line: str) -> None:
        """Have it run a line of Python; return when that is done."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert first_line(self.process) == "done"

    def connect(self, server: socket.socket, name: str = "it", host: str | None = None) -> socket.socket:
        """Have it connect to a server of ours as ``kept[name]``; our end. ``host``: through this address instead."""
        there = host or server.getsockname()[0]
        kind = "AF_INET6" if ":" in there else "AF_INET"
        self.do(f"kept[{name!r}] = socket.socket(socket.{kind})")
        self.do(f"kept[{name!r}].connect(({there!r}, {server.getsockname()[1]}))")
        return server.accept()[0]


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A server's socket on a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        server.settimeout(10)
        yield server


def as_nobody(holds: Callable[[], bool]) -> bool:
    """Whether something holds when another user looks: root alone may ask."""
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os._exit(0 if holds() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0
