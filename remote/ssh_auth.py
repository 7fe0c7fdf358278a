"""Logging in with keys in OpenSSH's order: named ones (from the agent if it holds them), then the agent's others."""

from __future__ import annotations

import base64
import functools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from paramiko import PasswordRequiredException, PKey, SSHException
from paramiko.agent import AgentKey, AgentSSH
from paramiko.auth_strategy import AuthFailure, AuthSource, AuthStrategy, InMemoryPrivateKey, Password
from paramiko.config import SSHConfig

from .errors import Unreachable
from .ssh_options import SshOptions

_AGENT_TIMEOUT = 5.0  # seconds for each answer; a key that must be touched may take its time


class SocketAgent(AgentSSH):
    """The agent behind one socket path (Paramiko's own only looks at SSH_AUTH_SOCK)."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_AGENT_TIMEOUT)
        try:
            self._socket.connect(path)
            self._connect(self._socket)  # type: ignore[attr-defined] # Paramiko's stubs leave it out
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@dataclass(frozen=True)
class Secrets:
    """What the operator typed at Fabric's own prompts (--prompt-for-login-password, --prompt-for-passphrase)."""

    password: str | None = None
    passphrase: str | None = None


class KeyFiles(AuthStrategy):
    """Yields what to try for one connection and remembers why something could not be tried."""

    def __init__(self, options: SshOptions, secrets: Secrets) -> None:
        super().__init__(ssh_config=SSHConfig())
        self._options = options
        self._secrets = secrets
        self._agent: SocketAgent | None = None
        self._tried: list[str] = []
        self._notes: list[str] = []

    def authenticate(self, transport: Any) -> Any:
        """Try until the server accepts.

        :raises Unreachable: it accepts nothing we have; says what was tried and what could not be.
        """
        try:
            return super().authenticate(transport)
        except AuthFailure as failure:
            raise self._refused(connected=transport.is_active()) from failure
        finally:
            if self._agent:
                self._agent.close()

    def get_sources(self) -> Iterator[AuthSource]:
        """Named key files first, so that an agent full of keys does not use up the server's patience."""
        options = self._options
        held = self._agent_keys()
        for path in options.identity_files:
            public = _public_part(path)
            if public and public in held:
                yield self._source(f"{_shown(path)} (agent)", held.pop(public))
                continue
            key = self._load(path)
            if key:
                held.pop(key.asbytes(), None)
                yield self._source(_shown(path), key)
        if not options.identities_only:
            for key in held.values():
                yield self._source(f"agent key {key.comment or key.get_name()}", key)
        if self._secrets.password is not None:
            password = self._secrets.password
            yield Password(options.user, lambda: password)

    def _source(self, what: str, key: PKey) -> AuthSource:
        self._tried.append(what)
        return InMemoryPrivateKey(self._options.user, key)

    def _agent_keys(self) -> dict[bytes, AgentKey]:
        if not self._options.agent:
            return {}
        try:
            self._agent = SocketAgent(self._options.agent)
            return {key.asbytes(): key for key in self._agent.get_keys()}
        except (OSError, SSHException) as problem:
            self._notes.append(f"the ssh agent at {self._options.agent} does not answer ({problem})")
            return {}

    def _load(self, path: Path) -> PKey | None:
        try:
            return load_key(path, self._secrets.passphrase)
        except FileNotFoundError:
            if self._options.explicit_keys:
                self._notes.append(f"{_shown(path)} does not exist")
        except PasswordRequiredException:
            self._notes.append(f"{_shown(path)} has a passphrase and no agent holds it (ssh-add {_shown(path)})")
        except (OSError, SSHException, ValueError, TypeError, UnsupportedAlgorithm) as problem:
            self._notes.append(
                f"{_shown(path)} cannot be used ({str(problem).splitlines()[0] if str(problem) else problem!r})"
            )
        return None

    def _refused(self, *, connected: bool) -> Unreachable:
        options = self._options
        tried = ", ".join(self._tried) or "nothing, no key found"
        if not connected:
            return Unreachable(
                f"{options.hostname} hung up during the login as {options.user} (tried {tried})",
                short="hung up during the login",
            )
        return Unreachable(
            f"{options.hostname} does not let {options.user} in (tried {'; '.join([tried, *self._notes])}): "
            "set ansible_ssh_private_key_file, or add the key to that user's authorized_keys",
            short=f"login as {options.user} refused",
        )


@functools.lru_cache(maxsize=64)
def load_key(path: Path, passphrase: str | None) -> PKey:
    """The private key in ``path`` with the certificate beside it, read once per run.

    :raises PasswordRequiredException: it has a passphrase.
    """
    password: Any = passphrase.encode() if passphrase else None
    try:
        return PKey.from_path(path, password)
    except TypeError as problem:  # cryptography's word for a missing passphrase
        if "password" in str(problem).lower():
            raise PasswordRequiredException(str(problem)) from None
        raise


def _public_part(path: Path) -> bytes | None:
    """The public key beside a private one: enough to find it in the agent without opening the private file."""
    try:
        return base64.b64decode(path.with_name(path.name + ".pub").read_text(encoding="utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _shown(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
