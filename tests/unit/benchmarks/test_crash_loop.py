"""The benchmark of crash loops: days on a virtual clock, and what the page says of them."""

from __future__ import annotations

import json
import shutil
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from benchmarks import crash_days, crash_host, crash_loop, tables
from benchmarks.crash_days import DAY, GUARDS, LIVES, REBOOT, UNDISTURBED, Loop, live
from benchmarks.crash_host import Outcome, Record
from demo.mail import Mail
from watchdog.policy import LADDER
from watchdog.states import State

# Days on a virtual clock ---------------------------------------------------------------------------------------------


@pytest.mark.fault("F41")
@pytest.mark.fault("F62")
@pytest.mark.parametrize("life", LIVES)
def test_a_day_of_any_crash_loop_is_one_critical_alert_and_retries_to_its_end(life: float) -> None:
    found = live(life)
    assert (found.critical, found.reminders, found.breaker) == (1, 0, True)
    assert found.not_started == (0 if life >= crash_days.GRACE else 1)
    assert found.restarted <= 5
    assert found.pause == (0 if life > 600 else LADDER[-1])
    assert found.starts >= DAY / (life + LADDER[-1])


@pytest.mark.fault("F41")
@pytest.mark.parametrize("during", [REBOOT, GUARDS])
@pytest.mark.parametrize("life", LIVES)
def test_new_guards_and_a_reboot_change_nothing_of_it(life: float, during: str) -> None:
    plain, found = live(life), live(life, during=during)
    assert abs(found.starts - plain.starts) <= 1
    for name in ("critical", "not_started", "restarted", "reminders", "breaker", "pause"):
        assert getattr(found, name) == getattr(plain, name), name


@pytest.mark.fault("F43")
def test_a_bot_that_only_reboots_end_is_in_no_crash_loop(tmp_path: Path) -> None:
    loop = Loop(tmp_path / "state.json", life=10 * DAY)
    for _ in range(20):
        loop.lasts(60)
        loop.reboot()
    loop.lasts(60)
    memory = loop.story.memory
    assert (memory.phase, memory.breaker, memory.failures) == (State.RUNNING, False, ())
    assert loop.story.starts == 21
    assert len(loop.story.noted("rebooted")) == 20


def test_the_loop_waits_as_the_ladder_says_and_over_a_reboot_its_time_counts(tmp_path: Path) -> None:
    loop = Loop(tmp_path / "state.json", life=0.0)
    loop.lasts(sum(LADDER[:9]) + 1)
    assert (loop.story.starts, loop.pause) == (10, LADDER[9])
    loop.reboot()
    loop.lasts(LADDER[9] - crash_days.DOWN - 2)
    assert loop.story.starts == 10
    loop.lasts(2)
    assert loop.story.starts == 11


@pytest.mark.fault("F63")
@pytest.mark.parametrize("during", [UNDISTURBED, REBOOT, GUARDS])
def test_a_week_has_a_reminder_a_day(during: str) -> None:
    found = live(30.0, 7 * DAY, during)
    assert (found.critical, found.reminders) == (1, 6)


# The tables and the page ---------------------------------------------------------------------------------------------

RECORD = Record("failed", 17.6, 9, 9, breaker=True)
HOST = Outcome(0.0, 300.0, 8, {"critical": 1, "did not start": 1}, RECORD, 14.2, RECORD._replace(next_s=None))


def test_the_page_shows_what_the_policy_does_now() -> None:
    page = crash_loop.PAGE.read_text(encoding="utf-8")
    shown = tables.markdown(crash_days.table(crash_days.outcomes()))
    assert shown in page, "run ./dev bench crash-loop --virtual --write"


def test_a_host_has_a_row_before_and_one_after_its_reboot() -> None:
    found = crash_host.table([HOST])
    assert all(len(row) == len(found.head) for row in found.rows)
    assert found.rows == [
        ["0 s", "after 5 min", "8", "1 critical, 1 did not start", "failed", "9", "9", "open", "in 18 s"],
        ["0 s", "14 s on, rebooted", "-", "-", "failed", "9", "9", "open", "-"],
    ]


@pytest.mark.parametrize(
    ("subject", "text", "expected"),
    [
        ("❌ bot on host: failed to restart", "bot died 5 times within an hour, at last it ended", "critical"),
        ("❌ bot on host: failed to restart", "bot did not start: it ended", "did not start"),
        ("❌ bot on host: failed to restart", "bot is still failed, not running for 1 d: it ended", "reminder"),
        ("✅ bot on host: restarted", "bot is running again: PID 7", "restarted"),
    ],
)
def test_a_mail_is_of_one_kind(subject: str, text: str, expected: str) -> None:
    message = EmailMessage()
    message["Subject"] = subject
    message.set_content(text)
    mail = Mail(1, "", (), message.as_bytes(), encrypted=False, user=None, received_at=time.monotonic())
    assert crash_host.kind(mail) == expected


# The command line ----------------------------------------------------------------------------------------------------


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the page, which is the one that is written; the hosts are no real ones."""
    copy = tmp_path / "crash-loops.md"
    shutil.copy(crash_loop.PAGE, copy)
    monkeypatch.setattr(crash_loop, "PAGE", copy)
    monkeypatch.setattr(crash_loop, "_on_hosts", lambda seconds: [HOST._replace(seconds=seconds)])
    monkeypatch.setattr(crash_days, "LIVES", (3.0,))
    return copy


def test_a_whole_run_is_published_and_keeps_to_the_width_of_the_page(page: Path, capsys: Any) -> None:
    assert crash_loop.main(["--write"]) == 0
    text = page.read_text(encoding="utf-8")
    assert "| 0 s | after 5 min | 8 |" in text and "| 3 s | a day | 294 |" in text and "load" in text
    assert [line for line in text.splitlines() if len(line) > 80 and not line.startswith("|")] == []


def test_the_virtual_days_alone_leave_the_hosts_as_they_were(page: Path, capsys: Any) -> None:
    page.write_text(tables.between_marks(page.read_text(encoding="utf-8"), "real", "an earlier run"), encoding="utf-8")
    assert crash_loop.main(["--write", "--virtual", "--json"]) == 0
    assert "an earlier run" in page.read_text(encoding="utf-8")
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1 and found["real"] is None
    assert [one["seconds"] for one in found["virtual"]] == [DAY, DAY, DAY, 7 * DAY]


def test_the_document_holds_every_figure_of_the_hosts(page: Path, capsys: Any) -> None:
    assert crash_loop.main(["--seconds=60", "--json"]) == 0
    (real,) = json.loads(capsys.readouterr().out)["real"]
    assert real["seconds"] == 60 and real["before"]["next_s"] == 17.6 and real["after"]["breaker"] is True


@pytest.mark.parametrize(("words", "why"), [(["--write", "--seconds=60"], "whole run"), (["--seconds=0"], "above 0")])
def test_what_makes_no_sense_is_refused(words: list[str], why: str, page: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as refusal:
        crash_loop.main(words)
    assert refusal.value.code == 2
    assert why in capsys.readouterr().err
