"""A private cache file for the inventory, valid while no file that feeds it has changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_FORMAT = 1  # raised when the cached document changes its shape


def walk(path: Path) -> Iterator[Path]:
    """``path`` and everything below it, in a fixed order, symbolic links followed for files."""
    yield path
    if path.is_dir():
        for folder, folders, files in os.walk(path):
            folders.sort()
            for name in sorted(folders) + sorted(files):
                yield Path(folder, name)


def fingerprint(paths: Iterable[Path], environment: Mapping[str, str]) -> str:
    """Digest over name, size and times of every path (also of those that do not exist) and over ``environment``."""
    digest = hashlib.sha256(f"{_FORMAT}".encode())
    for path in paths:
        try:
            found = path.stat()
            state = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_mode}"
        except OSError:
            state = "-"
        digest.update(f"{path}\0{state}\0".encode(errors="surrogateescape"))
    digest.update(json.dumps(sorted(environment.items())).encode())
    return digest.hexdigest()


def place(root: Path, sources: Iterable[Path], environ: Mapping[str, str]) -> Path:
    """The cache file for this checkout and these inventory sources."""
    base = Path(environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    name = hashlib.sha256("\0".join(map(str, (root, *sources))).encode(errors="surrogateescape")).hexdigest()[:16]
    return base / "dca-watchdog" / f"inventory-{name}.json"


def read(path: Path, expected: str) -> dict[str, Any] | None:
    """The cached document if it is ours, whole and of this ``expected`` fingerprint, else ``None``."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            document = json.load(file)
        return document["document"] if document["fingerprint"] == expected else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path: Path, fingerprint_: str, document: dict[str, Any]) -> None:
    """Replace the cache file at once, readable by its owner only. Failing to is no error: it is only slower."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"fingerprint": fingerprint_, "document": document}, file)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
