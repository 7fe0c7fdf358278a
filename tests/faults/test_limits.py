"""What the kernel may refuse a guard: descriptors, memory, processes. It lives on, or its heir does, and catches up.

The limit is set on the live guard (prlimit(2)), then its bot is killed. While the limit holds there may or may not be a
bot, but never two; once it is lifted there is exactly one, and a guard that answers watches it.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable

import pytest

from tests.process import oracle
from tests.process.world import World


def no_descriptor(guard: int) -> tuple[int, int]:
    """EMFILE at every open."""
    return resource.RLIMIT_NOFILE, 1 + max(int(name) for name in os.listdir(f"/proc/{guard}/fd"))


def no_memory(guard: int) -> tuple[int, int]:
    """ENOMEM at every mmap and brk; what it starts inherits the limit and cannot live."""
    return resource.RLIMIT_AS, 4096


def no_process(guard: int) -> tuple[int, int]:
    """EAGAIN at every fork; root is exempt (setrlimit(2))."""
    return resource.RLIMIT_NPROC, 0


Limit = Callable[[int], tuple[int, int]]

LIMITS = [no_descriptor, no_memory, pytest.param(no_process, marks=pytest.mark.needs_user)]


def set_soft(pid: int, what: int, value: int | None) -> None:
    """Set the limit of a live process; None lifts it."""
    hard = resource.prlimit(pid, what)[1]
    resource.prlimit(pid, what, (hard if value is None else value, hard))


@pytest.mark.fault("F71")
@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_guard_that_is_refused_everything_catches_up_once_it_is_not(world: World, limit: Limit) -> None:
    guard = world.guard()
    pid = world.until_running()
    what, value = limit(guard)
    set_soft(guard, what, value)
    world.kill(pid)
    oracle.until(
        lambda: world.guards != [guard] or len(world.events()) > 2, "it has met the limit, or its heir takes over"
    )
    assert len(world.bots()) <= 1
    for one in {guard, *world.guards, *world.bots()}:
        if oracle.alive(one):
            set_soft(one, what, None)
    new = world.until_running(other_than=pid)
    world.until_guarded()
    assert world.status()["guard"]["answers"] and world.bots() == [new]
    world.kill(new)
    assert world.until_bot(other_than=new), "and all is as it was"
