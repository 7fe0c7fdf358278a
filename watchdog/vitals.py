"""The state of the bot at one moment: what the kernel tells of it without its help, and what it said itself.

A look is cheap (0.3 ms for ten connections): the costly part, the context switches of every thread, is read only when
something speaks against the bot.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from . import clock, procfs, sockets
from .freshness import File
from .sockets import Book, Stream

_PAGE = os.sysconf("SC_PAGE_SIZE")
_ENDED = "ZX"


class Beats(NamedTuple):
    """The heartbeats (``WATCHDOG=1``, sd_notify(3)) of one life of the bot.

    ``at``: when the last one came, seconds of the clock of boot. ``longest``: the longest gap between two, seconds.
    """

    number: int = 0
    at: float | None = None
    longest: float = 0.0


class Look(NamedTuple):
    """The bot at ``at``, in seconds of the clock of boot.

    ``state`` is the letter of its main thread in /proc/PID/stat, ``ticks`` the CPU time of all threads in clock ticks.
    ``switches``: context switches of all threads; None when they were not counted. ``working``: a thread runs or waits
    for a disk (R, D), or a debugger has hold of it; where nothing was counted that is said of the main thread alone.
    ``file``: what the file that shows freshness is like (`freshness.File.look`); None when it is missing or not set.
    """

    at: float
    state: str
    ticks: int
    streams: tuple[Stream, ...] | None
    switches: int | None
    working: bool
    beats: int
    beat_at: float | None
    longest: float
    file: tuple[int, ...] | None


class Usage(NamedTuple):
    """What the bot uses. ``memory`` in bytes: shared pages in part (PSS), or in full (RSS) where that is hidden.

    ``descriptors`` are the open ones, ``ceiling`` how many it may have (the soft RLIMIT_NOFILE); None where the kernel
    does not tell or sets no limit. ``ticks``: CPU time of all threads so far, in clock ticks.
    """

    memory: int
    descriptors: int | None
    ceiling: int | None
    threads: int
    ticks: int


def heard(beats: Beats, now: float) -> Beats:
    """Another heartbeat came."""
    gap = 0.0 if beats.at is None else now - beats.at
    return Beats(beats.number + 1, now, max(beats.longest, gap))


def look(
    pid: int,
    before: Look | None = None,
    beats: Beats = Beats(),
    file: File | None = None,
    book: Book | None = None,
    closely: bool = False,
) -> Look | None:
    """Look at the bot; None when it has ended or is hidden. ``file`` is the one that it keeps changing.

    Threads are counted when the bot is stopped, when unread data waits of which nothing was read since ``before``, and
    when the caller has a doubt of its own and says ``closely``.
    """
    found = procfs.stat(pid)
    if found is None or found.state in _ENDED:
        return None
    streams = sockets.streams(pid, book)
    switches, working = None, found.state in "RDt"
    if closely or found.state == "T" or _unread(streams, before):
        switches, busy = _threads(pid)
        working = working or busy
    seen = file.look() if file else None
    return Look(clock.now(), found.state, found.ticks, streams, switches, working, *beats, seen)


def measure(pid: int) -> Usage | None:
    """What the bot uses now; None when it has ended or is hidden."""
    found = procfs.stat(pid)
    memory = _memory(pid)
    if found is None or memory is None or found.state in _ENDED:
        return None
    return Usage(memory, _descriptors(pid), _ceiling(pid), found.threads, found.ticks)


def _unread(streams: tuple[Stream, ...] | None, before: Look | None) -> bool:
    """Whether data waits on an open connection of which nothing was read since the look before."""
    if not streams or before is None or not before.streams:
        return False
    taken = {stream.key: stream.taken for stream in before.streams}
    return any(stream.backlog and not stream.closing and taken.get(stream.key) == stream.taken for stream in streams)


def _threads(pid: int) -> tuple[int | None, bool]:
    """Context switches of all threads, None when hidden; whether one runs, waits for a disk or is being traced."""
    switches, working = 0, False
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{thread}/status", "rb") as file:
                    lines = file.read().splitlines()
            except (FileNotFoundError, ProcessLookupError):
                continue  # this thread has ended since
            for line in lines:
                name, _, value = line.partition(b":")
                if name in (b"voluntary_ctxt_switches", b"nonvoluntary_ctxt_switches"):
                    switches += int(value)
                elif name == b"State":
                    working |= value.strip()[:1] in (b"R", b"D")
                elif name == b"TracerPid":
                    working |= int(value) != 0
    except OSError:
        return None, working
    return switches, working


def _memory(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # another user's, or one without memory of its own
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return None


def _descriptors(pid: int) -> int | None:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def _ceiling(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/limits", "rb") as file:
            for line in file:
                if line.startswith(b"Max open files"):
                    soft = line.split()[3]
                    return int(soft) if soft.isdigit() else None
    except OSError:
        pass
    return None
