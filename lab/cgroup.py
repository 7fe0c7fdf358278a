"""The control group of a lab host: the exact set of processes that belong to it, also after a crash of the lab."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from lab.errors import LabError, MissingPrerequisite


def mount_point() -> Path:
    """Where cgroup v2 is mounted on this machine (`/sys/fs/cgroup`, or `.../unified` beside cgroup v1).

    Raises:
        MissingPrerequisite: nowhere.
    """
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise MissingPrerequisite("no cgroup v2 is mounted: mount -t cgroup2 none /sys/fs/cgroup")


class Cgroup:
    """One top-level group, named by the lab with a random part, so that nobody else's can be meant."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = mount_point() / name

    def create(self) -> None:
        """Make the empty group."""
        self.path.mkdir()

    def pids(self, part: str = "") -> list[int]:
        """Every process in the group (or in that part of it) and below, as this machine numbers them."""
        found = []
        for folder, _, _ in os.walk(self.path / part):
            with contextlib.suppress(OSError):
                found += [int(word) for word in Path(folder, "cgroup.procs").read_text().split()]
        return found

    def freeze(self, frozen: bool) -> None:
        """Stop all processes at once (TCP connections stay open and mute), or let them go on.

        Raises:
            LabError: the kernel did not report it as done within 5 s.
        """
        (self.path / "cgroup.freeze").write_text("1" if frozen else "0")
        deadline = time.monotonic() + 5
        while f"frozen {int(frozen)}" not in (self.path / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                raise LabError(f"cgroup {self.name} could not be {'frozen' if frozen else 'thawed'} within 5 s")
            time.sleep(0.005)

    def kill(self) -> None:
        """SIGKILL for everything in the group, atomically (kernel >= 5.14); also a frozen one."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Kill what is left and remove the group, depth first. Does nothing if it is gone.

        Raises:
            LabError: some process is still there after 10 s (in uninterruptible sleep).
        """
        self.kill()
        deadline = time.monotonic() + 10
        while self.path.exists():
            for folder, _, _ in os.walk(self.path, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
            if time.monotonic() > deadline:
                raise LabError(f"cgroup {self.path} still has processes {self.pids()}; they do not react to SIGKILL")
            if self.path.exists():
                time.sleep(0.005)
