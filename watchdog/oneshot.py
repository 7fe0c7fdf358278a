"""One pass without a guard: hold ``guard.lock``, run the engine until the operation is settled, let go."""

from __future__ import annotations

import select
from typing import Callable

from . import clock
from .engine import Engine
from .outcome import Operation, Result

GLANCE = 0.2
"""Seconds between looks at the operator's word: a `stop` cannot reach us otherwise."""


def run(engine: Engine, operation: Callable[[Callable[[Result], None]], Operation], limit: float) -> Result:
    """Settle one operation within ``limit`` seconds, or say how far it came. The caller holds the guard lock."""
    results: list[Result] = []
    end = clock.now() + limit
    try:
        engine.begin(operation(results.append))
        while not results and clock.now() < end:
            poll = select.poll()
            for descriptor in engine.descriptors():
                poll.register(descriptor, select.POLLIN)
            until = min(engine.deadline(), end, clock.now() + GLANCE)
            poll.poll(max(0.0, until - clock.now()) * 1000 + 1)
            engine.advance()
        if not results:
            engine.abandon()
    finally:
        engine.close()
    return results[0]
