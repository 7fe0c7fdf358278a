"""Stopping processes for good: TERM and CONT, a time of grace, KILL, and proof. Every signal goes through a pidfd.

A bot that hangs gets ABRT before KILL, where it has a handler for that: Python's faulthandler prints every stack.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal

from . import clock, exits, procfs
from .identity import Identity

KILL_WAIT = 5.0
"""Seconds a process may need to die of SIGKILL before it counts as stuck (D state, signal(7))."""

LEFTOVER_GRACE = 5.0
"""Seconds that children of a stopped bot get between TERM and KILL, at most."""

ABORT_WAIT = 3.0
"""Seconds that a hung bot may take to print its stacks (faulthandler: milliseconds) and die of SIGABRT."""

ROUNDS = 20
"""So many times children that came anew are stopped and killed together, before they count as stuck."""


_END = (signal.SIGTERM, signal.SIGCONT)  # a stopped process does not see TERM (signal(7))


class Ladder:
    """The stop of one bot: first its main process, then what is left of the session that we made for it.

    Drive it with `advance`; `descriptors` and `deadline` say when that is worth while. ``outcome`` becomes ``gone`` or
    ``stuck``; ``status`` is the main process's wait status where it was a child of ours.
    """

    def __init__(self, main: Identity, grace: float, leftovers_only: bool = False, hung: bool = False) -> None:
        self.main = main
        self._abort = hung and procfs.catches(main.pid, signal.SIGABRT)
        self.grace = grace
        self.outcome: str | None = None
        self.killed = False
        self.status: int | None = None
        self.deadline = 0.0
        self._stage = 0
        self._rounds = 0
        self._targets: dict[int, Identity] = {}
        if leftovers_only:
            self._stage = 2
            self._begin(self._leftovers(), min(self.grace, LEFTOVER_GRACE))
        elif self._abort and not procfs.catches(main.pid, signal.SIGTERM):  # TERM would end it before it can speak
            self._begin([main], 0.0, ())
        else:
            self._begin([main], grace)

    def descriptors(self) -> list[int]:
        """pidfds that become readable when a target dies (pidfd_open(2))."""
        return list(self._targets)

    def advance(self) -> None:
        """Look at the targets, go one rung down where the time is up, set ``outcome`` at the end."""
        for descriptor, target in list(self._targets.items()):
            if ended(descriptor):
                status = exits.reap(target.pid)
                if target is self.main:
                    self.status = status
                os.close(self._drop(descriptor))
        while self.outcome is None and (not self._targets or clock.now() >= self.deadline):
            self._next()

    def end(self) -> exits.Exit:
        """How the main process ended."""
        text = "was killed after the stop grace" if self.killed else "was stopped as asked"
        if self.status is None:
            return exits.Exit(None, None, text)
        found = exits.explain(self.status)
        return found._replace(text=f"{text} (exit code {found.code})" if found.code else text)

    def close(self) -> None:
        """Let go of the descriptors; nobody is signalled any more."""
        for descriptor in list(self._targets):
            os.close(self._drop(descriptor))

    def _next(self) -> None:
        if self._targets and self._abort and self._stage == 0:
            self._abort = False
            procfs.forbid_core(self.main.pid)
            for descriptor in self._targets:
                _send(descriptor, signal.SIGABRT)
                _send(descriptor, signal.SIGCONT)
            self.deadline = clock.now() + ABORT_WAIT
        elif self._targets and self._stage in (0, 2):
            self.killed = self.killed or self._stage == 0
            self._stage += 1
            for descriptor in self._targets:
                _send(descriptor, signal.SIGKILL)
            self.deadline = clock.now() + KILL_WAIT
        elif self._targets:
            self.outcome = "stuck"
        elif self._stage < 2:
            self._stage = 2
            self._begin(self._leftovers(), min(self.grace, LEFTOVER_GRACE))
        elif not self._leftovers():
            self.outcome = "gone"
        elif self._rounds >= ROUNDS:
            self.outcome = "stuck"
        else:
            self._extinguish()

    def _extinguish(self) -> None:
        """They came anew, as a child of a child does that answers SIGTERM with a fork: stop all, then kill all."""
        self._rounds += 1
        self._stage = 3
        while newcomers := [one for one in self._leftovers() if one not in self._targets.values()]:
            for target in newcomers:
                descriptor = open_pidfd(target)
                if descriptor is not None:
                    self._targets[descriptor] = target
                    _send(descriptor, signal.SIGSTOP)
        for descriptor in self._targets:
            _send(descriptor, signal.SIGKILL)
        self.deadline = clock.now() + KILL_WAIT

    def _leftovers(self) -> list[Identity]:
        leader = procfs.stat(self.main.pid)
        if not self.main.own_session or (leader and leader.start != self.main.start):
            return []
        members = procfs.session_members(self.main.pid)
        return [Identity(pid, start, self.main.boot, False) for pid, start in members if start >= self.main.start]

    def _begin(self, targets: list[Identity], grace: float, signals: tuple[signal.Signals, ...] = _END) -> None:
        for target in targets:
            descriptor = open_pidfd(target)
            if descriptor is not None:
                self._targets[descriptor] = target
                for number in signals:
                    _send(descriptor, number)
        self.deadline = clock.now() + (grace if self._targets else 0.0)

    def _drop(self, descriptor: int) -> int:
        del self._targets[descriptor]
        return descriptor


def open_pidfd(target: Identity) -> int | None:
    """A pidfd that provably is that process: the start is compared after the opening. None when it is gone."""
    try:
        descriptor = os.pidfd_open(target.pid)
    except OSError:
        return None
    found = procfs.stat(target.pid)
    if found is None or found.start != target.start:
        os.close(descriptor)
        return None
    return descriptor


def ended(descriptor: int, within: float = 0.0) -> bool:
    """True once the process behind a pidfd has exited, be it reaped or not. ``within``: seconds to wait for that."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * within))


def _send(descriptor: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(descriptor, number)
