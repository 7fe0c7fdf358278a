"""Reading known_hosts(5) as OpenSSH does: hashed names, wildcards, negation, ports, @revoked."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path


class Verdict(Enum):
    """What the files say about a key that a host has shown."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Entry:
    """One line that applies to the host."""

    file: Path
    line: int
    marker: str
    key_type: str
    key: bytes


def lookup_names(hostname: str, port: int, alias: str = "") -> tuple[str, ...]:
    """Names under which a host is listed, the exact one first. OpenSSH also takes a key listed without the port."""
    if alias:
        return (alias.lower(),)
    hostname = hostname.lower()
    return (hostname,) if port == 22 else (f"[{hostname}]:{port}", hostname)


def find(files: Iterable[Path], name: str) -> list[Entry]:
    """Every line of the readable ones among ``files`` that applies to ``name``."""
    found: list[Entry] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found.extend(_entries(file, text, name))
    return found


def _entries(file: Path, text: str, name: str) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3 or not _applies(fields[0], name):
            continue
        try:
            key = base64.b64decode(fields[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        yield Entry(file, number, marker, fields[1], key)


def _applies(patterns: str, name: str) -> bool:
    if patterns.startswith("|"):
        return _hash_matches(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        negated = pattern.startswith("!")
        if _glob(pattern.removeprefix("!"), name):
            if negated:
                return False
            matched = True
    return matched


def _glob(pattern: str, name: str) -> bool:
    """ssh knows ``*`` and ``?`` only; a ``[`` is part of ``[host]:port``."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def _hash_matches(field: str, name: str) -> bool:
    try:
        _, version, salt, digest = field.split("|")
        expected = base64.b64decode(digest)
        found = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
    except (ValueError, binascii.Error):
        return False
    return version == "1" and hmac.compare_digest(expected, found)


def judge(files: Iterable[Path], names: tuple[str, ...], key_type: str, key: bytes) -> tuple[Verdict, Entry | None]:
    """Whether ``key`` is the one that ``files`` list under ``names``; with the line that decided."""
    files = list(files)
    exact = find(files, names[0])
    every = exact + [entry for name in names[1:] for entry in find(files, name)]
    for entry in every:
        if entry.marker == "@revoked" and entry.key == key:
            return Verdict.REVOKED, entry
    plain = [entry for entry in every if not entry.marker]
    for entry in plain:
        if entry.key_type == key_type and entry.key == key:
            return Verdict.KNOWN, entry
    for entry in exact:
        # Another type of key under the same name counts as a change too: an attacker would offer just that.
        if not entry.marker:
            return Verdict.CHANGED, entry
    return Verdict.UNKNOWN, next((entry for entry in exact if entry.marker == "@cert-authority"), None)


def key_types(files: Iterable[Path], names: tuple[str, ...]) -> tuple[str, ...]:
    """Types of the keys known for the host: asking for one of them first avoids a needless "changed"."""
    files = list(files)
    known = [entry.key_type for name in names for entry in find(files, name) if not entry.marker]
    return tuple(dict.fromkeys(known))
