"""`fab status`: one row per host, and an exit code that a script can act on."""

from __future__ import annotations

import json

import pytest

from tests.ssh.bots import Door
from tests.ssh.checkout import Checkout
from tests.ssh.conftest import MakeDoor
from tests.ssh.sshd import Sshd, free_port


@pytest.fixture
def fleet(checkout: Checkout, sshd: Sshd, make_door: MakeDoor) -> dict[str, Door]:
    """bot, bot2 and bot3 on one host; group ``night`` has the last two."""
    doors = {name: make_door(name) for name in ("bot", "bot2", "bot3")}
    hosts = {name: checkout.host(sshd, door.variables) for name, door in doors.items()}
    checkout.write_inventory(hosts, {"night": ["bot3", "bot2"]})
    return doors


def test_one_running_bot_is_one_row_and_exit_0(checkout: Checkout, bot: Door) -> None:
    done = checkout.fab("-H", "bot", "status")
    assert done.code == 0, done
    header, row = done.out.splitlines()
    assert header.split() == ["HOST", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEM", "LAST", "EVENT"]
    assert row.split()[:7] == ["bot", "running", "4711", "4h12m", "3", "0.5%", "42.3M"]
    assert row.endswith("ago restarted after SIGKILL")
    assert done.err == ""
    assert bot.calls() == ["status --json"]


def test_without_hosts_every_bot_is_shown_in_inventory_order(checkout: Checkout, fleet: dict[str, Door]) -> None:
    done = checkout.fab("status")
    assert done.code == 0, done
    assert [row[0] for row in done.rows()] == ["bot", "bot2", "bot3"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("bot2", ["bot2"]),
        ("night", ["bot2", "bot3"]),
        ("bot,bots,bot,night", ["bot", "bot2", "bot3"]),
        ("bot[23]", ["bot2", "bot3"]),
        ("*t3,bot", ["bot", "bot3"]),
        ("all,!bot2", ["bot", "bot3"]),
        ("!night", ["bot"]),
    ],
)
def test_names_groups_and_globs_reach_each_host_once(
    checkout: Checkout, fleet: dict[str, Door], pattern: str, names: list[str]
) -> None:
    done = checkout.fab("-H", pattern, "status")
    assert [row[0] for row in done.rows()] == names, done
    assert [name for name, door in fleet.items() if door.calls() == ["status --json"]] == names


def test_an_unknown_host_is_one_line_with_a_guess_and_exit_2(checkout: Checkout, fleet: dict[str, Door]) -> None:
    done = checkout.fab("-H", "bot,bto2", "status")
    assert (done.code, done.out) == (2, ""), done
    assert done.err.count("\n") == 1
    assert "'bto2'" in done.err
    assert "did you mean 'bot2'?" in done.err
    assert not any(door.calls() for door in fleet.values())


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"bot": ("running", 0), "bot2": ("running", 0), "bot3": ("running", 0)}, 0),
        ({"bot": ("running", 0), "bot2": ("stopped", 3), "bot3": ("running", 0)}, 3),
        ({"bot": ("failed", 3), "bot2": ("unknown", 4), "bot3": ("running", 0)}, 4),
        ({"bot": ("backoff", 3), "bot2": ("running", 0), "bot3": ("down", 3)}, 3),
    ],
)
def test_the_exit_code_sums_up_the_fleet(
    checkout: Checkout, fleet: dict[str, Door], answers: dict[str, tuple[str, int]], code: int
) -> None:
    for name, (state, own) in answers.items():
        fleet[name].status(own, state=state)
    done = checkout.fab("status")
    assert done.code == code, done
    assert [row[1] for row in done.rows()] == [state for state, _ in answers.values()]


def test_a_broken_configuration_on_a_host_is_its_own_row_and_exit_1(checkout: Checkout, fleet: dict[str, Door]) -> None:
    fleet["bot2"].answer(
        "status", {"schema": 1, "ok": False, "exit_code": 78, "error": "WATCHDOG_APP_DIR: no such place"}, 78
    )
    fleet["bot3"].status(3, state="stopped")
    done = checkout.fab("status")
    assert done.code == 1, done
    assert done.rows()[1][:2] == ["bot2", "ERROR"]
    assert "bot2: WATCHDOG_APP_DIR: no such place" in done.err


def test_unreachable_wins_over_every_other_code(checkout: Checkout, sshd: Sshd, fleet: dict[str, Door]) -> None:
    hosts = {name: checkout.host(sshd, door.variables) for name, door in fleet.items()}
    hosts["bot2"]["ansible_port"] = free_port()
    checkout.write_inventory(hosts)
    fleet["bot"].answer("status", {"schema": 1, "ok": False, "exit_code": 1, "error": "broken"}, 1)
    fleet["bot3"].status(3, state="stopped")
    done = checkout.fab("status")
    assert done.code == 4, done
    assert [row[1] for row in done.rows()] == ["ERROR", "UNREACHABLE", "stopped"]


def test_json_has_every_host_and_nothing_else_on_stdout(checkout: Checkout, sshd: Sshd, fleet: dict[str, Door]) -> None:
    hosts = {name: checkout.host(sshd, door.variables) for name, door in fleet.items()}
    hosts["bot2"]["ansible_port"] = free_port()
    checkout.write_inventory(hosts)
    fleet["bot3"].status(3, state="stopped", pid=None, warnings=["an older watchdog runs beside ours"])
    done = checkout.fab("status", "--json")
    document = done.json()
    assert done.code == 4, done
    assert document["schema"] == 1
    first, second, third = document["hosts"]
    assert (first["host"], first["reachable"], first["exit_code"], first["status"]["pid"]) == ("bot", True, 0, 4711)
    assert (second["host"], second["reachable"], second["exit_code"]) == ("bot2", False, 4)
    assert "refuses the connection" in second["error"]
    assert "status" not in second
    assert (third["exit_code"], third["status"]["state"]) == (3, "stopped")


