"""What an operator asked for and what became of it."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from . import clock
from .states import ExitCode, State


class Result(NamedTuple):
    """The end of one operation. ``verified_after`` is in seconds, None where nothing was started."""

    verb: str
    code: ExitCode
    message: str
    state: State
    action: str
    old_pid: int | None
    pid: int | None
    verified_after: float | None

    def document(self) -> dict[str, Any]:
        """The fields of the verb's JSON answer."""
        return {
            "verb": self.verb,
            "ok": self.code is ExitCode.OK,
            "exit_code": int(self.code),
            "message": self.message,
            "state": self.state.value,
            "action": self.action,
            "old_pid": self.old_pid,
            "pid": self.pid,
            "verified_after_s": None if self.verified_after is None else round(self.verified_after, 3),
        }


class Operation:
    """A start, stop, restart, reset or check under way. ``finish`` is called once with its result.

    ``patience`` is a boot-clock time until which a check waits for a delay of the ladder to pass. ``asked`` is when the
    operator spoke: a restart that has to be asked for twice, since a guard died over it, does not stop the new bot.
    """

    def __init__(
        self,
        verb: str,
        by: str,
        reason: str,
        finish: Callable[[Result], None],
        patience: float = 0.0,
        asked: float | None = None,
    ) -> None:
        self.verb, self.by, self.reason, self.finish = verb, by, reason, finish
        self.patience = patience
        self.asked = clock.now() if asked is None else asked
        self.since = clock.now()
        self.old_pid: int | None = None
        self.adopted = False
        self.attempt: int | None = None
