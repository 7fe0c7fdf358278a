"""The table fits the terminal, lines up, and survives whatever a host sends."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remote.answers import Answer
from remote.errors import HostError, Unreachable
from remote.report import Report
from remote.style import Style
from remote.table import cut_events, draw, last_event, rows, summary
from remote.text import width
from tests.ssh.bots import STATUS
from watchdog.states import State

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
PLAIN = Style(io.StringIO())


def answered(host: str, **fields: Any) -> Report:
    return Report(host, answer=Answer(0, {**STATUS, **fields}))


def table(*reports: Report, columns: int | None = None) -> list[str]:
    return draw(rows(reports, NOW), columns, PLAIN)


EVENT_KEYS = ("time", "kind", "message", "owner", "reason", "remaining_s")
FLEET = (
    answered("bot"),
    answered("bot-frankfurt-02", state="backoff", pid=None, next_start_in_s=38.2, restarts=41),
    answered("bot3", maintenance={"owner": "alice@laptop", "reason": "upgrade", "remaining_s": 5400}),
    Report("bot4", error=Unreachable("10.0.0.4:22 refuses the connection: …", short="connection refused")),
    Report("bot5", error=HostError("no watchdog at /opt/…", short="no watchdog installed")),
)


def test_a_fleet_on_an_80_column_terminal() -> None:
    assert table(*FLEET, columns=80) == [
        "HOST              STATE           PID  UPTIME  RESTARTS   CPU    MEM  LAST EVENT",
        "bot               running        4711   4h12m         3  0.5%  42.3M  19m ago res…",
        "bot-frankfurt-02  backoff           -   4h12m        41  0.5%  42.3M  next start…",
        "bot3              maint:running  4711   4h12m         3  0.5%  42.3M  1h 30m left…",
        "bot4              UNREACHABLE    connection refused",
        "bot5              ERROR          no watchdog installed",
    ]


def test_what_a_narrow_table_cuts_is_told_below_it_unless_the_bot_simply_runs() -> None:
    assert cut_events(rows(FLEET, NOW), 80) == {
        "bot-frankfurt-02": "next start in 38s · 19m ago restarted after SIGKILL",
        "bot3": "1h 30m left (alice@laptop: upgrade) · 19m ago restarted after SIGKILL",
    }
    assert cut_events(rows(FLEET, NOW), None) == {}


def test_no_line_is_wider_than_an_80_column_terminal() -> None:
    for report in FLEET:
        assert max(map(width, table(report, columns=80))) <= 80


@given(st.integers(min_value=84, max_value=300))
def test_columns_line_up_at_any_width(columns: int) -> None:
    header, *lines = table(answered("a"), answered("b", pid=1234567, restarts=1000), columns=columns)
    at = header.index("LAST EVENT")
    assert {line[at - 1 : at + 3] for line in lines} == {" 19m"}


def test_in_a_pipe_nothing_is_cut() -> None:
    long = "m" * 500
    (_, line) = table(answered("bot", last_event={"time": "2026-11-24T05:40:01Z", "kind": "k", "message": long}))
    assert line.endswith(f"19m ago {long}")


@pytest.mark.parametrize("state", [*(state.value for state in State), "something-new"])
def test_every_state_has_a_row(state: str) -> None:
    (_, line) = table(answered("bot", state=state))
    assert line.split()[1] == state


SCALAR = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
JSON = SCALAR | st.lists(SCALAR, max_size=2) | st.dictionaries(st.sampled_from(EVENT_KEYS), SCALAR, max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(STATUS, JSON)))
def test_an_answer_of_any_shape_is_a_printable_row(document: dict[str, Any]) -> None:
    for columns in (None, 80):
        lines = draw(rows([Report("bot", answer=Answer(0, document))], NOW), columns, PLAIN)
        assert len(lines) == 2
        assert all(char.isprintable() for char in "".join(lines))


@pytest.mark.parametrize(
    ("stamp", "ago"),
    [
        ("2026-11-24T05:59:58Z", "2s ago"),
        ("2026-11-23T05:00:00Z", "1d ago"),
        ("2026-11-24T06:05:00Z", "0s ago"),
        ("nonsense", ""),
    ],
)
def test_the_age_of_an_event_bears_a_clock_that_is_off(stamp: str, ago: str) -> None:
    document = {"last_event": {"time": stamp, "kind": "x", "message": "x happened"}}
    assert last_event(document, NOW) == f"{ago} x happened".lstrip()


def test_colours_are_for_terminals_and_obey_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    coloured = "".join(draw(rows([answered("bot")], NOW), 100, Style(Screen())))
    assert "\x1b[32mrunning" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "".join(draw(rows([answered("bot")], NOW), 100, Style(Screen())))
    assert "\x1b" not in "".join(table(answered("bot")))


def test_the_summary_counts_the_commonest_first() -> None:
    assert summary([answered("a"), answered("b"), *FLEET[3:]]) == "2 running, 1 unreachable, 1 failed to answer"


@pytest.mark.parametrize("state", ["suspect", "hung"])
def test_a_living_bot_that_may_be_ill_shows_why_whatever_happened_last(state: str) -> None:
    why = "has not read 18.2 kB from 192.0.2.7:443 for 1 min, all its threads asleep (limit 2 min)"
    told = {"time": "2026-11-24T05:40:00Z", "kind": "suspect", "message": f"bot may be ill: it {why}"}
    asked = {"time": "2026-11-24T05:41:00Z", "kind": "reset-asked", "message": "reset asked for by alice@laptop"}
    assert last_event({"state": state, "reason": why, "last_event": told}, NOW) == f"20m ago bot may be ill: it {why}"
    assert last_event({"state": state, "reason": why, "last_event": asked}, NOW).startswith(f"{why} · 19m ago reset")


def test_a_state_that_needs_explaining_is_explained_before_the_last_event() -> None:
    document = {
        "state": "unknown",
        "reason": "PID 7 of uid 0 runs main_app.py",
        "last_event": {"time": "2026-11-24T05:00:00Z", "kind": "start-asked", "message": "start asked for by alice"},
    }
    now = datetime(2026, 11, 24, 5, 1, tzinfo=UTC)
    said = last_event(document, now)
    assert said.startswith("PID 7 of uid 0 runs main_app.py · ") and said.endswith("start asked for by alice")
    assert "PID 7" not in last_event({**document, "state": "running"}, now)
