"""Did the kernel kill the bot for want of memory? Counters tell; the log of the kernel is not ours to read.

The kernel counts every such kill in the victim's memory cgroup (``memory.events``, or ``memory.oom_control`` in
cgroup v1) and for the whole machine (``oom_kill`` in /proc/vmstat): Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from typing import NamedTuple

_MACHINE = "/proc/vmstat"
_COUNTER = b"oom_kill "


class Gauge(NamedTuple):
    """Where kills near one process are counted, the nearest place first, and how many there were."""

    counts: tuple[tuple[str, int], ...] = ()

    def risen(self) -> bool | None:
        """True when there has been a kill since; None when nothing can be read any more.

        The nearest counter that still exists decides: a kill elsewhere on the machine is none of ours.
        """
        for path, before in self.counts:
            now = _count(path)
            if now is not None:
                return now > before
        return None


def gauge(pid: int) -> Gauge:
    """The counters as they stand, for a process that lives. Never raises OSError."""
    counted = ((path, _count(path)) for path in (*_cgroup_files(pid), _MACHINE))
    return Gauge(tuple((path, count) for path, count in counted if count is not None))


def _cgroup_files(pid: int) -> list[str]:
    """The event files of the memory cgroups that a process is in (cgroups(7)). The root of v2 has none."""
    found = []
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                if "memory" in controllers.split(","):
                    found.append(f"/sys/fs/cgroup/memory{path}/memory.oom_control")
                elif not controllers:
                    found.append(f"/sys/fs/cgroup{path}/memory.events")
    except (OSError, ValueError):
        pass
    return found


def _count(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            for line in file:
                if line.startswith(_COUNTER):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return None
