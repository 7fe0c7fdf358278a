"""What became of each host, the exit code that sums them up, and the JSON form of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from watchdog.states import SCHEMA, ExitCode, State

from .answers import Answer
from .commands import Verb
from .errors import HostError
from .hosts import Host

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""


@dataclass(frozen=True)
class Report:
    """One host's row: an answer or an error, never both."""

    host: str
    answer: Answer | None = None
    error: HostError | None = None

    @property
    def reachable(self) -> bool:
        """Whether a conversation with the host took place."""
        return self.error is None or self.error.reachable

    @property
    def exit_code(self) -> int:
        """The host's own exit code: the agent's, or the one of the error."""
        if self.error:
            return self.error.exit_code
        assert self.answer
        return self.answer.exit_code

    @property
    def document(self) -> dict[str, Any]:
        """What the agent said, empty where there was none."""
        return self.answer.document if self.answer else {}

    def as_json(self, key: str) -> dict[str, Any]:
        """The entry in ``hosts``; ``key`` names the agent's document."""
        entry: dict[str, Any] = {"host": self.host, "reachable": self.reachable, "exit_code": self.exit_code}
        if self.error:
            entry["error"] = str(self.error)
        else:
            entry[key] = self.document
        return entry


def report(host: Host, answer: Answer | None, error: HostError | None) -> Report:
    """The report of what the parallel run yielded for ``host``."""
    return Report(host.name, answer, error)


def state_of(document: dict[str, Any]) -> State | None:
    """The bot's state in an agent's document, ``None`` for a word this version does not know."""
    try:
        return State(document.get("state"))
    except ValueError:
        return None


def status_exit_code(codes: Iterable[int]) -> int:
    """LSB over many hosts: 4 unknown or unreachable wins, then 1 failure, then 3 not running, else 0."""
    return _worst(codes, (ExitCode.UNKNOWN, ExitCode.FAILED, ExitCode.NOT_RUNNING))


def action_exit_code(codes: Iterable[int]) -> int:
    """0 if every host did it, else the first of 4 unreachable or unknown, 5 stuck, 75 busy, 1 failed, 3 not running."""
    order = (ExitCode.UNKNOWN, ExitCode.STUCK, ExitCode.BUSY, ExitCode.FAILED, ExitCode.NOT_RUNNING)
    return _worst(codes, order)


def exit_code(verb: Verb, codes: Iterable[int]) -> int:
    """The exit code of ``fab VERB`` for the hosts' exit codes."""
    return status_exit_code(codes) if verb is Verb.STATUS else action_exit_code(codes)


def _worst(codes: Iterable[int], order: Sequence[int]) -> int:
    known = {code if code in order else int(ExitCode.FAILED) for code in codes if code != 0}
    return next((int(code) for code in order if code in known), 0)


def as_json(verb: Verb, reports: Iterable[Report]) -> dict[str, Any]:
    """The document of ``--json``: ``status`` under that name, every other verb's answer as ``result`` or ``logs``."""
    key = {Verb.STATUS: "status", Verb.LOGS: "logs"}.get(verb, "result")
    return {"schema": SCHEMA, "verb": verb.value, "hosts": [item.as_json(key) for item in reports]}
