"""The operator's side of the engine: the word that is on record, the operations under way, the amnesty they bring."""

from __future__ import annotations

import contextlib

from . import wish
from .desk import Desk, View, result
from .instance import Instance
from .journal import Journal
from .outcome import Operation
from .states import ExitCode

FORGIVING = ("start", "restart", "reset")
"""Operations that let the counters begin anew, and whose start is the operator's own: no mail tells of it."""


class Orders:
    """``wanted`` is the operator's word as it was read last: should a bot be running?"""

    def __init__(self, instance: Instance, journal: Journal) -> None:
        self._instance, self._journal = instance, journal
        self.desk = Desk()
        self.wanted = True
        self._amnesty = False

    def look(self) -> None:
        """Read the word again; one that cannot be read stays what it was."""
        with contextlib.suppress(OSError):
            self.wanted = wish.read_desired(self._instance).wanted

    def accept(self, operation: Operation, view: View) -> bool:
        """Put an operation on record. False when it was refused, which it has been told by then."""
        verb = operation.verb
        other = self.desk.in_the_way(verb)
        if other:
            text = f"busy: {other.verb} by {other.by} is under way"
            operation.finish(result(operation, view, ExitCode.BUSY, text))
            return False
        operation.old_pid = view.pid
        if verb in ("start", "stop", "restart"):
            try:
                state = wish.STOPPED if verb == "stop" else wish.RUN
                wish.write_desired(self._instance, state, operation.by, operation.reason)
            except OSError as error:
                text = f"not recorded, so not done: {self._instance.desired}: {error.strerror}"
                operation.finish(result(operation, view, ExitCode.FAILED, text))
                return False
            self.wanted = verb != "stop"
        if verb != "check":
            why = f" ({operation.reason})" if operation.reason else ""
            self._journal.event(f"{verb}-asked", f"{verb} asked for by {operation.by}{why}", by=operation.by)
        self._amnesty = self._amnesty or (verb in FORGIVING and not self.desk.wants(verb))
        self.desk.open(operation, view)
        return True

    def stop_found(self, view: View) -> None:
        """A `stop` was recorded past us, by a verb that could not reach us; it counts as well."""
        self.desk.give_up_starts(view, "given up: `stop` came in between")
        self._journal.event("stop-found", "a recorded `stop` is carried out")

    def hands_off(self) -> bool:
        """True during maintenance, unless an operator asks for something all the same."""
        asked = self.desk.wants("start", "stop", "restart")
        return not asked and wish.read_maintenance(self._instance) is not None

    def amnesty(self) -> bool:
        """True once after a start, restart or reset was asked for: the counters begin anew."""
        due, self._amnesty = self._amnesty, False
        return due

    def ends(self, start: int, boot: str) -> bool:
        """True for a bot that `stop` was said of, by somebody who did not live to end it."""
        try:
            return wish.read_desired(self._instance).ends(start, boot)
        except OSError:
            return False
