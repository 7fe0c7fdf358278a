"""The release as a tar.gz whose bytes depend on its content alone."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from release.contents import RELEASE_FILE, Member

MTIME = 946684800
"""2000-01-01 UTC for every member: a date that tar, zip and people can all live with."""


def write(release: str, members: Mapping[str, Member], folder: Path) -> Path:
    """Put `<release>.tar.gz` into `folder`, atomically, unless it is there already. Returns its path."""
    path = folder / f"{release}.tar.gz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{release}-", dir=folder) as scratch:
        packed = Path(scratch, path.name)
        packed.write_bytes(pack(release, members))
        packed.replace(path)
    return path


def pack(release: str, members: Mapping[str, Member]) -> bytes:
    """The archive: sorted, RELEASE last, one owner, one date, everything below a folder named after the release."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=9, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(members, key=lambda name: (name == RELEASE_FILE, name)):
            member = members[name]
            info = tarfile.TarInfo(f"{release}/{name}")
            info.size, info.mode, info.mtime = len(member.data), member.mode, MTIME
            info.uname = info.gname = "root"
            archive.addfile(info, io.BytesIO(member.data))
    return packed.getvalue()
