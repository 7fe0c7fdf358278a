"""start, stop, restart, maintenance, alert-test: the proof, the questions before, the exit codes after."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pexpect
import pytest

from tests.ssh.bots import Door
from tests.ssh.checkout import FAB, ROOT, Checkout
from tests.ssh.conftest import MakeDoor
from tests.ssh.sshd import Sshd, free_port


@pytest.fixture
def fleet(checkout: Checkout, sshd: Sshd, make_door: MakeDoor) -> dict[str, Door]:
    """bot, bot2 and bot3, each of which restarts well."""
    doors = {name: make_door(name) for name in ("bot", "bot2", "bot3")}
    for number, door in enumerate(doors.values()):
        pids = {"old_pid": 100 + number, "pid": 200 + number}
        door.action("restart", action="restarted", verified_after_s=3.04, **pids)
        door.action("stop", action="stopped", old_pid=100 + number, state="stopped")
    checkout.write_inventory({name: checkout.host(sshd, door.variables) for name, door in doors.items()})
    return doors


def test_a_restart_prints_its_proof(checkout: Checkout, bot: Door) -> None:
    bot.action("restart", action="restarted", old_pid=123, pid=456, verified_after_s=3.0)
    done = checkout.fab("restart", USER="alice", LOGNAME="alice")
    assert (done.code, done.err) == (0, ""), done
    assert done.out == "bot  restarted    old PID 123 → new PID 456  verified after 3.0 s\n"
    (call,) = bot.calls()
    assert call.startswith(f"restart --by=alice@{os.uname().nodename.split('.')[0]} --json".removesuffix(" --json"))


def test_who_and_why_are_told_in_harmless_words(checkout: Checkout, bot: Door) -> None:
    bot.action("stop", action="stopped", old_pid=5)
    checkout.fab("stop", "--reason", "no more\n$(reboot) 'now'; \x1b[2J", LOGNAME="$(id) x'\n")
    (call,) = bot.calls()
    assert call.startswith("stop --by=__id__x__@")
    assert call.endswith("--reason=no more $(reboot) 'now'; [2J --json")


@pytest.mark.parametrize(
    ("verb", "fields", "line"),
    [
        ("start", {"action": "started", "pid": 7, "verified_after_s": 3.0}, "started      PID 7  verified after 3.0 s"),
        ("start", {"action": "none", "message": "is running already, PID 7"}, "ok           is running already, PID 7"),
        ("start", {"action": "adopted", "pid": 7}, "adopted      PID 7"),
        ("stop", {"action": "stopped", "old_pid": 7}, "stopped      PID 7 is gone"),
        ("stop", {"action": "none", "message": "was not running"}, "ok           was not running"),
        ("reset", {"action": "started", "pid": 7, "verified_after_s": 3.0}, "started      PID 7  verified after 3.0 s"),
        ("reset", {"action": "none", "message": "forgotten; stopped"}, "ok           forgotten; stopped"),
        (
            "restart",
            {"action": "restarted", "pid": 8, "verified_after_s": 3},
            "restarted    was not running → new PID 8  verified after 3.0 s",
        ),
    ],
)
def test_each_action_is_one_line(checkout: Checkout, bot: Door, verb: str, fields: dict[str, Any], line: str) -> None:
    bot.action(verb, **fields)
    done = checkout.fab(verb)
    assert (done.code, done.out) == (0, f"bot  {line}\n")


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ({"bot": 0, "bot2": 0, "bot3": 0}, 0),
        ({"bot": 1, "bot2": 0, "bot3": 75}, 75),
        ({"bot": 75, "bot2": 5, "bot3": 1}, 5),
        ({"bot": 5, "bot2": 4, "bot3": 1}, 4),
        ({"bot": 78, "bot2": 0, "bot3": 0}, 1),
        ({"bot": 3, "bot2": 0, "bot3": 0}, 3),
    ],
)
def test_the_worst_outcome_gives_the_exit_code(
    checkout: Checkout, fleet: dict[str, Door], codes: dict[str, int], code: int
) -> None:
    for name, own in codes.items():
        fleet[name].action("restart", own, message="as told")
    done = checkout.fab("-H", "bots", "restart")
    assert done.code == code, done
    assert [row.split()[1] for row in done.out.splitlines()] == ["FAILED" if own else "ok" for own in codes.values()]


def test_an_unreachable_host_is_a_line_and_exit_4(checkout: Checkout, sshd: Sshd, fleet: dict[str, Door]) -> None:
    hosts = {name: checkout.host(sshd, door.variables) for name, door in fleet.items()}
    hosts["bot2"]["ansible_port"] = free_port()
    checkout.write_inventory(hosts)
    done = checkout.fab("-H", "bots", "restart")
    assert done.code == 4
    assert [row.split()[1] for row in done.out.splitlines()] == ["restarted", "UNREACHABLE", "restarted"]


def test_a_connection_that_breaks_during_a_restart_says_what_is_not_known(checkout: Checkout, bot: Door) -> None:
    bot.script("restart", "kill -9 $PPID\nsleep 5\n")
    done = checkout.fab("restart")
    assert done.code == 4, done
    assert "closed the connection before it answered; it may still be at work there: fab -H bot status" in done.out


def test_json_of_an_action_has_the_agents_document_as_result(checkout: Checkout, fleet: dict[str, Door]) -> None:
    fleet["bot2"].action("restart", 75, message="bob@desk is acting")
    done = checkout.fab("-H", "bot,bot2", "restart", "--json")
    document = done.json()
    assert (done.code, document["schema"], document["verb"]) == (75, 1, "restart")
    assert [entry["exit_code"] for entry in document["hosts"]] == [0, 75]
    assert document["hosts"][0]["result"]["pid"] == 200


@pytest.mark.parametrize("verb", ["restart", "stop", "start", "reset"])
def test_without_hosts_and_terminal_a_change_of_several_bots_is_refused(
    checkout: Checkout, fleet: dict[str, Door], verb: str
) -> None:
    done = checkout.fab(verb)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"fab: `fab {verb}` without -H would reach 3 hosts (bot, bot2, bot3): name them, or add --yes\n"
    assert not any(door.calls() for door in fleet.values())


def test_yes_or_a_named_group_is_enough(checkout: Checkout, fleet: dict[str, Door]) -> None:
    assert checkout.fab("restart", "--yes").code == 0
    assert checkout.fab("-H", "bots", "stop").code == 0
    assert {len(door.calls()) for door in fleet.values()} == {2}


@pytest.mark.parametrize(("answer", "code", "calls"), [("y", 0, 1), ("", 2, 0), ("n", 2, 0)])
def test_on_a_terminal_it_asks(checkout: Checkout, fleet: dict[str, Door], answer: str, code: int, calls: int) -> None:
    environment = {**checkout.environment, "TERM": "xterm"}
    child = pexpect.spawn(str(FAB), ["restart"], cwd=ROOT, env=environment, encoding="utf-8", timeout=20)
    child.expect_exact("restart on 3 hosts (bot, bot2, bot3)? [y/N]")
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code, child.before
    assert [len(door.calls()) for door in fleet.values()] == [calls] * 3


def test_a_serial_restart_stops_at_the_first_failure_and_names_the_untouched(
    checkout: Checkout, fleet: dict[str, Door]
) -> None:
    fleet["bot"].action("restart", 1, message="does not stay up")
    done = checkout.fab("-H", "bots", "restart", "--serial", "1")
    assert done.code == 1
    assert done.out == "bot   FAILED       does not stay up\n"
    assert done.err == "not touched after that failure: bot2, bot3\n"
    assert [len(door.calls()) for door in fleet.values()] == [1, 0, 0]
    fleet["bot"].action("restart", action="restarted", pid=9)
    assert checkout.fab("-H", "bots", "restart", "--serial", "2").code == 0


def test_a_dry_run_shows_the_call_and_makes_none(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"watchdog_user": "trader"})})
    done = checkout.fab("--dry", "restart", LOGNAME="alice")
    assert done.code == 0, done
    assert done.out.startswith(
        f"bot: ssh {sshd.user}@127.0.0.1:{sshd.port} sudo -n -u trader {bot.path} restart --by=alice@"
    )
    assert bot.calls() == []


MAINTENANCE = {
    "schema": 1,
    "verb": "maintenance",
    "ok": True,
    "exit_code": 0,
    "message": "maintenance by alice, 2h left",
    "maintenance": None,
}


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["maintenance"], "maintenance --json"),
        (["maintenance", "--json"], "maintenance --json"),
        (["maintenance", "on"], "maintenance on --by=me@here --json"),
        (["maintenance", "on", "--for", "90m"], "maintenance on --by=me@here --for=90m --json"),
        (["maintenance", "--for", "90m", "on"], "maintenance on --by=me@here --for=90m --json"),
        (
            ["maintenance", "--for=90m", "--reason", "off", "on"],
            "maintenance on --by=me@here --for=90m --reason=off --json",
        ),
        (["maintenance", "off"], "maintenance off --by=me@here --json"),
        (["maintenance", "--switch", "off"], "maintenance off --by=me@here --json"),
    ],
)
def test_maintenance_takes_its_word_where_people_write_it(
    checkout: Checkout, bot: Door, words: list[str], call: str
) -> None:
    bot.answer("maintenance", MAINTENANCE)
    done = checkout.fab("-H", "bot", *words, LOGNAME="me")
    assert done.code == 0, done
    assert bot.calls() == [call.replace("me@here", f"me@{os.uname().nodename.split('.')[0]}")]
    if "--json" not in words:
        assert done.out == "bot  ok           maintenance by alice, 2h left\n"


@pytest.mark.parametrize(
    "words", [["maintenance", "onn"], ["maintenance", "off", "--for", "2h"], ["maintenance", "--for", "2h"]]
)
def test_a_maintenance_that_makes_no_sense_is_refused(checkout: Checkout, bot: Door, words: list[str]) -> None:
    done = checkout.fab(*words)
    assert done.code == 2, done
    assert "fab maintenance on --for 2h" in done.err
    assert bot.calls() == []


def test_a_test_mail_is_sent_by_every_host_without_a_question(checkout: Checkout, fleet: dict[str, Door]) -> None:
    for door in fleet.values():
        door.answer("alert-test", {**MAINTENANCE, "verb": "alert-test", "message": "taken by mail.example:587"})
    done = checkout.fab("alert-test")
    assert done.code == 0, done
    assert done.out.count("taken by mail.example:587") == 3


def test_a_remote_verb_does_nothing_for_invoke(checkout: Checkout, bot: Door) -> None:
    invoke = FAB.with_name("invoke")
    done = subprocess.run(
        [invoke, "-c", "fabfile", "status"], cwd=ROOT, env=checkout.environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "`status` acts on remote hosts: run it as `fab status`\n"
    assert bot.calls() == []


def test_a_bare_command_after_a_verb_is_refused(checkout: Checkout, bot: Door) -> None:
    done = checkout.fab("-H", "bot", "status", "--", "uptime")
    assert done.code == 2
    assert "is not offered" in done.err
    assert bot.calls() == []
