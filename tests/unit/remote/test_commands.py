"""The call that reaches a host: exact words, understood by the agent, unharmed by any shell."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote.commands import (
    Request,
    Verb,
    action_options,
    explain_options,
    logs_options,
    maintenance_options,
    one_line,
    operator,
    shell_line,
)
from remote.hosts import Host
from watchdog.cli import parser

HOST = Host(name="bot", address="bot", bot_user="trader")

REQUESTS = [
    Request(Verb.STATUS),
    Request(Verb.START, action_options("me@here", None)),
    Request(Verb.STOP, action_options("me@here", "holiday")),
    Request(Verb.RESTART, action_options("me@here", "-v2")),
    Request(Verb.RESET, action_options("me@here", "the exchange is back")),
    Request(Verb.EXPLAIN, explain_options(20, None)),
    Request(Verb.EXPLAIN, explain_options(0, "-2h")),
    Request(Verb.LOGS, logs_options(50, follow=False, since=None, grep=None, source=None)),
    Request(Verb.LOGS, logs_options(0, follow=True, since="10m", grep="-x|y", source="events")),
    Request(Verb.MAINTENANCE, maintenance_options(None, None, None, "me@here")),
    Request(Verb.MAINTENANCE, maintenance_options("on", "90m", "new -x", "me@here")),
    Request(Verb.MAINTENANCE, maintenance_options("off", None, None, "me@here")),
    Request(Verb.ALERT_TEST),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: " ".join(request.argv(HOST, "trader")[1:]))
def test_the_agents_own_parser_understands_every_call(request_: Request) -> None:
    words = request_.argv(HOST, "trader")
    assert words[0] == HOST.door
    parsed = parser("watchdog").parse_args(words[1:])
    assert (parsed.verb, parsed.json) == (request_.verb.value, True)


def test_another_login_user_goes_through_sudo_and_the_bots_own_does_not() -> None:
    call = ["/opt/dca-watchdog/bin/dcaTrader", "status", "--json"]
    assert Request(Verb.STATUS).argv(HOST, "ops") == ["sudo", "-n", "-u", "trader", *call]
    assert Request(Verb.STATUS).argv(HOST, "trader") == call
    assert Request(Verb.STATUS).argv(Host(name="bot", address="bot"), "ops") == call


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_a_shell_gives_back_the_same_words(words: list[str]) -> None:
    done = subprocess.run(["sh", "-c", shell_line(["printf", "%s\\0", *words])], capture_output=True, check=True)
    assert done.stdout == "".join(f"{word}\0" for word in words).encode()


def test_the_time_limit_of_a_restart_follows_from_the_hosts_graces() -> None:
    slow = Host(name="bot", address="bot", start_grace=60, stop_grace=120)
    assert Request(Verb.RESTART).limit(slow) >= 180
    assert Request(Verb.STATUS).limit(slow) <= 30
    assert Request(Verb.STOP).limit(slow) < Request(Verb.RESTART).limit(slow)
    assert Request(Verb.RESET).limit(slow) == Request(Verb.START).limit(slow) >= 60


@pytest.mark.parametrize(
    ("user", "machine", "who"),
    [
        ("alice", "laptop.lan", "alice@laptop"),
        ("a b;$(x)", "l\n", "a_b___x_@l_"),
        ("", "", "unknown@unknown"),
        ("é" * 50, "h", "_" * 32 + "@h"),
    ],
)
def test_the_operator_is_named_in_harmless_characters(user: str, machine: str, who: str) -> None:
    assert operator(user, machine) == who


def test_a_reason_is_one_printable_line_of_bounded_length() -> None:
    assert one_line(" new\nversion\x1b[2J\t2 ") == "new version [2J 2"
    assert len(one_line("x" * 999)) == 200
