"""Host keys are always verified. Fabric accepts any key (fabric#1804, fabric#2071), so this takes its place."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from typing import Any

from paramiko import MissingHostKeyPolicy, PKey, SSHClient, Transport

from .errors import Unreachable
from .known_hosts import Entry, Verdict, judge, key_types, lookup_names
from .ssh_options import SshOptions

_recording = threading.Lock()
_RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")


class VerifyHostKey(MissingHostKeyPolicy):
    """Paramiko asks this about every key, since its own list of known keys is left empty."""

    def __init__(self, options: SshOptions) -> None:
        self._options = options

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        """Return if the key is known.

        :raises Unreachable: it is not, with the commands that tell more and that settle it.
        """
        options = self._options
        if not options.accept_new:
            _check(options, key)
            return
        with _recording:  # fifty bots on one new host: the first records its key, the others are held to it
            _check(options, key, _record)


def transport_factory(options: SshOptions) -> Any:
    """A maker of transports that ask the server for the type of key that known_hosts has."""
    names = lookup_names(options.hostname, options.port, options.host_key_alias)
    wanted: list[str] = []
    for key_type in key_types(options.known_hosts, names):
        wanted.extend(_RSA_ALGORITHMS if key_type == "ssh-rsa" else (key_type,))

    def make(sock: Any, **kwargs: Any) -> Transport:
        transport = Transport(sock, **kwargs)
        security = transport.get_security_options()
        offered = list(security.key_types)
        security.key_types = sorted(offered, key=lambda name: wanted.index(name) if name in wanted else len(wanted))
        return transport

    return make


def fingerprint(key: bytes) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _check(options: SshOptions, key: PKey, on_unknown: Callable[[SshOptions, str, PKey], None] | None = None) -> None:
    names = lookup_names(options.hostname, options.port, options.host_key_alias)
    verdict, entry = judge(options.known_hosts, names, key.get_name(), key.asbytes())
    if verdict is Verdict.UNKNOWN and entry is None and on_unknown:
        on_unknown(options, names[0], key)
    elif verdict is not Verdict.KNOWN:
        raise _refusal(options, names[0], key, verdict, entry)


def _record(options: SshOptions, name: str, key: PKey) -> None:
    """StrictHostKeyChecking=accept-new: trust on first contact, but only where the next contact can hold it to that."""
    path = options.user_known_hosts
    line = f"{name} {key.get_name()} {key.get_base64()}\n"
    try:
        if path is None or (path.exists() and not path.is_file()):
            raise OSError(f"{path} keeps nothing")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0, 2)
            if file.tell():
                file.seek(-1, 2)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode())
    except OSError as problem:
        raise Unreachable(
            f"the new host key of {name} cannot be recorded ({problem}), so accept-new does not accept it: "
            "set UserKnownHostsFile to a file that can be written",
            short="new host key cannot be recorded",
        ) from None


def _refusal(options: SshOptions, name: str, key: PKey, verdict: Verdict, entry: Entry | None) -> Unreachable:
    shown = f"{key.get_name()} {fingerprint(key.asbytes())}"
    where = f"{entry.file}:{entry.line}" if entry else ""
    file = options.user_known_hosts or "~/.ssh/known_hosts"
    port = f"-p {options.port} " if options.port != 22 else ""
    rename = f" | sed 's/^[^ #]*/{options.host_key_alias}/'" if options.host_key_alias else ""
    scan = f"ssh-keyscan {port}{options.hostname}{rename} >> {file}"
    if verdict is Verdict.REVOKED:
        return Unreachable(
            f"host key of {name} ({shown}) is revoked in {where}: do not connect", short="host key revoked"
        )
    if verdict is Verdict.CHANGED and entry:
        return Unreachable(
            f"host key of {name} is not the one in {where}: the host was rebuilt, or somebody is in between. "
            f"It shows {shown}. If that is right: ssh-keygen -R '{name}' -f {entry.file}; {scan}",
            short="host key has CHANGED",
        )
    only_authority = f" (Paramiko cannot check the certificate authority in {where})" if entry else ""
    return Unreachable(
        f"host key of {name} is not known{only_authority}. It shows {shown}. Compare with the host's own "
        f"(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), then: {scan}",
        short="host key not known",
    )
