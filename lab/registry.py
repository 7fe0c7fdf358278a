"""What is up, on disk: written before a thing is started, so that a killed run can be cleaned up after."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError
from lab.locking import exclusive
from lab.paths import state_root

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Owner:
    """The process on whose behalf a lab exists; when it is gone, so may the lab be."""

    pid: int
    start_ticks: int

    @classmethod
    def me(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), _start_ticks(os.getpid()) or 0)

    def alive(self) -> bool:
        """Whether that very process (not a later one with its number) still runs."""
        return _start_ticks(self.pid) == self.start_ticks


@dataclasses.dataclass(frozen=True)
class HostRecord:
    """One host: its name for people, its address, and the name of its cgroup, interface and folder."""

    name: str
    address: str
    unique: str


@dataclasses.dataclass(frozen=True)
class LabRecord:
    """One lab. `owner` is None for a lab that lasts until `lab.down`."""

    name: str
    suite: str
    image: str
    network: int
    owner: Owner | None
    hosts: tuple[HostRecord, ...]

    @property
    def folder(self) -> Path:
        """Everything that this lab keeps on disk."""
        return _labs() / self.name

    def abandoned(self) -> bool:
        """Whether it belonged to a process that is gone."""
        return self.owner is not None and not self.owner.alive()

    def save(self) -> None:
        """Write it down, atomically."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.folder / "lab.json.new"
        temporary.write_text(json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2) + "\n")
        temporary.replace(self.folder / "lab.json")


def forget(lab: LabRecord) -> None:
    """Remove the lab's folder, the record last: a removal that is cut short is known to be unfinished."""
    for entry in lab.folder.glob("*"):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != "lab.json":
            entry.unlink(missing_ok=True)
    shutil.rmtree(lab.folder, ignore_errors=True)


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the lab's lock: nobody else adds or removes a lab meanwhile."""
    state_root().mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive(state_root() / "lock"):
        yield


def all_labs() -> list[LabRecord]:
    """Every lab that is written down, whatever its state."""
    found = []
    for path in sorted(_labs().glob("*/lab.json")):
        try:
            found.append(load(path.parent.name))
        except LabError:
            if path.exists():  # else another process has just removed it
                raise
    return found


def load(name: str) -> LabRecord:
    """The lab of that name.

    Raises:
        LabError: there is none, or its record is from another version of the lab.
    """
    path = _labs() / name / "lab.json"
    try:
        data = json.loads(path.read_text())
        if data.pop("schema") != SCHEMA:
            raise LabError(f"{path} was written by another version of the lab: use that one's `lab.down`")
        owner = Owner(**data.pop("owner")) if data["owner"] else data.pop("owner")
        hosts = tuple(HostRecord(**host) for host in data.pop("hosts"))
        return LabRecord(**data, owner=owner, hosts=hosts)
    except FileNotFoundError as error:
        raise LabError(f"no lab named {name!r} is up; start it: invoke lab.up --name {name}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} is damaged ({error}); remove its folder after ending what it lists") from error


def _labs() -> Path:
    return state_root() / "labs"


def _start_ticks(pid: int) -> int | None:
    """Start time in clock ticks since boot (proc_pid_stat(5), field 22); None if the process is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
