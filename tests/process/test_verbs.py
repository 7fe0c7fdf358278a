"""start, stop, restart, status: what they do, what they answer, with which exit code."""

from __future__ import annotations

import json
import re

import pytest

from tests.process import oracle
from tests.process.world import World

STATUS_FIELDS = {
    "schema",
    "name",
    "host",
    "version",
    "release",
    "state",
    "desired",
    "desired_by",
    "desired_since",
    "desired_reason",
    "maintenance",
    "pid",
    "started_at",
    "uptime_s",
    "restarts",
    "cpu_percent",
    "memory_bytes",
    "last_event",
    "last_exit",
    "next_start_in_s",
    "guard",
    "lock",
    "state_dir",
    "pid_file",
    "log_file",
    "app_log",
    "alerts",
    "warnings",
}
ACTION_FIELDS = {
    "schema", "verb", "ok", "exit_code", "name", "host", "message", "state", "old_pid", "pid", "verified_after_s",
    "action",
}  # fmt: skip
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def test_status_of_a_bot_that_never_ran_is_down_with_exit_3(world: World) -> None:
    done = world.verb("status", "--json")
    assert done.code == 3
    found = done.json
    assert set(found) >= STATUS_FIELDS
    assert (found["state"], found["desired"], found["pid"], found["guard"]) == ("down", "run", None, None)
    assert found["name"] == "dcaTrader"
    assert found["lock"] == str(world.instance / "bot.lock")
    assert found["pid_file"] == {"path": str(world.pid_file), "pid": None}
    assert found["alerts"] == {"configured": False, "queued": 0, "dead": 0}
    assert any("no guard" in warning for warning in found["warnings"])


def test_status_touches_nothing(world: World) -> None:
    world.verb("status", "--json")
    assert not world.instance.exists()
    assert sorted(path.name for path in world.project.iterdir()) == ["src"]


