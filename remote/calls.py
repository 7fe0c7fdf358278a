"""One host, one call: connect, run the door, read the answer. What the worker threads do."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import answers
from .answers import Answer
from .commands import Request, shell_line
from .deadline import Deadline
from .hosts import Host
from .parallel import Job
from .session import Completed, LocalSession, Session, SshSession
from .ssh_auth import Secrets
from .ssh_connection import Dialer
from .ssh_gateway import Gateways
from .ssh_options import SshOptions, resolve, ssh_arguments

_FOREVER = 10.0 * 365 * 86400


@dataclass(frozen=True)
class CallSettings:
    """What the command line and fabric.yaml say about connecting. Times in seconds, ``None`` for the default."""

    base: Path
    connect_timeout: float = 10.0
    explicit_connect_timeout: bool = False
    command_timeout: float | None = None
    identities: tuple[str, ...] = ()
    ssh_config: str = ""
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def setup_limit(self) -> float:
        """Seconds within which a host must at least have been looked up."""
        return self.connect_timeout + 5.0


class Caller:
    """Makes the call of one request to any host; shared by all worker threads."""

    def __init__(self, settings: CallSettings, request: Request) -> None:
        self._settings = settings
        self._request = request
        self._gateways = Gateways(settings.connect_timeout)
        self._agent = os.environ.get("SSH_AUTH_SOCK") or None
        self._dialer = Dialer(self._gateways, settings.secrets)

    def call(self, job: Job) -> Answer:
        """The agent's answer.

        :raises HostError: there is none, or it is an error.
        """
        session, login = self._open(job)
        try:
            limit = self._settings.command_timeout or self._request.limit(job.host)
            job.deadline = Deadline(limit)
            done = session.run(self._request.argv(job.host, login), job.deadline)
        finally:
            session.close()
        return answers.read(job.host, self._request.verb, done, login)

    def follow(self, job: Job, on_line: Callable[[bytes], None]) -> tuple[Completed, str]:
        """Hand on lines until the host or we end it; then how it ended, and as whom we were logged in.

        :raises HostError: it never began.
        """
        session, login = self._open(job)
        try:
            job.deadline = Deadline(_FOREVER)
            return session.follow(self._request.argv(job.host, login), on_line), login
        finally:
            session.close()

    def describe(self, host: Host) -> str:
        """What ``call`` would run, for ``fab --dry``.

        :raises HostError: the host's ssh options cannot be understood.
        """
        if host.local:
            return shell_line(self._request.argv(host, local_user()))
        options = self._options(host)
        where = f"{options.user}@{options.hostname}" + (f":{options.port}" if options.port != 22 else "")
        return f"ssh {where} {shell_line(self._request.argv(host, options.user))}"

    def close(self) -> None:
        """Close the connections to jump hosts."""
        self._gateways.close()

    def _open(self, job: Job) -> tuple[Session, str]:
        host = job.host
        if host.local:
            local = LocalSession(host.name)
            job.on_abort(local.close)
            return local, local_user()
        options = self._options(host)
        deadline = Deadline(self._connect_timeout(options))
        hops = 1 + len(options.proxy_jump)
        job.deadline = Deadline(deadline.seconds * hops)
        connection = self._dialer.connect(options, job.deadline if hops > 1 else deadline, job.on_abort)
        session = SshSession(connection, f"{host.address}")
        job.on_abort(session.close)
        return session, options.user

    def _options(self, host: Host) -> SshOptions:
        arguments = ssh_arguments(host, identities=self._settings.identities, config_file=self._settings.ssh_config)
        return resolve(host.address, host.address, arguments, base=self._settings.base, agent=self._agent)

    def _connect_timeout(self, options: SshOptions) -> float:
        if options.connect_timeout and not self._settings.explicit_connect_timeout:
            return options.connect_timeout
        return self._settings.connect_timeout


def local_user() -> str:
    """The user that commands on this machine run as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
