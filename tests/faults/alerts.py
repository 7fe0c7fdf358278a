"""Oracle I5: each change of state is told exactly once, and never before the restart it tells of."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from demo.mail_sink import MailSink

_STATES = "restarted recovered held breaker stuck unknown duplicate state-rebuilt suspect cleared"

TOLD = frozenset(_STATES.split())
"""The kinds of events that are a change of state for which somebody is told."""

_SUFFIX = re.compile(r"\. Nothing was started or stopped$|; \d+ restarts before this one were not told one by one$")
_BORN = re.compile(r"PID (\d+)")


class Alert(NamedTuple):
    """One alert: its number, what it says, and when it was queued and had arrived, in seconds since boot."""

    number: str
    text: str
    queued: float
    arrived: float | None


def collect(outboxes: Iterable[Path], sinks: Iterable[MailSink]) -> list[Alert]:
    """Those that were delivered, and those that wait or were given up; a delivered one that waits still is one."""
    now, wall, boot = time.monotonic(), time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    found = []
    for mail in [mail for sink in sinks for mail in sink.mails]:
        number = re.search(r"\.(\d{20}-\d+-[0-9a-f]{6})@", str(mail.message["Message-ID"]))
        if number and ": test alert" not in mail.subject:
            queued = int(number[1][:20]) / 1e9 - wall + boot
            found.append(Alert(number[1], _sentence(mail.text), queued, mail.received_at - now + boot))
    known = {one.number for one in found}
    for path in [path for outbox in outboxes for box in ("new", "dead") for path in outbox.glob(f"{box}/*.json")]:
        try:
            entry = json.loads(path.read_text() if path.is_file() else "")
            alert = Alert(entry["id"], _sentence(entry["body"]), entry["utc"] - wall + boot, None)
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
        ):  # sent meanwhile, or rubbish that a test put there
            continue
        if alert.number not in known:
            found.append(alert)
    return found


def untold(events: list[dict[str, Any]], alerts: list[Alert]) -> list[str]:
    """Changes of state for which no alert is there (yet)."""
    texts = {one.text for one in alerts}
    missing, breaker = [], False
    for event in events:
        breaker = breaker or event["kind"] == "breaker"
        quiet = event["kind"] == "restarted" and breaker
        if event["kind"] in TOLD and not quiet and event["message"] not in texts:
            missing.append(f"no alert for the event {event['kind']}: {event['message']}")
    return missing


def excess(events: list[dict[str, Any]], alerts: list[Alert]) -> list[str]:
    """Alerts that came twice, or more often than what they tell of happened."""
    broken = [f"delivered twice: {one}" for one, count in Counter(one.number for one in alerts).items() if count > 1]
    happened = Counter(event["message"] for event in events)
    deaths = sum(event["kind"] == "died" for event in events)
    for text, count in Counter(one.text for one in alerts).items():
        allowed = deaths if text.startswith("bot did not start") else happened.get(text)
        if allowed is not None and count > allowed:
            broken.append(f"{count} alerts for {allowed} events: {text}")
    return broken


def premature(alerts: list[Alert], births: list[dict[str, Any]]) -> list[str]:
    """Alerts about a restart that were queued or sent before the bot they name was there."""
    broken = []
    for one in alerts:
        named = _BORN.search(one.text)
        if not one.text.startswith(("bot is running again", "bot was not running and has been started")) or not named:
            continue
        born = [birth["started"] for birth in births if birth["pid"] == int(named[1])]
        first = min(one.queued, one.arrived or one.queued)
        if born and first < min(born) - 0.02:
            broken.append(f"{one.text!r} was told {min(born) - first:.3f} s before the start")
    return broken


def _sentence(body: str) -> str:
    """What an alert says, without what it adds to the event's own words."""
    lines = body.splitlines()
    return _SUFFIX.sub("", lines[2]) if len(lines) > 2 else ""
