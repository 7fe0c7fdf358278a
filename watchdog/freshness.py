"""The file by which a bot shows that it works, looked at by a thread: the disk that it lies on may be dead."""

from __future__ import annotations

import _thread
import os

WAIT = 0.5
"""Seconds that the guard waits for an answer."""

UNKNOWN: tuple[int, ...] = ()
"""In place of what a file is like: its disk has not answered yet."""


class File:
    """A file by its path, empty for none. At most one thread asks for it, for as long as the answer takes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._asking: _thread.LockType | None = None
        self._found: tuple[int, ...] | None = None

    def look(self) -> tuple[int, ...] | None:
        """Device, inode, size and mtime (ns); None when it is missing, `UNKNOWN` when that cannot be told yet."""
        if not self._path:
            return None
        patience = 0.0
        if self._asking is None:
            asking, patience = _thread.allocate_lock(), WAIT
            asking.acquire()
            try:
                _thread.start_new_thread(self._ask, (asking,))
            except RuntimeError:  # this process may have no more threads
                return UNKNOWN
            self._asking = asking
        if not self._asking.acquire(timeout=patience):
            return UNKNOWN
        self._asking = None
        return self._found

    def _ask(self, asking: _thread.LockType) -> None:
        try:
            found = os.stat(self._path)  # never opened: it may be a FIFO
            self._found = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        except OSError:
            self._found = None
        finally:
            asking.release()
