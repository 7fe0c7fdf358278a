"""Small files that outlive us: state.json, the operator's word, maintenance; and lines at the end of longer ones."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from typing import Any

_RECORD = 2048
"""Bytes of an in-place record: far below a page, so that a full disk and a crash leave the old one or the new one."""


_LARGEST = 1 << 20


def replace(path: str, document: dict[str, Any]) -> None:
    """Write JSON in one step: temporary file, fsync, rename. Raises OSError; the old file then stays as it was."""
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: str) -> bytes:
    """The first megabyte of a regular file; anything else, such as a FIFO, which would block us, is an OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return os.read(descriptor, min(found.st_size, _LARGEST))
    finally:
        os.close(descriptor)


def load(path: str) -> dict[str, Any] | None:
    """The JSON object in a file; None when there is no file. Raises ValueError when it is not a JSON object."""
    try:
        document = json.loads(read(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {str(error)[:100]}") from None
    if isinstance(document, dict):
        return document
    raise ValueError(f"{path}: not a JSON object")


def record(path: str, document: dict[str, Any]) -> None:
    """Write a short JSON object in place, durably, and so also on a full disk once the file is there. Raises OSError.

    Words that people wrote are cut where they do not fit.
    """
    fitting = {key: value[:160] if isinstance(value, str) else value for key, value in document.items()}
    text = json.dumps(fitting).encode()
    words = [key for key in ("by", "owner", "reason") if isinstance(fitting.get(key), str)]
    while len(text) >= _RECORD:
        longest = max(words, key=lambda key: len(fitting[key]))
        fitting[longest] = fitting[longest][: len(fitting[longest]) // 2]
        text = json.dumps(fitting).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(descriptor, text.ljust(_RECORD - 1) + b"\n", 0)
        os.fsync(descriptor)
    except OSError:
        if os.fstat(descriptor).st_size == 0:  # made just now on a full disk: an empty record would say nothing
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def append(path: str, text: bytes) -> int:
    """Add lines to a file, which is made where it is missing; its size then. Raises OSError, and has added nothing.

    What is no plain file (a FIFO, a link) is refused. On a full disk the half that fitted is taken back: it would spoil
    the next line.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        written = os.write(descriptor, text)
        size = os.fstat(descriptor).st_size
        if written < len(text):
            if os.lseek(descriptor, 0, os.SEEK_CUR) == size:  # else another has written behind us
                os.ftruncate(descriptor, size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(descriptor)
    return size
