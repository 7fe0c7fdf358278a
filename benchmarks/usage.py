"""What processes cost, by the word of the kernel: memory and processor time, read from /proc by this machine's PIDs."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def pss_kb(rollup: str) -> int:
    """The proportional set size in the text of smaps_rollup: a page that n processes share counts 1/n for each."""
    found = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
    return int(found[1]) if found else 0


def children_s(stat: str) -> float:
    """Seconds of processor time of the children that were waited for, from the text of /proc/PID/stat."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICK


def memory_mb(pids: Iterable[int]) -> float:
    """PSS of all of them together; one that has ended meanwhile counts nothing."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += pss_kb(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return total / 1024


def cpu_s(pids: Iterable[int]) -> float:
    """Processor time of all of them, to the nanosecond, and of their dead children, to the clock tick."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            threads = list(Path(f"/proc/{pid}/task").iterdir())
            total += sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
            total += children_s(Path(f"/proc/{pid}/stat").read_text())
    return total


def parent(pid: int) -> int:
    """Its parent's PID, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_line(pid: int) -> tuple[str, ...]:
    """The words of a process's command line, empty if it is gone or a zombie."""
    try:
        return tuple(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1])
    except OSError:
        return ()
