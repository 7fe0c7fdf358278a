"""How a bot ended: code or signal, as far as the kernel tells."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import time
from typing import Any, NamedTuple

from . import clock, oom

_PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, struct pidfd_info, 64 bytes): include/uapi/linux/pidfd.h
_PIDFD_INFO_EXIT = 1 << 3
_INFO_SIZE = 64
_EXIT_CODE_AT = 60


class Exit(NamedTuple):
    """``code`` and ``signal`` are None where they do not apply or nobody knows; ``text`` completes "the bot …".

    ``oom``: the kernel killed it for want of memory; None when that cannot be told.
    """

    code: int | None
    signal: int | None
    text: str
    oom: bool | None = None

    @property
    def orderly(self) -> bool:
        """False for deaths that no shutdown of the host causes, such as SIGKILL and crashes."""
        return self.signal in (None, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def document(self, pid: int | None, output: str | None) -> dict[str, Any]:
        """The JSON object that ``status`` shows as ``last_exit``; ``last_lines`` of ``output`` are added later."""
        return {
            "time": clock.stamp(),
            "pid": pid,
            "code": self.code,
            "signal": self.signal,
            "oom": self.oom,
            "text": self.text,
            "output": output,
            "last_lines": [],
        }


def of(pid: int, pidfd: int, child: bool, memory: oom.Gauge | None = None) -> Exit:
    """The end of a process that has ended; a child is reaped. ``memory`` was read while it lived."""
    status = reap(pid) if child else None
    if status is None:
        status = _ask_kernel(pidfd)
    if status is None:
        return Exit(None, None, "ended (cause unknown: it was not a child of this guard)")
    return explain(status, memory)


def reap(pid: int) -> int | None:
    """Wait status of a child that has ended, None when there is nothing to reap."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)  # not for ever: a tracer may keep the zombie (ptrace(2))
    except ChildProcessError:
        return None
    return status if reaped else None


def explain(status: int, memory: oom.Gauge | None = None) -> Exit:
    """A wait status in words. SIGKILL counts as the kernel's own when it counted such a kill since ``memory``."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Exit(code, None, f"ended with exit code {code}", oom=False)
    starved: bool | None = False
    if code == -signal.SIGKILL:
        starved = memory.risen() if memory else None
    why = ", by the kernel, which was out of memory (OOM)" if starved else ""
    return Exit(None, -code, f"was killed by {signal_name(-code)}{why}", starved)


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