def test_maintenance_shows_in_the_state_column_with_owner_reason_and_time_left(checkout: Checkout, bot: Door) -> None:
    notice = {"owner": "alice@laptop", "reason": "new strategy", "since": "…", "until": "…", "remaining_s": 6900.0}
    bot.status(3, state="down", pid=None, uptime_s=None, cpu_percent=None, memory_bytes=None, maintenance=notice)
    done = checkout.fab("status")
    assert done.code == 3, done
    row = done.out.splitlines()[1]
    assert row.split()[:4] == ["bot", "maint:down", "-", "-"]
    assert "1h 55m left (alice@laptop: new strategy)" in row


def test_warnings_of_a_host_go_to_stderr_under_its_name(checkout: Checkout, bot: Door) -> None:
    bot.status(warnings=["no heir", "disk nearly full"])
    done = checkout.fab("status")
    assert done.code == 0
    assert done.err.splitlines() == ["bot: warning: no heir", "bot: warning: disk nearly full"]


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b31m\u202eevil\u200b\x00\r\nbot2  running"


def test_hostile_text_reaches_the_terminal_without_control_characters(checkout: Checkout, bot: Door) -> None:
    bot.status(
        name=HOSTILE,
        last_event={"time": HOSTILE, "kind": HOSTILE, "message": HOSTILE},
        maintenance={"owner": HOSTILE, "reason": HOSTILE, "remaining_s": HOSTILE},
        warnings=[HOSTILE],
        pid=HOSTILE,
        uptime_s="NaN",
        restarts=[],
        cpu_percent=float("inf"),
        memory_bytes=True,
    )
    done = checkout.fab("status")
    assert done.code == 0, done
    assert len(done.out.splitlines()) == 2
    for stream in (done.out, done.err):
        assert not [char for char in stream if char != "\n" and not char.isprintable()], repr(stream)
    assert "redevil" in done.out


def test_hostile_text_stays_escaped_in_json(checkout: Checkout, bot: Door) -> None:
    bot.status(warnings=[HOSTILE])
    done = checkout.fab("status", "--json")
    assert done.json()["hosts"][0]["status"]["warnings"] == [HOSTILE]
    assert not [char for char in done.out if char != "\n" and not (char.isascii() and char.isprintable())]


@pytest.mark.parametrize(
    "output",
    [b"", b"\xff\xfe\x00garbage", b'{"schema": 1', b"[" * 100_000, b'"a string"', b"{}", b"null"],
    ids=["nothing", "binary", "cut", "deep", "string", "empty object", "null"],
)
def test_an_answer_without_sense_is_a_row_and_exit_1(checkout: Checkout, bot: Door, output: bytes) -> None:
    bot.raw("status", output)
    done = checkout.fab("status")
    assert done.code == 1, done
    assert done.rows()[0][:2] == ["bot", "ERROR"]
    assert "no JSON" in done.out


def test_what_a_login_script_prints_does_not_hide_the_answer(checkout: Checkout, bot: Door) -> None:
    bot.script("status", "echo 'Welcome to vps1!'; echo '{not json'\n")
    bot.raw("status", b'{"schema": 1, "state": "running", "pid": 5}\n')
    done = checkout.fab("status")
    assert (done.code, done.rows()[0][:3]) == (0, ["bot", "running", "5"]), done


def test_an_agent_of_another_schema_is_named_not_misread(checkout: Checkout, bot: Door) -> None:
    bot.answer("status", {"schema": 2, "state": "running"})
    done = checkout.fab("status")
    assert done.code == 1
    assert "speaks schema 2 and this fab speaks 1" in done.err


def test_a_host_that_floods_the_connection_is_cut_off(checkout: Checkout, bot: Door) -> None:
    bot.script("status", "exec yes\n")
    done = checkout.fab("status")
    assert done.code == 1, done
    assert "sent more than 16 MiB" in done.err
    assert done.seconds < 30


def test_a_missing_door_says_which_and_how_to_deploy(checkout: Checkout, bot: Door) -> None:
    bot.path.unlink()
    done = checkout.fab("status")
    assert done.code == 1, done
    assert done.rows()[0][:2] == ["bot", "ERROR"]
    assert f"no watchdog at {bot.path} on bot: ansible-playbook deploy.yml --limit bot" in done.err


def test_a_door_that_may_not_be_run_says_so(checkout: Checkout, bot: Door) -> None:
    bot.path.chmod(0o644)
    done = checkout.fab("status")
    assert done.code == 1
    assert "may not run" in done.err


def test_a_malformed_inventory_variable_is_that_hosts_row_only(
    checkout: Checkout, sshd: Sshd, fleet: dict[str, Door]
) -> None:
    hosts = {name: checkout.host(sshd, door.variables) for name, door in fleet.items()}
    hosts["bot2"]["ansible_port"] = "ssh"
    checkout.write_inventory(hosts)
    done = checkout.fab("status")
    assert done.code == 1
    assert [row[1] for row in done.rows()] == ["running", "ERROR", "running"]
    assert "inventory of bot2: ansible_port: 'ssh' is not a port number" in done.err


def test_stdin_is_left_to_the_callers_loop(checkout: Checkout, bot: Door) -> None:
    import subprocess

    from tests.ssh.checkout import ROOT

    loop = f"printf 'bot\\nbot\\n' | while read -r h; do {checkout.argv()[0]} -H $h status --json; done"
    done = subprocess.run(
        ["sh", "-c", loop], cwd=ROOT, env=checkout.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done
    assert len(json.loads(f"[{done.stdout.replace('}' + chr(10) + '{', '},{')}]")) == 2
