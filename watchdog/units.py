"""Amounts of data in words. (`clock.human` words durations.)"""

from __future__ import annotations


def size(count: int) -> str:
    """Bytes for people, in powers of 1000: ``512 bytes``, ``18.2 kB``, ``132.0 MB``."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    return f"{count / 1e3:.1f} kB" if count < 999_950 else f"{count / 1e6:.1f} MB"
