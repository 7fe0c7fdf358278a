"""inotify(7) by libc: what happens to the names in one directory, in order and without polling."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

MODIFY, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x40, 0x80, 0x100, 0x200

_HEAD = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Directory:
    """The events of a directory; `descriptor` is readable when there are some."""

    def __init__(self, path: Path) -> None:
        self.descriptor = self._checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        mask = MODIFY | MOVED_FROM | MOVED_TO | CREATE | DELETE
        self._checked(_LIBC.inotify_add_watch(self.descriptor, os.fsencode(path), mask))

    def events(self) -> Iterator[tuple[int, str]]:
        """What has happened since the last call: a mask and a name each."""
        try:
            data = os.read(self.descriptor, 65536)
        except BlockingIOError:
            return
        while data:
            _, mask, _, length = _HEAD.unpack_from(data)
            name = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0")
            data = data[_HEAD.size + length :]
            yield mask, os.fsdecode(name)

    def close(self) -> None:
        """Stop watching."""
        os.close(self.descriptor)

    @staticmethod
    def _checked(answer: int) -> int:
        if answer < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        return answer
