"""One verified ssh connection: a Fabric Connection that checks the host key, directly or by way of a proxy."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from fabric import Config, Connection
from paramiko import SSHException
from paramiko.config import SSHConfig
from paramiko.ssh_exception import IncompatiblePeer

from .deadline import Deadline
from .errors import HostError, Unreachable
from .host_keys import VerifyHostKey, transport_factory
from .ssh_auth import KeyFiles, Secrets
from .ssh_gateway import Gateways
from .ssh_options import SshOptions
from .ssh_socket import ProxyProcess, connect_tcp
from .text import clean

_LOGINS_AT_ONCE = 8
"""On one sshd. With more than ten under way it turns connections away at random (MaxStartups 10:30:100)."""

_TURNED_AWAY = (0.2, 0.5, 1.2)
"""Seconds before the next try. An sshd at its limit hangs up without a word, and other people's logins count, too."""

_NEARLY = 0.2  # seconds; Paramiko's own timers are not exact
_KEEPALIVE = 10  # seconds; makes a dead peer of a silent log visible to TCP


class VerifiedConnection(Connection):
    """A Fabric connection that knows where it goes already and trusts no unknown host key."""

    def __init__(self, options: SshOptions, deadline: Deadline, sock: Any, secrets: Secrets) -> None:
        seconds = max(0.1, deadline.left())
        super().__init__(
            host=options.hostname,
            user=options.user,
            port=options.port,
            # An empty ssh_config: `ssh -G` has read it, with everything that Paramiko's reader does not know.
            config=Config(ssh_config=SSHConfig(), lazy=True),
            connect_kwargs={
                "sock": sock,
                **dict.fromkeys(("timeout", "banner_timeout", "auth_timeout", "channel_timeout"), seconds),
                "transport_factory": transport_factory(options),
                "auth_strategy": KeyFiles(options, secrets),
            },
        )
        self.client.set_missing_host_key_policy(VerifyHostKey(options))

    def derive_shorthand(self, host_string: str) -> dict[str, Any]:
        """The host name is final: nothing in it is a user or a port."""
        return {"host": host_string, "user": None, "port": None}


class _HungUp(Unreachable):
    """The other end closed the connection before ssh began."""


class Dialer:
    """Opens connections; shared by all worker threads."""

    def __init__(self, gateways: Gateways, secrets: Secrets) -> None:
        self._gateways = gateways
        self._secrets = secrets
        self._lock = threading.Lock()
        self._logins: dict[tuple[str, int], threading.Semaphore] = {}

    def connect(
        self, options: SshOptions, deadline: Deadline, on_socket: Callable[[Callable[[], None]], None]
    ) -> VerifiedConnection:
        """A logged-in connection. ``on_socket`` receives a function that breaks the attempt off from another thread.

        :raises Unreachable: no connection, an unverified host key, or no login.
        """
        with self._lock:
            place = (options.hostname, options.port)
            login = self._logins.setdefault(place, threading.Semaphore(_LOGINS_AT_ONCE))
        if not login.acquire(timeout=deadline.left()):
            raise _silent(options, deadline)
        try:
            for pause in _TURNED_AWAY:
                try:
                    return self._connect(options, deadline, on_socket)
                except _HungUp:
                    if deadline.left() < pause:
                        raise
                time.sleep(pause * random.uniform(0.5, 1.0))
            return self._connect(options, deadline, on_socket)
        finally:
            login.release()

    def _connect(
        self, options: SshOptions, deadline: Deadline, on_socket: Callable[[Callable[[], None]], None]
    ) -> VerifiedConnection:
        proxy: ProxyProcess | None = None
        if options.proxy_jump:
            proxy = self._gateways.through(options, deadline)
        elif options.proxy_command:
            proxy = ProxyProcess(["/bin/sh", "-c", f"exec {options.proxy_command}"])  # as ssh(1) does it
        stream = proxy.socket if proxy else connect_tcp(options, deadline)
        close = proxy.close if proxy else stream.close
        on_socket(close)
        connection = VerifiedConnection(options, deadline, stream, self._secrets)
        try:
            connection.open()
        except BaseException as problem:  # noqa: BLE001
            connection.client.close()
            complaint = proxy.complaint() if proxy else ""
            close()
            raise _explained(problem, options, deadline, complaint) from None
        connection.transport.set_keepalive(_KEEPALIVE)
        return connection


def _explained(problem: BaseException, options: SshOptions, deadline: Deadline, complaint: str) -> BaseException:
    """Paramiko's many ways to say that there is no connection, in the operator's words."""
    if isinstance(problem, HostError) or not isinstance(problem, (SSHException, EOFError, OSError)):
        return problem
    if complaint:
        return _proxy_failed(options, complaint)
    where = f"{options.hostname}:{options.port}"
    text = clean(problem) or type(problem).__name__
    # "No existing session": Paramiko's key exchange has run out of time.
    if isinstance(problem, TimeoutError) or deadline.left() < _NEARLY or "No existing session" in text:
        return _silent(options, deadline)
    if "banner" in text.lower() or isinstance(problem, (EOFError, ConnectionResetError)):
        return _HungUp(
            f"{where} hangs up before ssh begins ({text}): is that an sshd?"
            " If so, too many logins are under way there (MaxStartups), or it refuses this address for a while",
            short="hangs up before ssh begins",
        )
    if isinstance(problem, IncompatiblePeer):
        return Unreachable(f"{where} offers only old algorithms ({text}): update its sshd", short="no common algorithm")
    return Unreachable(f"ssh to {where} failed: {text}", short="ssh failed")


def _silent(options: SshOptions, deadline: Deadline) -> Unreachable:
    where = f"{options.hostname}:{options.port}"
    return Unreachable(
        f"{where} takes the connection but sshd does not answer within {deadline.seconds:.0f} s",
        short="sshd does not answer",
    )


def _proxy_failed(options: SshOptions, complaint: str) -> Unreachable:
    where = f"{options.hostname}:{options.port}"
    if options.proxy_jump:
        last = options.proxy_jump[-1]
        return Unreachable(
            f"the jump host {last} cannot reach {where} ({complaint})", short=f"not reachable from {last}"
        )
    return Unreachable(f"the ProxyCommand for {where} failed: {complaint}", short="ProxyCommand failed")
