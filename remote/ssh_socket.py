"""The byte stream under an ssh connection: a TCP connection, or a ProxyCommand behind a socket pair."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from typing import IO

from .deadline import Deadline
from .errors import Unreachable
from .ssh_options import SshOptions
from .text import clean

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
_LAST_WORDS = 0.3  # seconds that a failing proxy gets to say why
# Lines of OpenSSH that say more than the last one does ("Host key verification failed.", "stdio forwarding failed").
_TELLING = ("strict checking", "open failed", "Permission denied", "administratively prohibited")
_DEAD_PEER_MS = 30_000
"""A followed host that acknowledges nothing for so long is gone (TCP_USER_TIMEOUT, Linux)."""


def connect_tcp(options: SshOptions, deadline: Deadline) -> socket.socket:
    """A connected socket, each address of the host tried within the time that is left.

    :raises Unreachable: with the reason of the last address tried.
    """
    hostname, port = options.hostname, options.port
    where = f"{hostname}:{port}"
    try:
        addresses = socket.getaddrinfo(hostname, port, _FAMILIES.get(options.family, 0), socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as problem:
        reason = problem.strerror if isinstance(problem, socket.gaierror) else str(problem)
        raise Unreachable(
            f"the name {hostname} cannot be resolved ({reason}): set ansible_host", short="name not resolved"
        ) from None
    last: OSError = TimeoutError()
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(0.1, deadline.left() / (len(addresses) - position)))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)
        except OSError as problem:
            connection.close()
            last = problem
        else:
            return connection
    if isinstance(last, TimeoutError):
        raise Unreachable(f"{where} does not answer within {deadline.seconds:.0f} s", short="no answer")
    if isinstance(last, ConnectionRefusedError):
        raise Unreachable(
            f"{where} refuses the connection: is sshd running there, and on this port?", short="connection refused"
        )
    raise Unreachable(f"{where} cannot be reached: {last.strerror or last}", short=(last.strerror or str(last)).lower())


class ProxyProcess:
    """A command whose input and output are the stream (ProxyCommand, ``ssh -W``).

    Unlike with Paramiko's own, the end of the command is noticed at once instead of by spinning until a timeout.
    """

    def __init__(self, argv: list[str]) -> None:
        self.socket, theirs = socket.socketpair()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        with theirs:
            self._process = subprocess.Popen(
                argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
                env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
                start_new_session=True,  # no terminal to ask at, no Ctrl-C before we close it
            )
        self._reaper = threading.Thread(target=self._process.wait, daemon=True)
        self._reaper.start()

    @property
    def ended(self) -> bool:
        """Whether the command has ended."""
        return not self._reaper.is_alive()

    def complaint(self) -> str:
        """What the command has to say about its failure: the most telling line of its standard error."""
        self._reaper.join(_LAST_WORDS)
        self._errors.seek(0)
        text = self._errors.read(65536).decode(errors="replace")
        lines = [clean(line) for line in text.splitlines() if line.strip(" \t\r@")]
        telling = [line for line in lines if any(word in line for word in _TELLING)]
        return (telling or lines or [""])[-1]

    def close(self) -> None:
        """End it. It sees the end of its input as well as a TERM."""
        self.socket.close()
        if not self.ended:
            self._process.terminate()
