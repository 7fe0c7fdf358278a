"""What `status` says of a bot's health to a person."""

from __future__ import annotations

from typing import Any

import pytest

from watchdog import screen

SIGN = {
    "kind": "backlog",
    "proof": False,
    "text": "has not read 18.2 kB from 192.0.2.7:443 for 1 min, all its threads asleep (limit 2 min)",
    "since_s": 60.0,
    "measured": 60.0,
    "limit": 120.0,
}
HEALTH: dict[str, Any] = {
    "looked_s_ago": 4.0,
    "connections": 2,
    "backlog_bytes": 18_240,
    "beats": 7,
    "last_beat_s_ago": 9.0,
    "longest_gap_s": 30.0,
    "quiet": True,
    "says": "trading 4 pairs",
    "trend": "memory grew 12.0 MB in 4 h 30 min, to 132.0 MB",
    "suggested_deaf_after_s": 600.0,
}


def shown(verbose: bool = False, **changes: Any) -> list[str]:
    found: dict[str, Any] = {
        "name": "dcaTrader", "host": "bot", "state": "suspect", "pid": 400, "uptime_s": 3600.0, "signs": [SIGN],
        "reason": SIGN["text"], "next_start_in_s": None, "desired": "run", "maintenance": None, "memory_bytes": None,
        "restarts": 0, "last_event": None, "guard": {"pid": 9, "answers": True}, "health": HEALTH, "version": "0.1.0",
        "release": None, "started_at": None, "lock": "", "instance_dir": "", "state_dir": "", "log_file": "",
        "app_log": "", "pid_file": {"path": "main_app.pid", "pid": 400}, "last_exit": None, "warnings": [],
        "alerts": {"configured": False, "queued": 0, "dead": 0},
    }  # fmt: skip
    return screen.status({**found, **changes}, verbose).splitlines()


def test_a_suspect_bot_is_shown_with_its_evidence_and_no_reason_says_that_again() -> None:
    lines = shown()
    assert lines[0] == "⚠️  dcaTrader on bot: suspect, PID 400, up 1 h"
    assert lines[1] == f"   evidence    it {SIGN['text']}: told, no reason to restart"
    assert sum("has not read" in line for line in lines) == 1


def test_a_proof_is_called_one() -> None:
    assert shown(state="hung", signs=[{**SIGN, "proof": True}])[1].endswith(": a proof")


@pytest.mark.parametrize(
    "line",
    [
        "   network     2 TCP connections, 18.2 kB unread",
        "   heartbeat   9.0 s ago, 7 so far, 30 s apart at most",
        "   quiet       now: silence of file and network does not count",
        "   says        trading 4 pairs",
        "   trend       memory grew 12.0 MB in 4 h 30 min, to 132.0 MB",
        "   suggestion  WATCHDOG_DEAF_AFTER=600, by its longest silence within a week",
    ],
)
def test_what_the_guard_knows_of_its_health_is_there_for_who_wants_more(line: str) -> None:
    assert line in shown(verbose=True)
    assert line not in shown()


def test_a_bot_that_says_nothing_and_cannot_be_seen_is_told_as_that() -> None:
    lines = shown(
        verbose=True,
        health={**HEALTH, "connections": None, "backlog_bytes": None, "beats": 0, "last_beat_s_ago": None,
                "quiet": False, "says": None, "trend": None, "suggested_deaf_after_s": None},
    )  # fmt: skip
    assert "   network     cannot be told" in lines
    assert "   heartbeat   none: the bot sends no WATCHDOG=1" in lines
    assert not [line for line in lines if line.startswith(("   quiet", "   says", "   trend", "   suggestion"))]


def test_without_a_guard_nothing_is_told_of_its_health() -> None:
    assert not [line for line in shown(verbose=True, health=None, signs=[]) if "heartbeat" in line]


def test_one_connection_is_told_as_one() -> None:
    lines = shown(verbose=True, health={**HEALTH, "connections": 1, "backlog_bytes": 0})
    assert "   network     1 TCP connection, 0 bytes unread" in lines
