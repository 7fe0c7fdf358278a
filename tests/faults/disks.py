"""Small disks of a test's own (tmpfs in memory), to fill up or to make read-only. Root mounts them."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def mounted(folder: Path, kilobytes: int = 256, inodes: int = 200) -> Iterator[Path]:
    """A small disk of its own at ``folder``."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = f"size={kilobytes}k,nr_inodes={inodes},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Not one more byte."""
    with (folder / "filler").open("wb", buffering=0) as file:
        free = os.statvfs(folder)
        for _ in range(free.f_bavail * free.f_bsize // 4096 + 1):
            with contextlib.suppress(OSError):
                file.write(b"x" * 4096)
    assert os.statvfs(folder).f_bavail == 0


def use_up_inodes(folder: Path) -> None:
    """Not one more file."""
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (folder / f"filler{number}").touch()
    assert os.statvfs(folder).f_favail == 0


def make_room(folder: Path) -> None:
    """Undo `fill` or `use_up_inodes`."""
    for filler in folder.glob("filler*"):
        filler.unlink()


def read_only(folder: Path) -> None:
    """Not one more write."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
