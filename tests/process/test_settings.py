"""Settings: none are needed, wrong ones are named in one line, a file wins over the environment."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process import oracle
from tests.process.world import World


def one_line(world: World, code: int, *words: str, **more: str) -> str:
    done = world.verb(*words, **more)
    assert done.code == code, done
    assert done.err.count("\n") == 1, "an error is one line"
    return done.err


def unset(world: World) -> None:
    """Zero configuration; root alone must say that it means it."""
    world.env = {key: value for key, value in world.env.items() if key == "WATCHDOG_ALLOW_ROOT"}


def test_it_works_in_the_project_directory_without_any_setting(world: World) -> None:
    unset(world)
    done = world.verb(cwd=world.project)
    assert done.code == 0, done
    status = world.verb("status", "--json", cwd=world.project).json
    assert status["pid"] == world.bot
    assert status["name"] == "dcaTrader"
    assert status["pid_file"]["path"] == str(world.pid_file) and world.pid_file.exists()
    assert status["log_file"] == str(world.project / "logs" / "watchdog.log")
    assert status["state_dir"] == str(world.instance)
    assert world.verb("stop", cwd=world.project).code == 0


def test_the_projects_own_virtual_environment_runs_the_bot(world: World) -> None:
    unset(world)
    folder = world.project / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    assert world.verb(cwd=world.project).code == 0
    assert oracle.read(world.bot, "cmdline").split(b"\0")[0] == os.fsencode(folder / "python")


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("WATCHDOG_APP_DIR", "/no/such/place", "no directory /no/such/place"),
        ("WATCHDOG_NAME", "two words", "letters, digits"),
        ("WATCHDOG_NAME", "x" * 65, "64 at most"),
        ("WATCHDOG_START_GRACE", "soon", "number of seconds"),
        ("WATCHDOG_START_GRACE", "nan", "number of seconds"),
        ("WATCHDOG_STOP_GRACE", "-1", "number of seconds"),
        ("WATCHDOG_STOP_GRACE", "1e9", "number of seconds"),
        ("WATCHDOG_ALLOW_ROOT", "perhaps", "neither 1 nor 0"),
        ("WATCHDOG_APP_ARGS", "'open", "WATCHDOG_APP_ARGS"),
        ("WATCHDOG_APP_DRI", ".", "did you mean WATCHDOG_APP_DIR"),
        ("WATCHDOG_COLOUR", "red", "unknown setting WATCHDOG_COLOUR"),
    ],
)
def test_a_wrong_setting_is_named_with_exit_78(world: World, name: str, value: str, part: str) -> None:
    for verb in ("check", "status", "guard"):
        line = one_line(world, 78, verb, **{name: value})
        assert name in line and part in line
    assert not world.instance.exists() and world.bots() == []


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("status", "--frob"),
        ("logs", "--lines", "many"),
        ("logs", "--source", "bot"),
        ("maintenance", "perhaps"),
        ("maintenance", "on", "--for", "soon"),
        ("logs", "--grep", "("),
        ("logs", "--since", "yesterday-ish"),
        ("logs", "-n", "-1"),
        ("stat",),
        ("start", "extra"),
        ("--config",),
    ],
    ids=" ".join,
)
def test_what_cannot_be_understood_is_exit_2_in_one_line(world: World, words: tuple[str, ...]) -> None:
    world.ok("stop")
    (world.project / "logs" / "bot.out").write_text("line\n")
    one_line(world, 2, *words)


def test_help_and_version_succeed(world: World) -> None:
    assert "restart" in world.ok("--help").out
    assert "--lines" in world.ok("logs", "--help").out
    assert world.ok("--version").out.startswith("watchdog ")


@pytest.mark.needs_root
def test_root_is_refused_unless_it_says_so(world: World) -> None:
    for verb in ("check", "guard", "status", "run"):
        assert "refusing to run as root" in one_line(world, 78, verb, WATCHDOG_ALLOW_ROOT="")
        assert "refusing to run as root" in one_line(world, 78, verb, WATCHDOG_ALLOW_ROOT="no")
    assert not world.instance.exists()


def config(world: World, text: str, name: str = "watchdog.env") -> str:
    path = world.folder / name
    path.write_text(text)
    return str(path)


def test_a_file_wins_over_the_environment_and_a_later_file_over_an_earlier_one(world: World) -> None:
    first = config(world, "WATCHDOG_NAME=from-first\nWATCHDOG_STOP_GRACE=7\n", "1.env")
    second = config(world, "WATCHDOG_NAME=from-second\n", "2.env")
    assert world.status(WATCHDOG_NAME="from-environment")["name"] == "from-environment"
    done = world.verb("--config", first, "status", "--json", WATCHDOG_NAME="from-environment")
    assert done.json["name"] == "from-first"
    done = world.verb("--config", first, "--config", second, "status", "--json", WATCHDOG_NAME="from-environment")
    assert done.json["name"] == "from-second"


def test_an_empty_value_is_not_set(world: World) -> None:
    file = config(world, "WATCHDOG_NAME=\nSMTP_SERVER=\n")
    found = world.verb("--config", file, "status", "--json").json
    assert found["name"] == "dcaTrader" and found["alerts"]["configured"] is False


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("WATCHDOG_NAM=x\n", "did you mean WATCHDOG_NAME"),
        ("SMTP_PASWORD=hunter2\n", "did you mean SMTP_PASSWORD"),
        ("PATH=/bin\n", "unknown setting PATH"),
        ("just words\n", "line 1"),
        ("WATCHDOG_NAME=a\nWATCHDOG_NAME=b\n", "set twice"),
        ("WATCHDOG_NAME='open\n", "not closed"),
        ("# fine\n\nWATCHDOG_NAME=\xff\n", "watchdog.env"),
    ],
)
def test_a_wrong_file_is_named_with_exit_78(world: World, text: str, part: str) -> None:
    path = Path(config(world, ""))
    path.write_bytes(text.encode("latin-1"))
    line = one_line(world, 78, "--config", str(path), "check")
    assert part in line and "watchdog.env" in line
    assert "hunter2" not in line, "a value may be a secret"


def test_a_file_that_is_not_there_is_exit_78(world: World) -> None:
    assert "gone.env" in one_line(world, 78, "--config", str(world.folder / "gone.env"), "guard")


def test_a_door_with_its_configuration_baked_in_is_all_that_guard_and_heir_need(world: World) -> None:
    file = config(world, "".join(f"{key}={value}\n" for key, value in world.env.items() if value))
    door = world.folder / "door"
    door.write_text(
        f'#!/bin/sh\nPYTHONPATH={world.agent} exec {world.python} -m watchdog --config {file} --door {door} "$@"\n'
    )
    door.chmod(0o755)

    def through_the_door(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([door, *words], cwd="/", env={}, capture_output=True, text=True, timeout=30)

    done = through_the_door("guard")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    guard = world.until_guarded()
    pid = world.until_bot()
    world.kill(guard)
    heir = world.until_guarded(other_than=guard)
    oracle.until(
        lambda: any(os.fsencode(door) in oracle.read(pid, "cmdline").split(b"\0") for pid in world.heirs),
        "the next heir waits for its turn to call the door",
    )
    assert world.bot == pid
    assert through_the_door("guard").returncode == 0
    assert world.guards == [heir]


def test_the_locks_lie_in_the_home_of_the_password_database_whatever_home_says(world: World) -> None:
    world.ok("stop", HOME=str(world.folder))
    home = pwd.getpwuid(os.geteuid()).pw_dir
    assert str(world.instance).startswith(f"{home}/.local/state/dca-watchdog/main_app-")
    assert world.status()["desired"] == "stopped"
    assert not (world.folder / ".local").exists()


@pytest.mark.fault("F73")
@pytest.mark.parametrize(
    "variables",
    [("LOGNAME=x", "PATH=/usr/bin:/bin", "SHELL=/bin/sh"), ("LANG=C", "LC_ALL=C"), ("HOME=/nonexistent", "PATH=")],
    ids=["cron's", "none but a bare locale", "no home and no path"],
)
def test_it_works_as_cron_starts_it(world: World, variables: tuple[str, ...]) -> None:
    argv = ["/usr/bin/env", "-i", *variables, f"PYTHONPATH={world.agent}"]
    argv += [f"{key}={value}" for key, value in world.env.items()]
    argv += ["/bin/sh", "-c", f"umask 077; exec {world.python} -m watchdog guard"]
    done = subprocess.run(argv, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    world.until_guarded()
    pid = world.until_running()
    assert oracle.environment(pid)["PATH"] == "/usr/bin:/bin" and "LC_ALL" not in oracle.environment(pid)
    world.kill(pid)
    world.until_bot(other_than=pid)
    assert world.verb("status", cwd="/").code == 0
    assert world.log.isprintable() or "✅" in world.log
