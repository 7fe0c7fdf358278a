"""The operator's desk: operations under way, and when each of them is settled. Decides nothing about the bot."""

from __future__ import annotations

from typing import NamedTuple

from . import clock, model, policy
from .outcome import Operation, Result
from .states import ExitCode, State


class View(NamedTuple):
    """What the desk sees of the engine. ``pid`` is the bot's, None without one; ``spawned_at`` is boot-clock time."""

    memory: model.Memory
    pid: int | None
    verified: bool
    unsettled: bool
    spawned_at: float


class Desk:
    """Operations in the order of their arrival; stop ends all others."""

    def __init__(self) -> None:
        self._open: list[Operation] = []

    def first(self) -> Operation | None:
        """The operation that has been under way for longest."""
        return self._open[0] if self._open else None

    def wants(self, *verbs: str) -> bool:
        """True while one of these verbs is under way."""
        return any(one.verb in verbs for one in self._open)

    def stops(self, began: float) -> bool:
        """True when a bot that began at this boot-clock time has to go: for a stop, or a restart asked for since."""
        return any(one.verb == "stop" or (one.verb == "restart" and one.asked > began) for one in self._open)

    def in_the_way(self, verb: str) -> Operation | None:
        """The other operation that a start or restart would collide with."""
        others = [one for one in self._open if one.verb not in ("check", "reset", verb)]
        return others[0] if others and verb in ("start", "restart") else None

    def open(self, operation: Operation, view: View) -> None:
        """Accept an operation; a stop gives up everything that would start the bot."""
        if operation.verb == "stop":
            self.give_up_starts(view, f"given up: stop by {operation.by} came in between")
        self._open.append(operation)

    def give_up_starts(self, view: View, text: str) -> None:
        """A stop came in between: answer everything that would start the bot."""
        for other in [one for one in self._open if one.verb != "stop"]:
            self._close(other, view, ExitCode.BUSY, text)

    def mark(self, attempt: int) -> None:
        """Note how many attempts lay behind when an operation first met the empty place."""
        for one in self._open:
            if one.attempt is None:
                one.attempt = attempt

    def adopted(self, pid: int, known: bool) -> None:
        """A running bot was found: it is the one that the operations are about."""
        for one in self._open:
            one.old_pid, one.adopted = one.old_pid or pid, one.adopted or not known

    def settle(self, view: View) -> None:
        """Answer every operation whose outcome is known."""
        for one in list(self._open):
            found = outcome(one, view, clock.now())
            if found:
                self._close(one, view, *found)

    def close_all(self, view: View, code: ExitCode, text: str) -> None:
        """Answer all of them alike."""
        for one in list(self._open):
            self._close(one, view, code, text)

    def abandon(self, view: View) -> None:
        """The time is up: answer each with how far it came."""
        for one in list(self._open):
            if view.pid and one.verb != "stop" and not view.unsettled:
                self._close(one, view, ExitCode.OK, f"started: PID {view.pid}, still within its start grace")
            else:
                self._close(one, view, ExitCode.FAILED, f"{one.verb} is not finished: state {view.memory.phase.value}")

    def _close(self, one: Operation, view: View, code: ExitCode, text: str) -> None:
        self._open.remove(one)
        one.finish(result(one, view, code, text))


def result(one: Operation, view: View, code: ExitCode, text: str) -> Result:
    """The answer, with the proof: which PID was there before, which is there now, verified after how long."""
    refused = code in (ExitCode.BUSY, ExitCode.UNKNOWN)
    action, after = "none" if code is ExitCode.OK else "refused" if refused else "failed", None
    if code is ExitCode.OK and one.verb == "stop":
        action = "stopped" if one.old_pid else "none"
    elif code is ExitCode.OK and view.pid is not None and view.pid != one.old_pid:
        action = "restarted" if one.old_pid else "started"
        after = clock.now() - view.spawned_at
    elif code is ExitCode.OK and one.adopted:
        action = "adopted"
    return Result(one.verb, code, text, view.memory.phase, action, one.old_pid, view.pid, after)


def outcome(one: Operation, view: View, now: float) -> tuple[ExitCode, str] | None:
    """Exit code and sentence of a settled operation, None while it is under way."""
    found = _outcome(one, view, now)
    if found and one.verb == "reset" and found[0] is ExitCode.OK:
        return found[0], f"its failures are forgotten; {found[1]}"
    return found


def _outcome(one: Operation, view: View, now: float) -> tuple[ExitCode, str] | None:
    if view.unsettled:
        return None
    if view.pid is None:
        return _without_bot(one, view.memory, now)
    if one.verb == "stop" or not view.verified:
        return None
    if view.memory.phase is State.STUCK:
        return ExitCode.STUCK, view.memory.told
    return ExitCode.OK, f"{'already running' if one.old_pid == view.pid else 'running'}: PID {view.pid}"


def _without_bot(one: Operation, memory: model.Memory, now: float) -> tuple[ExitCode, str] | None:
    phase = memory.phase
    if phase is State.UNKNOWN:
        return ExitCode.UNKNOWN, f"{memory.told}: hands off"
    if one.verb == "stop":
        text = f"stopped PID {one.old_pid}" if one.old_pid else "was not running; stays stopped"
        return (ExitCode.OK, text) if phase is State.STOPPED else None
    if phase in (State.BACKOFF, State.FAILED):
        if one.attempt == memory.attempt and now < one.patience:
            return None
        wait = clock.human((memory.next_start or now) - now)
        return ExitCode.FAILED, f"not running: it {memory.reason}; next try in {wait}"
    return _left_alone(one, memory)


def _left_alone(one: Operation, memory: model.Memory) -> tuple[ExitCode, str] | None:
    if memory.phase is State.STOPPED and one.verb in ("check", "reset"):
        return ExitCode.OK, "stopped by the operator: left alone"
    if memory.phase is State.STOPPED:
        return ExitCode.BUSY, "given up: `stop` came in between"
    if memory.phase is State.HELD:
        return ExitCode.FAILED, f"held: the bot ended with code {memory.hold_code}; mend it, then `start`"
    if memory.phase is State.DOWN and memory.pause == policy.MAINTENANCE:
        return ExitCode.OK, "left alone: maintenance is on"
    if memory.phase is State.DOWN and memory.pause == policy.SHUTDOWN:
        return ExitCode.FAILED, "the host is going down: nothing is started"
    return None
