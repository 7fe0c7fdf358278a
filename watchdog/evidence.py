"""What is remembered between two looks at one life of the bot: since when what has been so, and what it got over. Pure.

Every moment is in seconds of CLOCK_BOOTTIME. Time counts from look to look: what was not looked at is not held against
the bot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import quiet
from .clock import TICKS_PER_SECOND
from .freshness import UNKNOWN
from .sockets import arrived

if TYPE_CHECKING:
    from .limits import Limits
    from .model import Sign
    from .sockets import Stream
    from .vitals import Look

GAP = 3
"""After so many times the interval between looks without one, the host or the guard slept: all counts anew."""

FULL = 64 * 1024
"""Bytes of unread data after which it does not matter whether more arrives: the other side may have to wait."""

SHARE = 0.25
"""A bot that wants to run and gets less of a core is overloaded."""

READS = 3
"""Looks that must have found a connection read before it shows, by itself, that its reader hangs."""

_MINUTE = 60.0


class Track(NamedTuple):
    """One connection. ``since``: nothing was read from it since that look. ``reads``: looks that saw it had been read.

    ``taken``: bytes that the bot has read in all; ``begun``: bytes received by ``since``. ``fed``: it was open, and so
    much came in after ``since`` that it is no pool of idle connections with a farewell in them.
    """

    key: int
    peer: str
    since: float
    taken: int
    begun: int
    received: int
    backlog: int
    reads: int
    fed: bool


class Case(NamedTuple):
    """All that is known of one life of the bot.

    ``fresh``: nothing before that moment counts. ``halted``, ``frozen``: stopped, all threads asleep since that look.
    ``borne``: the longest time for which it left data unread and then read them, ``slept``: for which all its threads
    slept beside unread data and then went on. ``calm``: looks in a row that did not find it wanting to run without
    getting a core, or held by a debugger. ``pulse``: when a look last saw a new heartbeat, and the CPU ticks then.
    ``wired``: it had a TCP connection, or that could not be told; ``linked``: it kept one from look to look. ``filed``:
    when the file was last seen to change, ``changed``: that it did in this life. ``silent``: since when there were
    keep-alives at most, ``heard``: bytes since then, ``level``: how near they are to being data. ``wary``:
    seconds without a heartbeat, of a pace that was learned, which prove nothing after what happened to an earlier life.
    ``doubt``: look closely the next time. ``signs``: what the last look came to.
    """

    at: float
    fresh: float
    look: Look | None = None
    halted: float | None = None
    frozen: float | None = None
    tracks: tuple[Track, ...] = ()
    borne: float = 0.0
    slept: float = 0.0
    calm: int = 0
    pulse: tuple[float, int] = (0.0, 0)
    wired: bool = False
    linked: bool = False
    filed: float = 0.0
    changed: bool = False
    silent: float = 0.0
    heard: int = 0
    level: float = 0.0
    wary: float = 0.0
    doubt: bool = False
    signs: tuple[Sign, ...] = ()


def opened(at: float, wary: float = 0.0) -> Case:
    """A new life, or one that we come to. ``wary`` as in `Case`."""
    return Case(at, at, wary=wary)


def gather(case: Case, look: Look, limits: Limits, utc: float) -> Case:
    """What is known after one more look."""
    before, elapsed = case.look, look.at - case.at
    if before is None or not 0 <= elapsed <= GAP * limits.look_every:
        return _anew(case, look)
    frozen = (case.frozen or before.at) if _asleep(before, look) else None
    tracks = _follow(case, look, limits, frozen)
    halted = None
    if look.state == "T":
        halted = case.halted if case.halted is not None and _stands(before, look) else look.at
    share = (look.ticks - before.ticks) / TICKS_PER_SECOND / max(elapsed, 0.001)
    strained = look.state == "t" or (look.working and share < SHARE)
    case = case._replace(
        at=look.at,
        look=look,
        halted=halted,
        frozen=frozen,
        tracks=tracks,
        borne=max([case.borne, *_borne(case.tracks, tracks, look.at)]),
        slept=case.slept if frozen is not None else max([case.slept, *_naps(case, look.at)]),
        calm=0 if strained else case.calm + 1,
        pulse=case.pulse if look.beats == before.beats else (look.at, look.ticks),
        wired=case.wired or look.streams != (),
        linked=case.linked or bool(_kept(before) & _kept(look)),
    )
    awake = quiet.awake(limits.quiet, utc - elapsed, utc) > elapsed - 0.001
    return _listen(_watch(case, before, look, awake), before, look, limits, elapsed, awake)


def _anew(case: Case, look: Look) -> Case:
    """Every window begins with this look; what the bot has shown before stays known."""
    reads = {track.key: track.reads for track in case.tracks}
    return case._replace(
        at=look.at,
        fresh=look.at,
        look=look,
        halted=look.at if look.state == "T" else None,
        frozen=None,
        calm=0,
        tracks=tuple(_begun(stream, look.at, reads.get(stream.key, 0)) for stream in look.streams or ()),
        pulse=(look.at, look.ticks),
        wired=case.wired or look.streams != (),
        filed=look.at,
        silent=look.at,
        heard=0,
        level=0.0,
    )


def _stands(before: Look, look: Look) -> bool:
    """Whether no thread did anything between two looks. (cpulimit(1) stops a bot, and lets it go, all the time.)"""
    counted = None not in (before.switches, look.switches)
    return look.ticks == before.ticks and (look.switches == before.switches or not counted)


def _asleep(before: Look, look: Look) -> bool:
    """Whether it is sure that no thread did anything between two looks, and none wants to."""
    known = before.switches is not None and look.switches is not None
    return known and _stands(before, look) and not before.working and not look.working


def _follow(case: Case, look: Look, limits: Limits, frozen: float | None) -> tuple[Track, ...]:
    """Every connection.

    A sleeping bot closes nothing: a connection that is gone while all threads sleep was closed by the other side, and
    what was unread in it stays unread.
    """
    known = {track.key: track for track in case.tracks}
    tracks = [_next(known.pop(one.key, None), one, look.at, limits.deaf_bytes) for one in look.streams or ()]
    return (*tracks, *(track for track in known.values() if frozen is not None and track.fed))


def _borne(before: tuple[Track, ...], tracks: tuple[Track, ...], at: float) -> list[float]:
    """For how long it left unread what it has read now."""
    reads = {track.key: track.reads for track in tracks}
    return [at - old.since for old in before if old.fed and reads.get(old.key, 0) > old.reads]


def _naps(case: Case, at: float) -> list[float]:
    """For how long all threads slept beside unread data, if they did until now."""
    return [] if case.frozen is None else [at - max(old.since, case.frozen) for old in case.tracks if old.fed]


def _next(old: Track | None, stream: Stream, at: float, keepalive: int) -> Track:
    if old is None or stream.received < old.received:
        return _begun(stream, at, 0)
    if stream.taken > old.taken:
        return _begun(stream, at, old.reads + 1)
    if not stream.backlog or not old.backlog or (stream.closing and not old.fed):
        return _begun(stream, at, old.reads)
    fed = old.fed
    if not stream.closing:  # data that comes with the end of a connection is a farewell
        more = stream.received - old.begun
        full = stream.backlog >= FULL and old.reads >= READS  # not a download that was given up half-way
        fed = full or more > keepalive * max(1.0, (at - old.since) / _MINUTE)
    return old._replace(received=stream.received, backlog=stream.backlog, fed=fed)


def _begun(stream: Stream, at: float, reads: int) -> Track:
    received = stream.received
    return Track(stream.key, stream.peer, at, stream.taken, received, received, stream.backlog, reads, False)


def _kept(look: Look) -> set[int]:
    return {stream.key for stream in look.streams or () if not stream.closing}


def _watch(case: Case, before: Look, look: Look, awake: bool) -> Case:
    """The file: its change is measured by our own clock, whatever its time says."""
    if UNKNOWN in (before.file, look.file):  # a dead disk is no silence of the bot
        return case._replace(filed=look.at)
    if look.file != before.file:
        return case._replace(filed=look.at, changed=True)
    return case if awake else case._replace(filed=look.at)


def _listen(case: Case, before: Look, look: Look, limits: Limits, elapsed: float, awake: bool) -> Case:
    """The network: a level that sinks by the bytes of keep-alives, and runs over when there is more than that."""
    waiting = any(track.fed for track in case.tracks)  # it has not read what there is: that is another illness
    if look.streams is None or before.streams is None or waiting or not awake:
        return case._replace(silent=look.at, heard=0, level=0.0)
    came = arrived(before.streams, look.streams)
    level = max(0.0, case.level - limits.deaf_bytes * elapsed / _MINUTE) + came
    if level > limits.deaf_bytes:
        return case._replace(silent=look.at, heard=0, level=0.0)
    return case._replace(heard=case.heard + came, level=level)
