"""One verified ssh connection: a Fabric Connection that checks the host key, and its way through jump hosts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import SSHException
from paramiko.config import SSHConfig

from .deadline import Deadline
from .errors import HostError, Unreachable
from .host_keys import VerifyHostKey, transport_factory
from .ssh_auth import KeyFiles, Secrets
from .ssh_options import SshOptions, resolve
from .ssh_socket import ProxyProcess, connect_tcp
from .text import clean

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


class Gateways:
    """The jump hosts of one run. Fifty hosts behind one jump host share one connection to it, also one failure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, ...], Future[VerifiedConnection]] = {}

    def get(
        self, key: tuple[str, ...], deadline: Deadline, connect: Callable[[], VerifiedConnection]
    ) -> VerifiedConnection:
        """The open connection for ``key``; the first caller makes it, the others wait for that.

        :raises HostError: it could not be made.
        """
        with self._lock:
            mine = key not in self._opened
            future = self._opened.setdefault(key, Future())
        if mine:
            try:
                future.set_result(connect())
            except BaseException as problem:
                future.set_exception(problem)
                raise
        try:
            return future.result(timeout=deadline.left())
        except FutureTimeout:
            raise Unreachable(f"no answer from the jump host {key[-1]} in time", short="jump host: no answer") from None

    def close(self) -> None:
        """Close every connection that was opened."""
        for future in self._opened.values():
            if future.done() and not future.exception():
                future.result().client.close()


class Dialer:
    """Opens connections; knows the operator's agent, password and the shared jump hosts."""

    def __init__(
        self, gateways: Gateways, *, base: Path, hop_limit: float, agent: str | None, secrets: Secrets
    ) -> None:
        """``hop_limit`` is what each jump host gets, in seconds."""
        self._gateways = gateways
        self._base = base
        self._hop_limit = hop_limit
        self._agent = agent
        self._secrets = secrets

    def connect(
        self,
        options: SshOptions,
        deadline: Deadline,
        on_socket: Callable[[Callable[[], None]], None] = lambda close: None,
    ) -> VerifiedConnection:
        """A logged-in connection. ``on_socket`` receives a function that breaks the attempt off from another thread.

        :raises Unreachable: no connection, an unverified host key, or no login.
        """
        proxy: ProxyProcess | None = None
        if options.proxy_jump:
            sock = self._through(options, deadline)
            on_socket(sock.close)
        elif options.proxy_command:
            proxy = ProxyProcess(options.proxy_command)
            sock = proxy.socket
            on_socket(proxy.close)
        else:
            sock = connect_tcp(options, deadline)
            on_socket(sock.close)
        connection = VerifiedConnection(options, deadline, sock, self._secrets)
        try:
            connection.open()
        except BaseException as problem:  # noqa: BLE001
            complaint = proxy.complaint() if proxy else ""
            connection.client.close()
            (proxy or sock).close()
            raise _explained(problem, options, deadline, complaint) from None
        connection.transport.set_keepalive(_KEEPALIVE)
        return connection

    def _through(self, options: SshOptions, deadline: Deadline) -> Any:
        """A channel from the last jump host to the target."""
        last = options.proxy_jump[-1]
        gateway = self._gateway(options.proxy_jump, options.config_file, deadline)
        try:
            return gateway.transport.open_channel(
                "direct-tcpip", (options.hostname, options.port), ("127.0.0.1", 0), timeout=max(0.1, deadline.left())
            )
        except (SSHException, EOFError, OSError) as problem:
            raise Unreachable(
                f"the jump host {last} cannot reach {options.hostname}:{options.port} ({clean(problem)})",
                short=f"not reachable from {last}",
            ) from None

    def _gateway(self, hops: tuple[str, ...], config_file: str, deadline: Deadline) -> VerifiedConnection:
        """As in ssh(1), a jump host gets its options from ssh_config, not from the target's command line."""

        def connect() -> VerifiedConnection:
            hop = hops[-1]
            try:
                options = resolve(hop, *_jump_arguments(hop, config_file), base=self._base, agent=self._agent)
                if len(hops) > 1:
                    options = replace(options, proxy_jump=hops[:-1], proxy_command="")
                return self.connect(options, Deadline(self._hop_limit))
            except HostError as problem:
                raise Unreachable(f"jump host {hop}: {problem}", short=f"jump host: {problem.short}") from None

        return self._gateways.get(hops, deadline, connect)


def _jump_arguments(hop: str, config_file: str) -> tuple[str, list[str]]:
    """``[user@]host[:port]`` as the address and arguments for ``ssh -G``."""
    arguments = [f"-F{config_file}"] if config_file else []
    hop = hop.removeprefix("ssh://")
    user, _, rest = hop.rpartition("@")
    host, _, port = rest.rpartition(":") if rest.count(":") == 1 or "]:" in rest else (rest, "", "")
    if user:
        arguments.append(f"-oUser={user}")
    if port:
        arguments.append(f"-oPort={port}")
    return host.strip("[]"), arguments


def _explained(problem: BaseException, options: SshOptions, deadline: Deadline, complaint: str) -> BaseException:
    """Paramiko's many ways to say that there is no connection, in the operator's words."""
    if isinstance(problem, HostError) or not isinstance(problem, (SSHException, EOFError, OSError)):
        return problem
    where = f"{options.hostname}:{options.port}"
    if complaint:
        return Unreachable(f"the ProxyCommand for {where} failed: {complaint}", short="ProxyCommand failed")
    text = clean(problem) or type(problem).__name__
    # "No existing session": Paramiko's key exchange has run out of time.
    if isinstance(problem, TimeoutError) or deadline.left() < _NEARLY or "No existing session" in text:
        return Unreachable(
            f"{where} takes the connection but sshd does not answer within {deadline.seconds:.0f} s",
            short="sshd does not answer",
        )
    if "banner" in text.lower() or isinstance(problem, (EOFError, ConnectionResetError)):
        return Unreachable(
            f"{where} hangs up before ssh begins ({text}): is that an sshd?", short="hangs up before ssh begins"
        )
    if "no acceptable" in text.lower() or "incompatible" in text.lower():
        return Unreachable(
            f"{where} offers only algorithms that Paramiko has given up ({text})", short="no common algorithm"
        )
    return Unreachable(f"ssh to {where} failed: {text}", short="ssh failed")
