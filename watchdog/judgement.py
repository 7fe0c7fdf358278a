"""Whether a living bot works: the signs against it, each with its evidence in one sentence. Pure.

To restart a healthy bot is worse than to be late for a sick one. A sign is a proof only where no healthy bot looks like
that for its whole time; docs/verdicts.md says what was thought of. Seconds of CLOCK_BOOTTIME; UTC is for quiet hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import TICKS_PER_SECOND, human
from .evidence import READS, Case, Track, gather, opened
from .model import Sign
from .units import size

if TYPE_CHECKING:
    from .limits import Limits
    from .vitals import Look

__all__ = ["Case", "judge", "opened"]

STOPPED = 60.0
"""Seconds in state T that are enough, where HANG_AFTER is longer."""

BEATS = 5
"""Heartbeats after which their pace is known."""

PACE = 4
"""So many times the longest gap between two heartbeats is the deadline that is learned."""

PATIENCE = 15
"""So many times HANG_AFTER a bot may compute without the heartbeat whose pace was learned."""

IDLE = 0.1
"""Below this share of a core since the last heartbeat it does not compute."""

CALM = 5
"""Looks in a row without want of CPU, or a debugger, that a proof needs where such a bot would look the same."""


def judge(case: Case, look: Look, limits: Limits, utc: float, vows: float | None) -> tuple[Case, tuple[Sign, ...]]:
    """One more look: what is remembered, and the signs there are now.

    ``vows``: the seconds between two heartbeats that the bot itself promised (``WATCHDOG_USEC=``, sd_notify(3)).
    ``doubt`` of the case asks for the next look to count the threads' context switches.
    A look that comes too soon after another, as for a sample, tells nothing new.
    """
    if case.look is not None and 0 <= look.at - case.at < limits.look_every / 2:
        return case, case.signs
    case = gather(case, look, limits, utc)
    found = (
        _stopped(case, look, limits),
        _backlog(case, look, limits),
        _heartbeat(case, look, limits, vows),
        _file(case, look, limits),
        _deaf(case, look, limits),
    )
    signs = tuple(sign._replace(proof=sign.proof and sign.kind in limits.restart_on) for sign in found if sign)
    late = look.beats > 0 and _silence(case, look) > (limits.heartbeat or vows or limits.hang_after) / 2
    doubt = bool(signs) or late or any(track.backlog and track.since < look.at for track in case.tracks)
    return case._replace(doubt=doubt, signs=signs), signs


def acquits(case: Case, look: Look, kinds: tuple[str, ...], limits: Limits) -> bool:
    """Whether a bot without signs was watched for so long that it would have shown these again, if it had them.

    After maintenance, a suspended host or another guard there is no sign of anything at first.
    """
    hang = limits.hang_after / 2  # after which there is a doubt
    spans = {"stopped": hang, "backlog": hang, "heartbeat": limits.heartbeat or limits.hang_after}
    spans |= {"file": limits.fresh_after, "deaf": limits.deaf_after}
    if "heartbeat" in kinds and not look.beats:  # of one that is not known to beat none is missed
        return False
    return look.at - case.fresh >= max((spans.get(kind, 0.0) for kind in kinds), default=0.0)


def warier(wary: float, signs: tuple[Sign, ...], limits: Limits, vows: float | None) -> float:
    """`Case.wary` for the lives after one with these signs: a habit that was broken once is less of a proof.

    A bot whose heartbeats come more slowly after a while would otherwise be restarted for that again and again.
    """
    broken = [sign.measured for sign in signs if sign.kind == "heartbeat" and sign.proof]
    if limits.heartbeat or vows or not broken:
        return wary
    return max(wary, min(2 * max(broken), PATIENCE * limits.hang_after))


def _stopped(case: Case, look: Look, limits: Limits) -> Sign | None:
    limit = min(STOPPED, limits.hang_after)
    if not limit or case.halted is None or look.at - case.halted < limit / 2:
        return None
    lasted = look.at - case.halted
    text = f"has been stopped (state T) for {human(lasted)} (limit {human(limit)})"
    return Sign("stopped", lasted >= limit, text, case.halted, lasted, limit)


def _backlog(case: Case, look: Look, limits: Limits) -> Sign | None:
    limit = max(limits.hang_after, 2 * case.slept)  # as long again as it slept and then went on by itself
    asleep = [track for track in case.tracks if track.fed and track.reads >= READS and _nap(case, track) >= limit]
    stalled = [track for track in case.tracks if track.fed and look.at - track.since >= _stall(case, limits) / 2]
    if not limits.hang_after or not (asleep or stalled):
        return None
    track = min(asleep or stalled, key=lambda track: track.since)
    limit = limit if asleep else _stall(case, limits)
    lasted = look.at - track.since
    what = f"has not read {size(track.backlog)} from {track.peer}"
    text = f"{what} for {human(lasted)}, {_threads(case, look, track)} (limit {human(limit)})"
    return Sign("backlog", bool(asleep), text, track.since, lasted, limit)


def _heartbeat(case: Case, look: Look, limits: Limits, vows: float | None) -> Sign | None:
    if not limits.hang_after or not look.beats:
        return None
    silence, said = _silence(case, look), limits.heartbeat or vows
    limit = said or max(limits.hang_after / 2, PACE * look.longest)
    if silence <= limit or not (said or look.beats >= BEATS):
        return None
    if said:
        proof, why = case.calm >= CALM, "as set" if limits.heartbeat else "as it promised"
    else:
        proof, why = _corroborated(case, look, limits, limit), f"{human(look.longest)} at most until then"
    text = f"has sent no heartbeat for {human(silence)} (limit {human(limit)}, {why})"
    return Sign("heartbeat", proof, text, look.at - silence, silence, limit)


def _corroborated(case: Case, look: Look, limits: Limits, limit: float) -> bool:
    """Whether more than silence speaks against the bot: where data make the heartbeats, a quiet market has none."""
    silence = _silence(case, look)
    waiting = any(
        track.fed and track.since > look.at - silence and look.at - track.since >= _stall(case, limits)
        for track in case.tracks
    )
    at, ticks = case.pulse
    idle = (look.ticks - ticks) / TICKS_PER_SECOND < IDLE * (look.at - at)
    patience = max(2 * limit, case.wary, 0.0 if idle else PATIENCE * limits.hang_after)
    return silence > patience and (waiting or not case.wired) and case.calm >= CALM


def _file(case: Case, look: Look, limits: Limits) -> Sign | None:
    lasted = look.at - case.filed
    if not limits.fresh_after or lasted < limits.fresh_after or not (case.changed or look.file):
        return None
    what = "has not changed its file" if look.file else "has not made its file again"
    text = f"{what} for {human(lasted)} (limit {human(limits.fresh_after)})"
    proof = case.changed and case.calm >= CALM  # a file that was never seen to change is not kept by this bot
    return Sign("file", proof, text, case.filed, lasted, limits.fresh_after)


def _deaf(case: Case, look: Look, limits: Limits) -> Sign | None:
    lasted = look.at - case.silent
    if not limits.deaf_after or lasted < limits.deaf_after or not case.linked:
        return None
    text = (
        f"has received {size(case.heard)} over TCP in {human(lasted)} (limit {human(limits.deaf_after)}; "
        f"{limits.deaf_bytes} bytes a minute are silence)"
    )
    return Sign("deaf", case.calm >= CALM, text, case.silent, lasted, limits.deaf_after)


def _silence(case: Case, look: Look) -> float:
    """Seconds without a heartbeat, as far as they were watched."""
    return look.at - max(look.beat_at or 0.0, case.fresh)


def _stall(case: Case, limits: Limits) -> float:
    """Seconds for which data may lie unread: a bot that read them after a long time once may take so long again."""
    return max(limits.hang_after, 2 * case.borne)


def _threads(case: Case, look: Look, track: Track) -> str:
    """What the threads did beside the unread data. They are counted from the second look on that found some."""
    nap = _nap(case, track)
    if nap:
        return "all its threads asleep" + ("" if 2 * nap >= look.at - track.since else f" for {human(nap)}")
    return "and its threads do run" if look.switches is not None else "and of its threads nothing is known"


def _nap(case: Case, track: Track) -> float:
    """Seconds for which this connection was unread and all threads asleep."""
    return 0.0 if case.frozen is None else case.at - max(case.frozen, track.since)
