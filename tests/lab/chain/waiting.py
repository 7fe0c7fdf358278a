"""Waiting for something to come true, with an end and a sentence for the failure."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two looks, at least; short beside everything that is waited for.
LOOK_EVERY = 0.01


def until(true: Callable[[], object], timeout: float, what: str) -> float:
    """Look until it is true; returns how many seconds that took.

    Raises AssertionError, naming `what`, after `timeout` seconds.
    """
    began = looked = time.monotonic()
    while not true():
        now = time.monotonic()
        if now - began > timeout:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(max(LOOK_EVERY, now - looked))  # a look that takes long is work that others wait for
        looked = time.monotonic()
    return time.monotonic() - began
