"""The words both sides speak: states, exit codes, the schema number. A leaf: it imports nothing of ours."""

from __future__ import annotations

from enum import Enum, IntEnum

SCHEMA = 1
"""Version of every JSON document the agent prints; raised when a field changes its meaning."""


class State(str, Enum):
    """What the bot is doing, as far as anybody can prove it."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPING = "stopping"
    SUSPECT = "suspect"
    HUNG = "hung"
    BACKOFF = "backoff"
    FAILED = "failed"
    HELD = "held"
    STOPPED = "stopped"
    DOWN = "down"
    UNKNOWN = "unknown"
    STUCK = "stuck"


class ExitCode(IntEnum):
    """Exit codes of the agent's verbs. 3 and 4 are LSB's; 75 and 78 are those of sysexits(3)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    UNKNOWN = 4
    STUCK = 5
    BUSY = 75
    CONFIG = 78
    DUPLICATE = 79


HOLD_CODES = frozenset({int(ExitCode.CONFIG), int(ExitCode.DUPLICATE)})
"""Exit codes by which a bot says "do not start me again": bad configuration, or it is a second copy."""

ALIVE = frozenset({State.RUNNING, State.STARTING, State.STOPPING, State.SUSPECT, State.HUNG, State.STUCK})


def status_exit_code(state: State) -> ExitCode:
    """LSB exit code of ``status`` for a state: 0 running, 3 not running, 4 unknown."""
    if state in ALIVE:
        return ExitCode.OK
    return ExitCode.UNKNOWN if state is State.UNKNOWN else ExitCode.NOT_RUNNING
