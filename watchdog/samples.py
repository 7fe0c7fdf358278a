"""What the bot took and had, once a minute: a file a day, thirty days of them in less than five megabytes.

A line is a sample, a JSON array. A JSON object says what the columns of the lines after it mean; whoever begins to
write to a file puts one first, so that the releases of an upgrade may share a day.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from typing import NamedTuple

from . import clock, store

FILES = 31
LARGEST = 160_000
"""Bounds of the folder: whole days, today's among them, and bytes a day."""

CLOSEST = 50
"""Seconds between two samples on disk, at least. Those in between become part of the next one."""

_SCHEMA = 1
_LONGEST = 300


class Sample(NamedTuple):
    """The bot at one moment, and since the sample before.

    ``utc``: whole seconds. ``cpu``: percent of one core since the sample before. ``memory``: bytes. ``ceiling``: the
    soft limit of ``descriptors``. ``connections``: TCP; ``backlog``: bytes that wait there unread, ``received``: bytes
    that came since the sample before.
    """

    utc: int
    cpu: float
    memory: int
    descriptors: int
    ceiling: int
    threads: int
    connections: int
    backlog: int
    received: int


class Store:
    """Writes samples into a folder, which is made when it is missing. Best effort."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._path = ""
        self._last: int | None = None
        self._trouble: OSError | None = None
        self._cpu, self._received, self._count = 0.0, 0, 0

    def add(self, sample: Sample) -> OSError | None:
        """Write a sample down; why it could not be, which costs this sample alone.

        Of one that becomes part of the next: how it went with the one before.
        """
        self._cpu += sample.cpu
        self._received += sample.received
        self._count += 1
        if self._last is not None and 0 <= sample.utc - self._last < CLOSEST:
            return self._trouble
        whole = sample._replace(cpu=round(self._cpu / self._count, 1), received=self._received)
        self._last = sample.utc
        self._cpu, self._received, self._count = 0.0, 0, 0
        self._trouble = None
        try:
            self._write(_day(sample.utc), whole)
        except OSError as error:
            self._trouble = error
        return self._trouble

    def _write(self, day: str, sample: Sample) -> None:
        path = os.path.join(self.folder, f"{day}.jsonl")
        size = _size(path)
        begun = size > 0 and path == self._path
        text = json.dumps(sample, separators=(",", ":")) + "\n"
        if not begun:  # after a newline: the last line of a file that another has left may be torn
            text = ("\n" if size else "") + _header() + text
        if size + len(text) > LARGEST:
            raise OSError(errno.EFBIG, "the samples of one day are too many", path)
        try:
            store.append(path, text.encode())
        except FileNotFoundError:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            store.append(path, text.encode())
        if path != self._path:
            self._path = path
            _prune(self.folder, day)


def read(folder: str, since: float) -> Iterator[Sample]:
    """The samples that are not older than ``since`` (UTC), oldest first, a file in memory at a time.

    What cannot be read, or not be made sense of, is left out.
    """
    first = _day(max(0, int(since)))
    for day in _days(folder):
        if day < first:
            continue
        with contextlib.suppress(OSError):
            lines = store.read(os.path.join(folder, f"{day}.jsonl")).split(b"\n")
            found = [sample for sample in _parse(lines) if sample.utc >= since and _day(sample.utc) == day]
            yield from sorted(found, key=lambda sample: sample.utc)


def _header() -> str:
    return json.dumps({"schema": _SCHEMA, "columns": Sample._fields}, separators=(",", ":")) + "\n"


def _parse(lines: list[bytes]) -> Iterator[Sample]:
    places: list[int] = []
    width = 0
    for line in lines:
        if not line or len(line) > _LONGEST:
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            columns = found.get("columns")
            columns = columns if found.get("schema") == _SCHEMA and isinstance(columns, list) else []
            known = all(name in columns for name in Sample._fields)
            places = [columns.index(name) for name in Sample._fields] if known else []
            width = len(columns)
        elif places and isinstance(found, list) and len(found) == width:
            values = [found[place] for place in places]
            if _sane(values):
                yield Sample(*values)


def _sane(values: list[object]) -> bool:
    """Plain numbers that are not negative; whole ones but for the CPU."""
    return all(
        isinstance(value, (int, float) if name == "cpu" else int)
        and not isinstance(value, bool)
        and 0 <= value < 1 << 53
        for name, value in zip(Sample._fields, values)
    )


def _prune(folder: str, today: str) -> None:
    """Keep so many days. Days after today go first: a slip of the clock made them, and they would never grow old.

    Where it is today's clock that is wrong they are the true ones; then the oldest of them go, as they would have gone
    anyway.
    """
    days = [day for day in _days(folder) if day != today]
    for _ in range(len(days) - (FILES - 1)):
        victim = min([day for day in days if day > today] or days)
        days.remove(victim)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, f"{victim}.jsonl"))


def _days(folder: str) -> list[str]:
    """The days that there are files of, in order."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(name[:10] for name in names if len(name) == 16 and name[10:] == ".jsonl" and _is_day(name[:10]))


def _is_day(text: str) -> bool:
    return text[4] == text[7] == "-" and text.replace("-", "", 2).isdecimal() and text.isascii()


def _day(utc: int) -> str:
    return clock.stamp(utc)[:10]


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
