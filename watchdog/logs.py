"""`logs`: the bot's output, the watchdog's log or the events; once or as they grow."""

from __future__ import annotations

import os
import re
import select
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import IO, Callable

from .errors import UsageError, WatchdogError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(?:[.,](\d+))?\s*(Z|[+-]\d\d:?\d\d)?")
_CHUNK = 65_536
_LONGEST = 16_384
_PAUSE = 0.1


def duration(text: str) -> float:
    """Seconds in ``90``, ``90s``, ``10m``, ``2h`` or ``1d``. Raises UsageError."""
    found = _DURATION.fullmatch(text.strip().lower())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"{text!r} is not a duration: write 30s, 10m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]


def moment(text: str, now: float) -> float:
    """Epoch seconds of ``--since``: a duration back from ``now``, or a date and time (UTC unless it says otherwise)."""
    if _DURATION.fullmatch(text.strip().lower()):
        return now - duration(text)
    found = written_at(text, False) if _STAMP.fullmatch(text.strip()) else None
    if found is None and re.fullmatch(r"\d{4}-\d\d-\d\d", text.strip()):
        found = written_at(f"{text.strip()} 00:00", False)
    if found is None:
        raise UsageError(f"--since {text!r}: write a duration such as 10m or a time such as 2026-11-24T05:40")
    return found


def written_at(line: str, local: bool = True) -> float | None:
    """Epoch seconds of the first time stamp in a line, None without one; with no zone given it is local or UTC."""
    found = _STAMP.search(line[:200])
    if not found:
        return None
    year, month, day, hour, minute = (int(part) for part in found.groups()[:5])
    try:
        moment = datetime(year, month, day, hour, minute, int(found[6] or 0), tzinfo=_zone(found[8], local))
        return moment.timestamp() + float(f"0.{found[7] or 0}")
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None, local: bool) -> timezone | None:
    if text is None:
        return None if local else timezone.utc
    if text == "Z":
        return timezone.utc
    digits = text.replace(":", "")
    shift = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return timezone(shift if digits[0] == "+" else -shift)


def pattern(text: str | None) -> Callable[[str], bool]:
    """A line filter from a regular expression. Raises UsageError."""
    if text is None:
        return lambda line: True
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise UsageError(f"--grep {text!r}: {error}") from None
    return lambda line: compiled.search(line) is not None


def last_lines(path: str, count: int, wanted: Callable[[str], bool], since: float | None) -> tuple[list[str], int]:
    """The last ``count`` wanted lines and the size up to which the file was read.

    Lines without a time stamp, such as those of a traceback, belong to the line before them. Raises WatchdogError.
    """
    try:
        if not os.path.isfile(path):
            raise FileNotFoundError(2, "no such file")
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            if since is None:
                lines = _from_the_end(file, size, count, wanted)
                return _before(path, count - len(lines), wanted) + lines, size
            file.seek(0)
            recent = deque((line for line in _since(file, size, since) if wanted(line)), maxlen=count)
    except OSError as error:
        raise WatchdogError(f"cannot read {path}: {error.strerror}; is the bot writing its log there?") from None
    return list(recent), size


def _before(path: str, missing: int, wanted: Callable[[str], bool]) -> list[str]:
    """What the file before the last rotation has, where the new one is still short."""
    if missing <= 0:
        return []
    try:
        with open(f"{path}.1", "rb") as older:
            return _from_the_end(older, older.seek(0, os.SEEK_END), missing, wanted)
    except OSError:
        return []


def follow(
    path: str, position: int, wanted: Callable[[str], bool], show: Callable[[str], None], until_eof: bool
) -> None:
    """Show lines as they come, over rotation too, until interrupted or (``until_eof``) until stdin closes."""
    rest = b""
    file = _open_at(path, position)
    while True:
        data = file.read(_CHUNK) if file else b""
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[-_LONGEST:]
        for line in lines:
            text = line[:_LONGEST].decode("utf-8", "replace")
            if wanted(text):
                show(text)
        if data:
            continue
        if until_eof and _stdin_closed(_PAUSE):
            return
        if not until_eof:
            time.sleep(_PAUSE)
        if file and os.fstat(file.fileno()).st_size < file.tell():  # truncated: it begins anew
            file.seek(0)
            rest = b""
        if (file is None or _inode(path) not in (None, os.fstat(file.fileno()).st_ino)) and not _more(file):
            if file:
                file.close()
            file, rest = _open_at(path, 0), b""


def _more(file: IO[bytes] | None) -> bool:
    """True while a renamed file still holds something that was not read."""
    return file is not None and os.fstat(file.fileno()).st_size > file.tell()


def _open_at(path: str, position: int) -> IO[bytes] | None:
    try:
        file = open(path, "rb")  # noqa: SIM115 - it stays open as long as it is followed
        file.seek(position)
    except OSError:
        return None
    return file


def printable(line: str) -> str:
    """A log line that cannot steer a terminal: control characters but the tab are shown, not sent."""
    return "".join(char if char.isprintable() or char == "\t" else f"\\x{ord(char):02x}" for char in line.rstrip("\r"))


def _from_the_end(file: IO[bytes], size: int, count: int, wanted: Callable[[str], bool]) -> list[str]:
    chosen: list[str] = []
    lines = _backwards(file, size)
    while len(chosen) < count:
        line = next(lines, None)
        if line is None:
            break
        text = line[:_LONGEST].decode("utf-8", "replace")
        if wanted(text):
            chosen.append(text)
    return chosen[::-1]


def _backwards(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Lines from the last to the first, in chunks, so that a file of gigabytes costs nothing."""
    rest = b""
    end = size
    first = True
    while end > 0:
        start = max(0, end - _CHUNK)
        file.seek(start)
        data = file.read(end - start) + rest
        if first and data.endswith(b"\n"):
            data = data[:-1]
        first = False
        head, *lines = data.split(b"\n")
        yield from reversed(lines)
        rest = head if start else b""
        if not start:
            yield head
        elif len(rest) > 16 * _CHUNK:
            rest = rest[-_LONGEST:]
        end = start


def _since(file: IO[bytes], size: int, since: float) -> Iterator[str]:
    within = False
    read = 0
    for line in file:
        read += len(line)
        text = line[:_LONGEST].decode("utf-8", "replace").rstrip("\n")
        at = written_at(text)
        if at is not None:
            within = at >= since
        if within:
            yield text
        if read >= size:
            return


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _stdin_closed(wait: float) -> bool:
    ready, _, _ = select.select([0], [], [], wait)
    return bool(ready) and not os.read(0, 4096)
