"""What the policy reasons about: what it remembers, the events it hears, the actions it answers with.

Every moment and every deadline is in seconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

from typing import NamedTuple, Union

from .states import State

WINDOW = 3600.0
"""Seconds within which failures and hangs are counted."""

BUDGET_WINDOW = 6 * 3600.0
"""Seconds within which alerts of one sort are counted."""


class Memory(NamedTuple):
    """All that the policy remembers; it is saved after every change and survives guard and host."""

    phase: State = State.DOWN
    attempt: int = 0
    failures: tuple[float, ...] = ()
    breaker: bool = False
    next_start: float | None = None
    running_since: float | None = None
    down_since: float | None = None
    outage: float | None = None
    restarts: int = 0
    reason: str = ""
    pause: str = ""
    told_at: tuple[float, ...] = ()
    untold: int = 0
    failure_told: bool = False
    told: str = ""
    hold_code: int | None = None
    script: str = ""
    reminded_at: float | None = None
    doubts: tuple[str, ...] = ()
    doubt: str = ""
    doubt_since: float | None = None
    doubt_told: bool = False
    doubts_told_at: tuple[float, ...] = ()
    hung_at: tuple[float, ...] = ()


class Sign(NamedTuple):
    """A reason to doubt that a living bot works, with its evidence in one sentence.

    ``since`` is when it began; ``measured`` and ``limit`` are in the unit of its ``kind`` (`limits.KINDS`): seconds,
    bytes, percent or descriptors. ``proof``: it held for its full time, and the operator lets its kind restart the bot.
    """

    kind: str
    proof: bool
    text: str
    since: float
    measured: float
    limit: float


# Events -------------------------------------------------------------------------------------------------------------


class Adopted(NamedTuple):
    """A running bot was found; ``how`` says by what, ``known`` that we recorded it. ``uptime`` in seconds."""

    pid: int
    how: str
    uptime: float
    known: bool


class Rebooted(NamedTuple):
    """The recorded bot belongs to an earlier boot of the host: no failure of its own."""


class Vacant(NamedTuple):
    """The bot lock is ours and no bot is there: may one be started?"""

    wanted: bool
    maintenance: bool
    shutting_down: bool
    script: str


class Spawned(NamedTuple):
    """A bot was started; ``operator`` when somebody asked for it."""

    pid: int
    operator: bool


class Verified(NamedTuple):
    """The bot we started survived the start grace or said READY=1."""

    pid: int
    operator: bool


class Died(NamedTuple):
    """The bot ended, or could not be started (``pid`` None). ``code`` is None for a signal or when nobody knows."""

    pid: int | None
    code: int | None
    text: str
    uptime: float
    verified: bool
    script: str


class Stopped(NamedTuple):
    """The bot was stopped on the operator's word, and its lock proves it."""

    restarting: bool


class Stuck(NamedTuple):
    """The bot survived the kill ladder."""

    text: str


class Unclear(NamedTuple):
    """Something holds the lock or looks like the bot and cannot be identified: hands off."""

    text: str


class Duplicate(NamedTuple):
    """More than one bot is running."""

    text: str


class Asked(NamedTuple):
    """The operator asked for a start, restart or reset: the counters begin anew."""


class Judged(NamedTuple):
    """The bot was looked at, and no hands are off it."""

    signs: tuple[Sign, ...]


class Tick(NamedTuple):
    """Time passed while the bot runs."""


Event = Union[
    Adopted, Rebooted, Vacant, Spawned, Verified, Died, Stopped, Stuck, Unclear, Duplicate, Asked, Judged, Tick
]


# Actions ------------------------------------------------------------------------------------------------------------


class Start(NamedTuple):
    """Spawn the bot now."""


class Kill(NamedTuple):
    """End the bot, which is hung: ``text`` is the evidence."""

    text: str


class Note(NamedTuple):
    """Write an event; ``level`` is one of ok, info, warning, error."""

    kind: str
    text: str
    level: str = "info"


class Alert(NamedTuple):
    """Tell the operator, after everything else. ``kind``: restarted, failed, suspect, error."""

    kind: str
    text: str


Action = Union[Start, Kill, Note, Alert]
Step = tuple[Memory, tuple[Action, ...]]
