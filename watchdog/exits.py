"""How a bot ended: code or signal, as far as the kernel tells."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import time
from typing import Any, NamedTuple

from . import clock

_PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, struct pidfd_info, 64 bytes): include/uapi/linux/pidfd.h
_PIDFD_INFO_EXIT = 1 << 3
_INFO_SIZE = 64
_EXIT_CODE_AT = 60


class Exit(NamedTuple):
    """``code`` and ``signal`` are None where they do not apply or nobody knows; ``text`` completes "the bot …"."""

    code: int | None
    signal: int | None
    text: str

    @property
    def orderly(self) -> bool:
        """False for deaths that no shutdown of the host causes, such as SIGKILL and crashes."""
        return self.signal in (None, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def document(self) -> dict[str, Any]:
        """The JSON object that ``status`` shows as ``last_exit``."""
        return {"time": clock.stamp(), "code": self.code, "signal": self.signal, "text": self.text}


def of(pid: int, pidfd: int, child: bool) -> Exit:
    """The end of a process that has ended; a child is reaped."""
    status = None
    if child:
        try:
            reaped, found = os.waitpid(pid, os.WNOHANG)  # not for ever: a tracer may keep the zombie (ptrace(2))
            status = found if reaped else None
        except ChildProcessError:
            pass
    if status is None:
        status = _ask_kernel(pidfd)
    if status is None:
        return Exit(None, None, "ended (cause unknown: it was not a child of this guard)")
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return Exit(None, -code, f"was killed by {signal_name(-code)}")
    return Exit(code, None, f"ended with exit code {code}")


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _ask_kernel(pidfd: int) -> int | None:
    """Wait status of any process behind a pidfd, from Linux 6.15 on and once its parent has reaped it; else None."""
    for _ in range(2):
        buffer = bytearray(_INFO_SIZE)
        struct.pack_into("Q", buffer, 0, _PIDFD_INFO_EXIT)
        try:
            fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
        except OSError:
            return None
        if struct.unpack_from("Q", buffer, 0)[0] & _PIDFD_INFO_EXIT:
            return int(struct.unpack_from("i", buffer, _EXIT_CODE_AT)[0])
        time.sleep(0.001)  # init reaps in microseconds, but after us
    return None