def test_status_of_a_running_bot_names_its_process(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    done = world.ok("status", "--json")
    found = done.json
    assert (found["state"], found["desired"], found["pid"]) == ("running", "run", pid)
    assert found["pid_file"]["pid"] == pid
    assert found["guard"].pop("since").endswith("Z")
    assert found["guard"] == {"pid": guard, "answers": True, "version": found["version"]}
    assert found["memory_bytes"] > 1_000_000 and found["cpu_percent"] >= 0
    assert 0 <= found["uptime_s"] < 60
    assert STAMP.fullmatch(found["started_at"]) and STAMP.fullmatch(found["last_event"]["time"])
    assert found["state_dir"] == str(world.instance)
    assert found["warnings"] == []
    text = world.ok("status").out
    assert f"running, PID {pid}" in text and f"PID {guard}" in text
    assert str(world.instance) in world.ok("status", "-v").out


def test_start_starts_and_says_so(world: World) -> None:
    done = world.ok("start", "--json", "--by", "alice@laptop", "--reason", "new month")
    found = done.json
    assert set(found) >= ACTION_FIELDS
    assert (found["verb"], found["ok"], found["exit_code"], found["action"]) == ("start", True, 0, "started")
    assert found["old_pid"] is None and found["pid"] == world.bot
    assert found["verified_after_s"] >= 0.29
    status = world.status()
    assert (status["desired_by"], status["desired_reason"]) == ("alice@laptop", "new month")
    assert STAMP.fullmatch(status["desired_since"])


def test_start_of_a_running_bot_does_nothing(world: World) -> None:
    pid = world.ok("start", "--json").json["pid"]
    again = world.ok("start", "--json").json
    assert (again["action"], again["pid"], again["verified_after_s"]) == ("none", pid, None)
    assert len(world.births()) == 1


@pytest.mark.promise(5)
def test_stop_stops_and_the_bot_stays_stopped(world: World) -> None:
    pid = world.ok("start", "--json").json["pid"]
    found = world.ok("stop", "--json", "--by", "bob", "--reason", "audit").json
    assert (found["action"], found["old_pid"], found["pid"], found["state"]) == ("stopped", pid, None, "stopped")
    assert world.bots() == []
    assert not world.pid_file.exists()
    done = world.verb("status", "--json")
    assert done.code == 3
    assert (done.json["state"], done.json["desired"], done.json["desired_by"]) == ("stopped", "stopped", "bob")
    assert done.json["desired_reason"] == "audit"
    for verb in ("check", "guard", "check"):
        assert world.verb(verb).code == 0
    assert world.bots() == [] and len(world.births()) == 1


def test_stop_of_a_bot_that_does_not_run_is_recorded_all_the_same(world: World) -> None:
    assert world.ok("stop", "--json").json["action"] == "none"
    assert world.ok("check", "--json").json["action"] == "none"
    assert world.births() == []


def test_restart_replaces_the_process_and_shows_both_pids(world: World) -> None:
    old = world.ok("start", "--json").json["pid"]
    done = world.ok("restart", "--json")
    assert done.json["action"] == "restarted"
    assert (done.json["old_pid"], done.json["pid"]) == (old, world.bot)
    assert done.json["verified_after_s"] >= 0.29
    assert not oracle.alive(old)
    assert f"PID {world.bot} → PID" in world.ok("restart").out


def test_restart_of_a_stopped_bot_starts_it(world: World) -> None:
    world.ok("stop")
    found = world.ok("restart", "--json").json
    assert found["pid"] == world.bot and found["old_pid"] is None
    assert world.status()["desired"] == "run"


@pytest.mark.fault("F40")
@pytest.mark.parametrize("verb", ["start", "restart"])
@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_a_start_that_fails_is_answered_with_exit_1_at_once(world: World, verb: str, guarded: bool) -> None:
    world.behave({"exit_after": 0, "exit_code": 9})
    world.ok("stop")
    if guarded:
        world.guard()
    done = world.verb(verb, "--json")
    assert done.code == 1 and done.json["ok"] is False
    assert "exit code 9" in done.json["message"]
    assert done.seconds < 10


def test_ready_ends_the_start_grace_early(world: World) -> None:
    world.behave({"ready": True})
    world.ok("stop")
    world.guard(WATCHDOG_START_GRACE="30")
    found = world.ok("start", "--json", WATCHDOG_START_GRACE="30").json
    assert found["pid"] == world.bot and found["verified_after_s"] < 10


def test_a_life_that_ends_within_the_grace_does_not_count_as_started(world: World) -> None:
    world.behave({"exit_after": 0.25, "exit_code": 5}, {})
    world.ok("stop")
    world.guard(WATCHDOG_START_GRACE="1")
    found = world.ok("start", "--json").json
    first, second = [entry["pid"] for entry in world.births()]
    assert found["pid"] == world.bot == second != first
    assert found["verified_after_s"] >= 1
    assert "exit code 5" in world.events("died")[0]["message"]


def test_verbs_of_people_answer_in_one_line(world: World) -> None:
    for words, part in (
        (("start",), "verified after"),
        (("start",), "already running"),
        (("restart",), "→"),
        (("stop",), "stopped PID"),
        (("stop",), "was not running; stays stopped"),
    ):
        out = world.ok(*words).out
        assert out.count("\n") == 1 and part in out, out


def test_an_error_with_json_is_a_document_on_stdout_and_a_line_on_stderr(world: World) -> None:
    done = world.verb("start", "--json", WATCHDOG_APP_DIR=str(world.folder / "nowhere"))
    assert done.code == 78
    assert done.json["ok"] is False and done.json["exit_code"] == 78
    assert done.json["error"] in done.err and done.err.count("\n") == 1


def test_a_bot_gets_a_session_its_project_directory_and_a_clean_environment(world: World) -> None:
    (world.project / "bot.env").write_text("API_KEY=abc\nSMTP_PASSWORD=no\nWATCHDOG_NAME=no\nMODE='paper'\n")
    world.behave({"inspect": True})
    world.ok("start", WATCHDOG_APP_ENV_FILE="bot.env", WATCHDOG_APP_ARGS="--symbol 'BTC USD'", SOME_OTHER="x")
    given = json.loads(str(oracle.until(lambda: "".join(world.lines("given.json")), "given.json")))
    assert given["session"] is True and given["cwd"] == str(world.project) and given["umask"] == 0o022
    assert given["argv"][1:] == ["--symbol", "BTC USD"]
    variables = given["environment"]
    assert (variables["API_KEY"], variables["MODE"], variables["PATH"]) == ("abc", "paper", "/usr/bin:/bin")
    assert not [
        key for key in variables if key.startswith(("SMTP_", "ALERT_")) or key in ("SOME_OTHER", "WATCHDOG_NAME")
    ]


@pytest.mark.fault("F47")
def test_a_bot_inherits_the_lock_and_its_output_and_no_other_descriptor(world: World) -> None:
    world.behave({"inspect": True})
    world.guard()
    world.until_running()
    given = json.loads(str(oracle.until(lambda: "".join(world.lines("given.json")), "given.json")))
    known = {
        "/dev/null", str(world.instance / "bot.lock"), str(world.project / "logs" / "bot.out"),
        str(world.project / "market.lock"),
    }  # fmt: skip
    assert {path for path in given["descriptors"].values() if not path.startswith("/proc")} <= known
    assert given["descriptors"]["0"] == "/dev/null"


@pytest.mark.fault("F45")
@pytest.mark.parametrize(
    "missing", ["WATCHDOG_APP_SCRIPT", "WATCHDOG_APP_PYTHON", "WATCHDOG_APP_ENV_FILE"], ids=["script", "python", "env"]
)
def test_what_is_missing_is_named_and_leaves_no_pid_file(world: World, missing: str) -> None:
    world.other_scripts.append(world.project / "gone" / "away.py")
    done = world.verb("start", "--json", **{missing: "gone/away.py"})
    assert done.code == 1
    assert "away.py" in done.json["message"]
    assert not world.pid_file.exists() and world.births() == []
