"""What a list of measurements comes down to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

NOTHING = "-"
"""In a table, where there is no figure."""


class Summary(NamedTuple):
    """Of one list of measurements, in its own unit."""

    best: float
    median: float
    p95: float
    worst: float


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def summary(values: Sequence[float]) -> Summary | None:
    """None for no values."""
    if not values:
        return None
    return Summary(min(values), median(values), percentile(values, 0.95), max(values))


def number(value: float | None, digits: int = 1) -> str:
    """For a table; three figures are enough for large numbers."""
    if value is None:
        return NOTHING
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}f}"


def ratio(value: float | None, base: float | None) -> str:
    """How many times `base` it is."""
    return NOTHING if value is None or not base else f"{value / base:.2f} x"
