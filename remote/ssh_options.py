"""How OpenSSH itself would reach a host: `ssh -G` (6 ms) reads ~/.ssh/config and the inventory's ssh arguments.

Paramiko's own reader of ssh_config ignores Include and takes unknown Match criteria as met, so it is not used.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import HostError, Unreachable
from .hosts import Host
from .text import clean

_TIMEOUT = 10.0  # seconds; a `Match exec` in ~/.ssh/config may be slow

# Options of -o that change which host is reached, how it is trusted or who logs in. All are read back from `ssh -G`.
_HONOURED = frozenset(
    """
    addressfamily connecttimeout globalknownhostsfile hostkeyalias hostname identitiesonly identityagent identityfile
    port proxycommand proxyjump stricthostkeychecking user userknownhostsfile
    """.split()  # noqa: SIM905 - a list of 14 quoted words is no easier to read
)
# Options that make no difference here: one connection, no terminal, no forwarding, public keys only.
_HARMLESS = frozenset(
    """
    addkeystoagent batchmode checkhostip clearallforwardings compression connectionattempts controlmaster controlpath
    controlpersist escapechar exitonforwardfailure forwardagent forwardx11 forwardx11trusted gssapiauthentication
    gssapidelegatecredentials hashknownhosts hostbasedauthentication ipqos kbdinteractiveauthentication loglevel
    nohostauthenticationforlocalhost numberofpasswordprompts passwordauthentication permitlocalcommand
    preferredauthentications pubkeyauthentication requesttty sendenv serveralivecountmax serveraliveinterval
    tcpkeepalive updatehostkeys visualhostkey
    """.split()  # noqa: SIM905
)
_HONOURED_WITH_VALUE = frozenset("FJilop")
_HARMLESS_FLAGS = frozenset("46AaCnqTtvx")

_KEY_KINDS = ("rsa", "dsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss")
_DEFAULT_KEYS = frozenset(f"~/.ssh/id_{kind}" for kind in _KEY_KINDS)


@dataclass(frozen=True)
class SshOptions:
    """Where to connect, as whom, with which keys, and which files vouch for the host."""

    name: str
    """What the operator calls it; for messages."""
    hostname: str
    port: int
    user: str
    identity_files: tuple[Path, ...] = ()
    explicit_keys: bool = False
    """Somebody named these key files, so a missing one is worth a word."""
    identities_only: bool = False
    agent: str | None = None
    """Socket of the ssh agent, ``None`` for no agent."""
    known_hosts: tuple[Path, ...] = ()
    """The user's files first, then the system's."""
    user_known_hosts: Path | None = None
    """Where ``accept-new`` records a key."""
    accept_new: bool = False
    host_key_alias: str = ""
    family: str = "any"
    connect_timeout: float | None = None
    proxy_jump: tuple[str, ...] = ()
    proxy_command: str = ""
    config_file: str = ""
    """The file given with -F; jump hosts are read from the same one."""


def ssh_arguments(host: Host, *, identities: tuple[str, ...] = (), config_file: str = "") -> list[str]:
    """Arguments for ``ssh`` in the order in which Ansible gives them (the first value of an option wins).

    :raises HostError: an argument that fab would have to ignore although it matters.
    """
    first, last = (_checked(host.name, text) for text in host.ssh_args)
    middle = [f'-oIdentityFile="{path}"' for path in identities]
    if host.port:
        middle.append(f"-oPort={host.port}")
    if host.key_file:
        middle.append(f'-oIdentityFile="{host.key_file}"')
    if host.user:
        middle.append(f"-oUser={host.user}")
    return [*([f"-F{config_file}"] if config_file else []), *first, *middle, *last]


def _checked(name: str, text: str) -> list[str]:
    """``text`` as an argument list, once every argument in it is known to be honoured or harmless."""
    try:
        words = shlex.split(text)
    except ValueError as problem:
        raise HostError(
            f"inventory of {name}: ssh arguments {text!r}: {problem}", short="ssh arguments: bad quoting"
        ) from None
    rest = iter(words)
    checked: list[str] = []
    for word in rest:
        flag, attached = word[1:2], word[2:]
        if word.startswith("-") and flag in _HONOURED_WITH_VALUE:
            value = attached or next(rest, "")
            if flag == "o":
                _check_option(name, value)
            # ssh drops a missing -i file and goes on with others; as an option it stays and can be reported.
            checked.append(f'-oIdentityFile="{value}"' if flag == "i" else f"-{flag}{value}")
        elif word.startswith("-") and len(word) > 1 and set(word[1:]) <= _HARMLESS_FLAGS:
            checked.append(word)
        else:
            raise _not_understood(name, word)
    return checked


def _check_option(name: str, option: str) -> None:
    key = re.split(r"[\s=]", option.strip(), maxsplit=1)[0].lower()
    if key not in _HONOURED | _HARMLESS:
        raise _not_understood(name, f"-o {option}")


def _not_understood(name: str, what: str) -> HostError:
    return HostError(
        f"inventory of {name}: fab does not know what to do with the ssh argument `{clean(what)}`: "
        "take it out of ansible_ssh_common_args, or set it in ~/.ssh/config",
        short=f"ssh argument {clean(what)} not supported",
    )


def resolve(name: str, address: str, arguments: list[str], *, base: Path, agent: str | None = None) -> SshOptions:
    """Ask ``ssh -G`` what it would do for ``address``; ``agent`` is the operator's SSH_AUTH_SOCK.

    Relative paths count from ``base``, the checkout, as they do for an ansible-playbook started there.

    :raises HostError: ssh rejects the arguments, or RevokedHostKeys asks for more than we can check.
    :raises Unreachable: there is no ssh here, or it does not answer.
    """
    try:
        done = subprocess.run(
            ["ssh", "-G", "-T", *arguments, "--", address],
            cwd=base,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise Unreachable("no ssh on this machine: install the OpenSSH client") from None
    except subprocess.TimeoutExpired:
        raise Unreachable(
            f"`ssh -G {address}` gave no answer in {_TIMEOUT:.0f} s: look at Match exec in ~/.ssh/config"
        ) from None
    if done.returncode != 0:
        reason = clean(done.stderr.strip().splitlines()[-1]) if done.stderr.strip() else f"exit {done.returncode}"
        raise HostError(f"ssh rejects its options for {name}: {reason}", short=reason)
    return parse(name, done.stdout, base=base, agent=agent, config_file=_config_file(arguments))


def _config_file(arguments: list[str]) -> str:
    """ssh takes the last -F."""
    return next((word[2:] for word in reversed(arguments) if word.startswith("-F")), "")


def parse(name: str, text: str, *, base: Path, agent: str | None = None, config_file: str = "") -> SshOptions:
    """Read what ``ssh -G`` prints.

    :raises HostError: RevokedHostKeys is set, which cannot be honoured here.
    """
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value.strip())

    def one(key: str, default: str = "") -> str:
        return values.get(key, [default])[0]

    if one("revokedhostkeys", "none") != "none":
        raise HostError(
            f"{name}: RevokedHostKeys is set in ~/.ssh/config, which fab cannot honour: use @revoked in known_hosts",
            short="RevokedHostKeys not supported",
        )
    hostname, port, user = one("hostname"), int(one("port", "22")), one("user") or getpass.getuser()
    tokens = {
        "h": hostname,
        "p": str(port),
        "r": user,
        "n": name,
        "u": getpass.getuser(),
        "d": str(Path.home()),
        "%": "%",
    }
    tokens["k"] = one("hostkeyalias") or hostname
    identities = values.get("identityfile", [])
    user_files = _files(one("userknownhostsfile"), tokens, base)
    timeout = one("connecttimeout", "none")
    jump, command = one("proxyjump", "none"), one("proxycommand", "none")
    return SshOptions(
        name=name,
        hostname=hostname,
        port=port,
        user=user,
        identity_files=tuple(base / expand(path, tokens) for path in identities if path != "none"),
        explicit_keys=not set(identities) <= _DEFAULT_KEYS,
        identities_only=one("identitiesonly") == "yes",
        agent=_agent(one("identityagent", "SSH_AUTH_SOCK"), agent, tokens),
        known_hosts=(*user_files, *_files(one("globalknownhostsfile"), tokens, base)),
        user_known_hosts=user_files[0] if user_files else None,
        accept_new=one("stricthostkeychecking") == "accept-new",
        host_key_alias=one("hostkeyalias"),
        family=one("addressfamily", "any"),
        connect_timeout=float(timeout) if timeout.isdecimal() else None,
        proxy_jump=tuple(jump.split(",")) if jump.lower() != "none" else (),
        proxy_command=expand(command, tokens) if command.lower() != "none" else "",
        config_file=config_file,
    )


def expand(text: str, tokens: Mapping[str, str]) -> str:
    """``%h`` and friends, ``${VARIABLE}`` and a leading ``~`` as in ssh_config(5)."""
    text = re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)
    text = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), text)
    return str(Path(text).expanduser()) if text.startswith("~") else text


def _files(value: str, tokens: Mapping[str, str], base: Path) -> tuple[Path, ...]:
    if value.lower() in ("", "none"):
        return ()
    whole = base / expand(value, tokens)
    if whole.exists():  # ssh prints a path with blanks unquoted
        return (whole,)
    return tuple(base / expand(name, tokens) for name in value.split())


def _agent(value: str, environment: str | None, tokens: Mapping[str, str]) -> str | None:
    if value.lower() == "none":
        return None
    if value in ("SSH_AUTH_SOCK", ""):
        return environment
    return os.environ.get(value[1:]) if value.startswith("$") and value[1:].isidentifier() else expand(value, tokens)
