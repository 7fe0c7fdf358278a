"""Alerts and mail settings that several tests share."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from watchdog import outbox

SECRET = "correct-horse-battery"
"""A password that must not turn up anywhere."""

SMTP = {
    "SMTP_SERVER": "mail.example",
    "ALERT_EMAIL_FROM": "bot@x.example",
    "ALERT_EMAIL_TO": "ops@x.example",
}
"""The least that mail needs."""


def entry(number: int = 1, **more: Any) -> dict[str, Any]:
    """An alert as it lies in the outbox."""
    plain = {"id": f"{number:020d}-1-abc", "utc": time.time(), "subject": f"alert {number}", "body": f"body {number}"}
    return {**plain, **more}


def queued(box: str) -> list[dict[str, Any]]:
    """What waits in an outbox, oldest first."""
    return [json.loads(Path(path).read_text()) for path in outbox.pending(box)]
