"""Look after the trading bots on their hosts: fab [-H HOST,GROUP,GLOB] VERB [options]

No -H means every bot of the Ansible inventory. docs/remote.md has each verb with its output.
Exit codes: 0 well, 3 some bot not running, 4 some host unreachable or unknown (wins), 1 failure, 2 usage,
5 stuck, 75 busy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote.commands import Verb
from remote.verb_task import verb

if TYPE_CHECKING:
    from remote.verbs import Control

_JSON = "Print one JSON document instead."
_YES = "Do not ask, even without -H."
_REASON = "Why; kept in the bot's events and shown by status."


@verb(shorts={"json": "j"}, help={"json": _JSON})
def status(fleet: Control, json: bool = False) -> int:
    """Show every bot in one table."""
    return fleet.status(json_output=json)


@verb(shorts={"yes": "y", "json": "j"}, help={"reason": _REASON, "yes": _YES, "json": _JSON})
def start(fleet: Control, reason: str | None = None, yes: bool = False, json: bool = False) -> int:
    """Start the bot; also ends a `stop`."""
    return fleet.act(Verb.START, reason=reason, yes=yes, json_output=json)


@verb(shorts={"yes": "y", "json": "j"}, help={"reason": _REASON, "yes": _YES, "json": _JSON})
def stop(fleet: Control, reason: str | None = None, yes: bool = False, json: bool = False) -> int:
    """Stop the bot; it stays stopped, also over reboots, until `start`."""
    return fleet.act(Verb.STOP, reason=reason, yes=yes, json_output=json)


@verb(
    shorts={"yes": "y", "json": "j"},
    help={
        "reason": _REASON,
        "yes": _YES,
        "json": _JSON,
        "serial": "So many hosts at a time, and no further after a failure.",
    },
)
def restart(
    fleet: Control, reason: str | None = None, yes: bool = False, json: bool = False, serial: str | None = None
) -> int:
    """Restart the bot and prove it: old PID, new PID, verified after so many seconds."""
    return fleet.act(Verb.RESTART, reason=reason, yes=yes, json_output=json, serial=serial)


@verb(shorts={"yes": "y", "json": "j"}, help={"reason": _REASON, "yes": _YES, "json": _JSON})
def reset(fleet: Control, reason: str | None = None, yes: bool = False, json: bool = False) -> int:
    """Forget the bot's failures; one that should run and does not is started at once."""
    return fleet.act(Verb.RESET, reason=reason, yes=yes, json_output=json)


@verb(
    shorts={"lines": "n", "json": "j"},
    help={
        "lines": "How many of the last decisions (20).",
        "since": "Only decisions from then on: 10m, 2h, or a time like 2026-11-24T05:40.",
        "json": _JSON,
    },
)
def explain(fleet: Control, lines: str = "20", since: str | None = None, json: bool = False) -> int:
    """Say why the watchdog decided as it did: each decision with its rule and numbers."""
    return fleet.explain(count=lines, since=since, json_output=json)


@verb(
    shorts={"lines": "n", "follow": "f", "json": "j"},
    help={
        "lines": "How many of the last lines (50).",
        "follow": "Go on with what comes, until Ctrl-C.",
        "since": "Only lines from then on: 10m, 2h, or a time like 2026-11-24T05:40.",
        "grep": "Only lines that match this regular expression.",
        "source": "app (the bot's log, the default), watchdog or events.",
        "json": "Print JSON; with --follow one object per line.",
    },
)
def logs(
    fleet: Control,
    lines: str = "50",
    follow: bool = False,
    since: str | None = None,
    grep: str | None = None,
    source: str | None = None,
    json: bool = False,
) -> int:
    """Show the end of the bot's log; with -f several hosts side by side."""
    return fleet.logs(lines=lines, follow_on=follow, since=since, grep=grep, source=source, json_output=json)


@verb(
    word="switch",
    shorts={"yes": "y", "json": "j"},
    help={
        "switch": "on or off; neither shows it.",
        "for_": "How long, for example 90m or 2h (the agent's default is 2h).",
        "reason": _REASON,
        "yes": _YES,
        "json": _JSON,
    },
)
def maintenance(
    fleet: Control,
    switch: str | None = None,
    for_: str | None = None,
    reason: str | None = None,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Show maintenance, or switch it: `maintenance on --for 2h`, `maintenance off`."""
    return fleet.maintenance(switch, duration=for_, reason=reason, yes=yes, json_output=json)


@verb(shorts={"json": "j"}, help={"json": _JSON})
def alert_test(fleet: Control, json: bool = False) -> int:
    """Send one test mail from each host and say whether the server took it."""
    return fleet.alert_test(json_output=json)
