"""What a release consists of: path inside the release -> bytes and mode. Reads the checkout, writes nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from release.errors import ReleaseError

RELEASE_FILE = "RELEASE"
ARCHITECTURES = ("x86_64", "aarch64")

_VERSION = re.compile(r'^__version__ = "([0-9][0-9A-Za-z.+-]*)"$', re.MULTILINE)
_LEFT_OUT_FOLDERS = frozenset({"__pycache__", "tests", "test"})


@dataclass(frozen=True)
class Member:
    """One file of a release."""

    data: bytes
    executable: bool = False

    @property
    def mode(self) -> int:
        """The permission bits it has on every host, whatever the umask of the builder was."""
        return 0o755 if self.executable else 0o644


def read_version(package: Path) -> str:
    """The agent's version, read without importing it. Raises ReleaseError where there is none."""
    source = package / "__init__.py"
    try:
        found = _VERSION.search(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReleaseError(f"cannot read {source}: {error.strerror}; run this from a complete checkout") from None
    if found is None:
        raise ReleaseError(f'{source} holds no line of the form __version__ = "1.2.3"')
    return found[1]


def agent_members(package: Path, launcher: Path) -> dict[str, Member]:
    """The agent's package and its launcher. Raises ReleaseError for a symbolic link: its target would not travel."""
    members = {"bin/watchdog": Member(launcher.read_bytes(), executable=True)}
    for path in sorted(package.rglob("*")):
        inside = path.relative_to(package)
        if path.is_symlink():
            raise ReleaseError(f"{path} is a symbolic link; put the file itself there")
        if path.is_file() and _travels(inside):
            members[f"lib/watchdog/{inside.as_posix()}"] = Member(path.read_bytes())
    return members


def _travels(inside: Path) -> bool:
    hidden = any(part.startswith(".") for part in inside.parts)
    return not hidden and not _LEFT_OUT_FOLDERS.intersection(inside.parts[:-1]) and inside.suffix in {".py", ".json"}


def digest(members: Mapping[str, Member]) -> str:
    """Twelve hex digits that stand for names, modes and bytes of every member but RELEASE, which holds them."""
    listing = hashlib.sha256()
    for name in sorted(members):
        if name != RELEASE_FILE:
            member = members[name]
            listing.update(f"{name}\0{member.mode:o}\0{hashlib.sha256(member.data).hexdigest()}\n".encode())
    return listing.hexdigest()[:12]


def seal(members: Mapping[str, Member], version: str, arch: str) -> tuple[str, dict[str, Member]]:
    """The release's id and its members with the RELEASE file, from which the agent tells its id."""
    release = f"{version}-{digest(members)}"
    record = json.dumps({"version": version, "release": release, "arch": arch}, indent=2) + "\n"
    return release, {**members, RELEASE_FILE: Member(record.encode())}
