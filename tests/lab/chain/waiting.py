"""Waiting for something to come true, with an end and a sentence for the failure."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two looks; short beside everything that is waited for.
LOOK_EVERY = 0.01


def until(true: Callable[[], object], timeout: float, what: str) -> float:
    """Look until it is true; returns how many seconds that took.

    Raises AssertionError, naming `what`, after `timeout` seconds.
    """
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > timeout:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(LOOK_EVERY)
    return time.monotonic() - began
