"""Unpacks a release beside the others and tries the settings with it, before anything that is in use changes."""

from __future__ import annotations

import base64
import compileall
import gzip
import hashlib
import io
import json
import os
import py_compile
import shutil
import sys
import tarfile
import tempfile
import zlib
from typing import Any, BinaryIO

from .layout import Layout
from .system import Account, account, run_as

_VALID = frozenset({0, 3, 4})
"""What `status` says of a bot that runs, does not run, or cannot be told: the settings are fine in each case."""


class StageError(Exception):
    """The release or the settings cannot be used; nothing in use was touched."""


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    """Unpack the release where it is missing, then check the settings with it. `problem` is empty if all is well."""
    layout = Layout(arguments["name"], arguments["root"], arguments["system"])
    release = arguments["release"]
    folder = os.path.join(layout.releases, release)
    user = account(arguments["user"])
    if user is None:
        return {"problem": f"this host has no user {arguments['user']}"}
    missing = not os.path.isfile(os.path.join(folder, "RELEASE"))
    try:
        if not missing:
            try_settings(folder, arguments["settings"], layout, user)
        elif not arguments["check"]:
            unpack(io.BytesIO(base64.b64decode(arguments["archive"])), release, layout.releases)
            try_settings(folder, arguments["settings"], layout, user)
    except StageError as error:
        return {"problem": f"{error}. Nothing that is in use was changed."}
    return {"problem": "", "changed": missing}


def unpack(archive: str | BinaryIO, release: str, releases: str) -> None:
    """Put the archive's one folder into `releases`, whole or not at all, and check that it is what its name says."""
    scratch = tempfile.mkdtemp(prefix=".unpack-", dir=releases)
    try:
        with gzip.open(archive) as stream:
            whole = io.BytesIO(stream.read())  # to its end, where gzip has the checksum
        with tarfile.open(fileobj=whole, mode="r:") as packed:
            for member in packed.getmembers():
                _write(packed, member, release, scratch)
        folder = os.path.join(scratch, release)
        if digest(folder) != release.rpartition("-")[2]:
            raise StageError(f"the archive of {release} arrived damaged; deploy again")
        precompile(folder)
        shutil.rmtree(os.path.join(releases, release), ignore_errors=True)
        os.rename(folder, os.path.join(releases, release))
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise StageError(f"cannot unpack {release} into {releases}: {error}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(packed: tarfile.TarFile, member: tarfile.TarInfo, release: str, scratch: str) -> None:
    parts = member.name.split("/")
    if not member.isreg() or parts[0] != release or len(parts) < 2 or {"", ".", ".."}.intersection(parts):
        raise StageError(f"the archive of {release} holds {member.name!r}, which is not unpacked")
    path = os.path.join(scratch, *parts)
    folder = scratch
    for part in parts[:-1]:
        folder = os.path.join(folder, part)
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o755)
    source = packed.extractfile(member)
    assert source is not None
    with open(path, "wb") as file:
        shutil.copyfileobj(source, file)
        os.fchmod(file.fileno(), member.mode & 0o755)
        file.flush()
        os.fsync(file.fileno())


def digest(folder: str) -> str:
    """The content hash that a release's id ends with; the builder computes it in the same way."""
    lines = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for file in files:
            path = os.path.join(parent, file)
            name = os.path.relpath(path, folder)
            if name != "RELEASE":
                with open(path, "rb") as content:
                    data = hashlib.sha256(content.read()).hexdigest()
                lines.append((name, f"{name}\0{os.stat(path).st_mode & 0o7777:o}\0{data}\n"))
    return hashlib.sha256("".join(line for _, line in sorted(lines)).encode()).hexdigest()[:12]


def precompile(folder: str) -> None:
    """Compile for this host's Python. A release never changes, so its bytecode needs no check: ticks start sooner."""
    compileall.compile_dir(
        os.path.join(folder, "lib"),
        quiet=2,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def try_settings(folder: str, settings: dict[str, str], layout: Layout, user: Account) -> None:
    """Have the release read the settings as the bot's user. Raises StageError with the agent's own line."""
    scratch = tempfile.mkdtemp(prefix="dca-watchdog-")
    try:
        command = [sys.executable, "-I", "-S", "-B", os.path.join(folder, "bin", "watchdog")]
        for name in sorted(settings, reverse=True):
            path = os.path.join(scratch, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(settings[name])
            command += ["--config", path]
        _give(scratch, user)
        answer = run_as(user, [*command, "status", "--json"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if answer.code not in _VALID:
        text = _error(answer.out) or answer.line
        raise StageError(text.replace(scratch, os.path.dirname(layout.settings)))


def _give(folder: str, user: Account) -> None:
    if os.geteuid() == 0:
        for path in (folder, *(os.path.join(folder, name) for name in os.listdir(folder))):
            os.chown(path, user.uid, user.gid)


def _error(out: str) -> str:
    try:
        answer = json.loads(out)
    except ValueError:
        return ""
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""
