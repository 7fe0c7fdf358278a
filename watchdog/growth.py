"""What samples tell: too much of something, growth, and how long this bot's silences are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from . import quiet
from .clock import human
from .limits import Limits
from .model import Sign
from .samples import Sample
from .units import size

KINDS = ("memory", "cpu", "descriptors")
"""The kinds of sign that samples give."""

ENOUGH = 1000
WEEK = 7 * 86_400
"""A silence is suggested by so many samples at least, which is most of a day, and by those of so many seconds."""

LEAST = 300
MARGIN = 3
"""The least suggestion in seconds, and how many times the longest silence it is."""

GROWTH_OVER = 6 * 3600
_GROWTH_FROM = 3600


class Trend(NamedTuple):
    """How many bytes of memory a bot has gained (or lost) in how many seconds."""

    gained: int
    seconds: int
    now: int

    @property
    def text(self) -> str:
        """``grew 12.0 MB in 4 h 30 min, to 132.0 MB``: completes "memory …"."""
        verb = "grew" if self.gained >= 0 else "shrank"
        return f"{verb} {size(abs(self.gained))} in {human(self.seconds)}, to {size(self.now)}"


def over(recent: tuple[Sample, ...], limits: Limits, now: float) -> tuple[Sign, ...]:
    """Signs by thresholds, one a kind, from the samples of this life of the bot, the newest last.

    ``now``: seconds since boot at the newest one; ``since`` of a sign is when the first of those above was taken. What
    has sunk below its limit again is no proof.
    """
    enough, of = limits.of
    recent = recent[-of:]
    found = []
    for kind, limit, values, words in _measures(recent, limits):
        above = [number for number, value in enumerate(values) if value > limit]
        if limit > 0 and len(above) >= enough:
            since = now - (len(recent) - 1 - above[0]) * limits.sample_every
            text = words.format(f"in {len(above)} of the last {len(recent)} samples")
            proof = values[-1] > limit and kind in limits.restart_on
            found.append(Sign(kind, proof, text, since, values[-1], limit))
    return tuple(found)


def trend(samples: Sequence[Sample]) -> Trend | None:
    """Memory's growth within the last six hours; None below an hour's samples.

    From the median of the first quarter to that of the last, so that single peaks do not count. A bot that was
    restarted meanwhile has begun anew: give the samples of one life.
    """
    within = [sample for sample in samples if 0 <= samples[-1].utc - sample.utc <= GROWTH_OVER]
    if len(within) < 8 or within[-1].utc - within[0].utc < _GROWTH_FROM:
        return None
    quarter = len(within) // 4
    first, last = within[:quarter], within[-quarter:]
    begin, end = (_median([sample.memory for sample in part]) for part in (first, last))
    seconds = _median([sample.utc for sample in last]) - _median([sample.utc for sample in first])
    return Trend(end - begin, seconds, end)


def suggestion(samples: Sequence[Sample], deaf_bytes: int, hours: quiet.Hours = quiet.NONE) -> float | None:
    """Seconds for WATCHDOG_DEAF_AFTER: a multiple of this bot's longest silence in a week, in whole minutes.

    None when a day's samples are not there yet, or none of them had a connection. Silence is what `judgement` takes for
    it: also without a connection, once there was one, and not in quiet hours. Twice ``deaf_bytes`` a minute count as
    silence here, since a steady trickle at little more than once as much is heard there only after many minutes. Of a
    gap between samples nobody knows: it ends a silence.
    """
    recent = [sample for sample in samples if samples[-1].utc - sample.utc <= WEEK]
    linked = next((number for number, sample in enumerate(recent) if sample.connections), len(recent))
    recent = recent[linked:]
    spans = [(before.utc, sample.utc, sample.received) for before, sample in zip(recent, recent[1:])]
    usual = _median([end - begin for begin, end, _ in spans]) if spans else 0
    known = silent = longest = 0
    for begin, end, received in spans:
        span = end - begin
        if not 0 < span <= 3 * usual or quiet.awake(hours, begin, end) < span:
            silent = 0
            continue
        known += 1
        silent = silent + span if received * 60 <= 2 * deaf_bytes * span else 0
        longest = max(longest, silent)
    if known < ENOUGH:
        return None
    seconds = max(LEAST, 5 * usual, MARGIN * longest)
    return float(-(-seconds // 60) * 60)


_Measure = tuple[str, float, Sequence[float], str]


def _measures(recent: tuple[Sample, ...], limits: Limits) -> list[_Measure]:
    """Kind, limit, values and words of all that has a limit; ``{}`` stands for how often it was exceeded."""
    if not recent:
        return []
    last = recent[-1]
    share = limits.descriptors
    return [
        (
            "memory",
            limits.memory,
            [sample.memory for sample in recent],
            f"used more than {size(limits.memory)} of memory {{}}, now {size(last.memory)}",
        ),
        (
            "cpu",
            limits.cpu,
            [sample.cpu for sample in recent],
            f"used more than {limits.cpu:g} % of a core {{}}, now {last.cpu:.1f} %",
        ),
        (
            "descriptors",
            share * last.ceiling,
            [sample.descriptors for sample in recent],
            f"had more than {share * 100:g} % of its descriptors open {{}}, now {last.descriptors} of {last.ceiling}",
        ),
    ]


def _median(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]
