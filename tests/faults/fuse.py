"""A file system in user space, a real one (fuse(4)), whose answers the test decides: root's, flat, empty at first.

It speaks just enough of the protocol for locks and small files. A file in `silent` is never opened: whoever tries hangs
in the kernel, in state D, and not even SIGKILL ends that until the test speaks or leaves.
A ``dead`` disk answers nobody.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import subprocess
import threading
from pathlib import Path

LOOKUP, GETATTR, SETATTR, OPEN, READ, WRITE = 1, 3, 4, 14, 15, 16
RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, CREATE = 18, 25, 26, 27, 28, 29, 35
UNANSWERED = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET

_REQUEST = struct.Struct("IIQQIIIHH")
_ANSWER = struct.Struct("IiQ")
_OPENED = bytes(16)


class Fuse:
    """A context manager: mounted at ``folder`` while it is entered."""

    def __init__(self, folder: Path, files: dict[str, bytes] | None = None) -> None:
        self.silent: set[str] = set()
        self.dead = False
        self.ignored: list[int] = []
        self._folder = folder
        self._names = list(files or {})
        self._content = list((files or {}).values())
        self.waiting: list[int] = []
        self._device = -1
        self._server = threading.Thread(target=self._serve, name="fuse", daemon=True)

    def __enter__(self) -> Fuse:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0"
        argv = ["mount", "-i", "-t", "fuse", "-o", options, "test", str(self._folder)]
        subprocess.run(argv, check=True, pass_fds=[self._device])
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.speak()
        subprocess.run(["umount", "-l", str(self._folder)], check=True)

    def speak(self) -> None:
        """Answer those that were left waiting."""
        self.silent.clear()
        self.dead = False
        while self.ignored:
            self._send(self.ignored.pop(), b"", -errno.EIO)
        while self.waiting:
            self._send(self.waiting.pop(), _OPENED)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # ENODEV: not mounted any more, and nobody uses it
            while True:
                request = os.read(self._device, 1 << 18)
                _, code, unique, node, *_ = _REQUEST.unpack_from(request)
                if code not in UNANSWERED:
                    self._handle(code, unique, node, request[_REQUEST.size :])
        os.close(self._device)

    def _handle(self, code: int, unique: int, node: int, body: bytes) -> None:
        if self.dead:
            self.ignored.append(unique)
            return
        if code == OPEN and self._names[node - 2] in self.silent:
            self.waiting.append(unique)
            return
        try:
            self._send(unique, self._answer(code, node, body))
        except OSError as error:
            self._send(unique, b"", -(error.errno or errno.EIO))

    def _answer(self, code: int, node: int, body: bytes) -> bytes:
        if code in (READ, WRITE):
            return self._transfer(code, node, body)
        if code in (LOOKUP, CREATE):
            name = body[16 if code == CREATE else 0 :].rstrip(b"\0").decode()
            if code == CREATE:
                self._names.append(name)
                self._content.append(b"")
            return self._entry(name) + (_OPENED if code == CREATE else b"")
        fixed = {
            INIT: struct.pack("IIIIHHIIHHI7I", 7, 31, 1 << 16, 0, 16, 12, 1 << 16, 1, 0, 0, *[0] * 8),
            **dict.fromkeys((GETATTR, SETATTR), bytes(16) + self._attributes(max(1, node))),
            **dict.fromkeys((OPEN, OPENDIR), _OPENED),
            **dict.fromkeys((READDIR, RELEASE, RELEASEDIR, FLUSH), b""),
        }
        if code not in fixed:
            raise OSError(errno.ENOSYS, "not spoken here")
        return fixed[code]

    def _transfer(self, code: int, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("QQI", body)
        before = self._content[node - 2]
        if code == READ:
            return before[offset : offset + size]
        self._content[node - 2] = before[:offset] + body[40 : 40 + size] + before[offset + size :]
        return struct.pack("II", size, 0)

    def _entry(self, name: str) -> bytes:
        if name not in self._names:
            raise FileNotFoundError(errno.ENOENT, name)
        node = self._names.index(name) + 2
        return struct.pack("QQQQII", node, 0, 0, 0, 0, 0) + self._attributes(node)

    def _attributes(self, node: int) -> bytes:
        mode = stat.S_IFDIR | 0o700 if node == 1 else stat.S_IFREG | 0o600
        size = 0 if node == 1 else len(self._content[node - 2])
        return struct.pack("6Q10I", node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _send(self, unique: int, body: bytes, error: int = 0) -> None:
        os.write(self._device, _ANSWER.pack(_ANSWER.size + len(body), error, unique) + body)
