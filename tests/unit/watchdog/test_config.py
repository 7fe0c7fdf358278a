"""Settings: every one of them, where they come from, and what is said when one is wrong."""

from __future__ import annotations

import os
import pwd
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, one_line
from watchdog import config, limits, settings
from watchdog.errors import ConfigError

ROOT = {"WATCHDOG_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}
SECRET = "correct-horse-battery"


def load(project: Path, files: list[str] | None = None, /, **settings: str) -> config.Config:
    """The configuration of a project with these variables in the environment."""
    return config.load({**ROOT, "WATCHDOG_APP_DIR": str(project), **settings}, files or [])


def env_file(folder: Path, name: str, text: str) -> str:
    """An env file; its path."""
    path = folder / name
    path.write_text(text)
    return str(path)


def refusal(project: Path, files: list[str] | None = None, /, **settings: str) -> str:
    """The one line that refuses these settings."""
    with pytest.raises(ConfigError) as caught:
        load(project, files, **settings)
    assert caught.value.exit_code == 78
    return one_line(caught.value)


def test_with_nothing_set_everything_lies_in_the_current_directory(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    found = config.load(dict(ROOT), [])
    assert found == config.Config(
        name="dcaTrader", app_dir=str(project), script=str(project / "src/main_app.py"), python=sys.executable,
        args=(), app_log=None, app_env_file=None, pid_file=str(project / "main_app.pid"),
        log_dir=str(project / "logs"), state_dir=None, start_grace=3.0, stop_grace=20.0, allow_root=bool(ROOT),
        fresh_file=None, limits=limits.Limits(), judged_by={key: settings.SETTINGS[key] for key in limits.SETTINGS},
        smtp={}, files=(), door=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "field"),
    [("WATCHDOG_APP_SCRIPT", "script"), ("WATCHDOG_APP_PYTHON", "python"), ("WATCHDOG_APP_LOG", "app_log"),
     ("WATCHDOG_APP_ENV_FILE", "app_env_file"), ("WATCHDOG_PID_FILE", "pid_file"), ("WATCHDOG_LOG_DIR", "log_dir"),
     ("WATCHDOG_STATE_DIR", "state_dir")],
)  # fmt: skip
def test_paths_are_absolute_or_relative_to_the_project(project: Path, key: str, field: str) -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir
    for written, meant in (
        ("/var/x/y", "/var/x/y"),
        ("sub/x", f"{project}/sub/x"),
        ("./a/../x", f"{project}/x"),
        ("~/x", f"{home}/x"),
    ):
        assert getattr(load(project, **{key: written}), field) == meant


def test_the_home_directory_is_that_of_the_password_database(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    assert load(project, WATCHDOG_PID_FILE="~/x").pid_file == pwd.getpwuid(os.getuid()).pw_dir + "/x"


def test_the_projects_virtual_environment_is_found(project: Path) -> None:
    python = project / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert load(project).python == str(python)
    better = project / ".venv" / "bin" / "python"
    better.parent.mkdir(parents=True)
    better.symlink_to(sys.executable)
    assert load(project).python == str(better)
    assert load(project, WATCHDOG_APP_PYTHON="/usr/bin/python3").python == "/usr/bin/python3"


def test_arguments_are_split_like_a_shell_does_it(project: Path) -> None:
    assert load(project, WATCHDOG_APP_ARGS="--pair 'BTC USD' -n 3").args == ("--pair", "BTC USD", "-n", "3")
    assert "WATCHDOG_APP_ARGS" in refusal(project, WATCHDOG_APP_ARGS="it's")


@PROPERTY
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=4))
def test_arguments_survive_being_handed_to_a_guard(args: list[str]) -> None:
    assert config.split_args(config.quote_args(tuple(args)), {}) == tuple(args)


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        (
            "WATCHDOG_START_GRACE",
            ["0.1", "3", "3600", "1e2"],
            ["0", "0.09", "3601", "-1", "nan", "inf", "3s", "", " x"],
        ),
        ("WATCHDOG_STOP_GRACE", ["0", "0.5", "3600"], ["-0.1", "3601", "NaN", "-inf", "20 s", "1,5"]),
    ],
)
def test_durations_have_bounds(project: Path, key: str, good: list[str], bad: list[str]) -> None:
    field = key.removeprefix("WATCHDOG_").lower()
    for text in good:
        assert getattr(load(project, **{key: text}), field) == float(text)
    for text in filter(None, bad):
        said = refusal(project, **{key: text})
        assert key in said and "3600" in said and "environment" in said


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("yes", True), ("TRUE", True), ("on", True), ("0", False), ("no", False)]
)
def test_a_switch_understands_the_usual_words(project: Path, text: str, value: bool) -> None:
    if os.geteuid() == 0 and not value:
        assert "root" in refusal(project, WATCHDOG_ALLOW_ROOT=text)
    else:
        assert load(project, WATCHDOG_ALLOW_ROOT=text).allow_root is value


def test_a_switch_refuses_other_words(project: Path) -> None:
    assert "WATCHDOG_ALLOW_ROOT" in refusal(project, WATCHDOG_ALLOW_ROOT="maybe")


def test_root_is_refused_unless_it_is_allowed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "WATCHDOG_ALLOW_ROOT=1" in refusal(project, WATCHDOG_ALLOW_ROOT="")
    assert load(project, WATCHDOG_ALLOW_ROOT="1").allow_root


@pytest.mark.parametrize("name", ["bot", "Bot-1", "a.b_c", "x" * 64])
def test_good_names(project: Path, name: str) -> None:
    assert load(project, WATCHDOG_NAME=name).name == name


@pytest.mark.parametrize("name", ["a b", "bot/1", "bot\n1", "ünï", "x" * 65, "bot;rm", "$(id)"])
def test_bad_names_are_refused(project: Path, name: str) -> None:
    assert "WATCHDOG_NAME" in refusal(project, WATCHDOG_NAME=name)


def test_a_project_with_an_odd_name_gets_a_plain_one(tmp_path: Path) -> None:
    folder = tmp_path / "mein bot (ü)"
    folder.mkdir()
    assert load(folder).name == "mein-bot----"


def test_a_missing_project_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path / "nowhere")
    assert "WATCHDOG_APP_DIR" in said and str(tmp_path / "nowhere") in said


# Where settings come from --------------------------------------------------------------------------------------------


def test_a_file_wins_over_the_environment_and_a_later_file_over_an_earlier(project: Path, tmp_path: Path) -> None:
    first = env_file(tmp_path, "first.env", "WATCHDOG_START_GRACE=5\nWATCHDOG_STOP_GRACE=6\n")
    second = env_file(tmp_path, "second.env", 'WATCHDOG_STOP_GRACE="7"\n')
    found = load(project, [first, second], WATCHDOG_START_GRACE="1", WATCHDOG_STOP_GRACE="2", WATCHDOG_NAME="env")
    assert (found.start_grace, found.stop_grace, found.name) == (5, 7, "env")
    assert found.files == (first, second)


def test_an_empty_value_counts_as_not_set(project: Path, tmp_path: Path) -> None:
    empty = env_file(tmp_path, "empty.env", "WATCHDOG_START_GRACE=\nWATCHDOG_APP_LOG=''\nSMTP_SERVER=\n")
    found = load(project, [empty], WATCHDOG_STOP_GRACE="  ")
    assert (found.start_grace, found.stop_grace, found.app_log, found.smtp) == (3, 20, None, {})


def test_an_error_names_the_file_that_the_value_comes_from(project: Path, tmp_path: Path) -> None:
    file = env_file(tmp_path, "bot.env", "WATCHDOG_STOP_GRACE=soon\n")
    said = refusal(project, [file], WATCHDOG_STOP_GRACE="5")
    assert "WATCHDOG_STOP_GRACE" in said and file in said and "'soon'" in said
    assert file in refusal(project, [env_file(tmp_path, "bot.env", "WATCHDOG_NAME=a b\n")])
    assert file in refusal(project, [env_file(tmp_path, "bot.env", "WATCHDOG_APP_DIR=/no/such\n")])
    assert file in refusal(project, [env_file(tmp_path, "bot.env", "WATCHDOG_APP_ARGS=it's\n")])
    assert file in refusal(project, [env_file(tmp_path, "bot.env", "WATCHDOG_ALLOW_ROOT=perhaps\n")])
    assert file in refusal(project, [env_file(tmp_path, "bot.env", "nonsense\n")])


def test_a_missing_file_is_an_error(project: Path, tmp_path: Path) -> None:
    assert str(tmp_path / "no.env") in refusal(project, [str(tmp_path / "no.env")])


def test_an_unknown_name_is_refused_with_a_suggestion(project: Path, tmp_path: Path) -> None:
    said = refusal(project, WATCHDOG_STOP_GRACES="5")
    assert "WATCHDOG_STOP_GRACES" in said and "did you mean WATCHDOG_STOP_GRACE?" in said
    file = env_file(tmp_path, "smtp.env", "SMTP_SEVER=x\n")
    said = refusal(project, [file])
    assert file in said and "did you mean SMTP_SERVER?" in said
    assert "remove it" in refusal(project, WATCHDOG_ZZZZZZZZZ="5")


def test_variables_of_others_are_left_alone(project: Path) -> None:
    plain = load(project)
    noisy = load(
        project, WATCHDOG_USEC="30000000", WATCHDOG_PID="1", SMTP_HELO="x", PATH="/bin",
        WATCHDOG_LOCK_FD="7", WATCHDOG_INSTANCE="main_app-00",
    )  # fmt: skip
    assert noisy == plain, "systemd and our own bot set these; none is a mistake"


def test_mail_settings_are_taken_as_they_are(project: Path, tmp_path: Path) -> None:
    values = {key: f"{key.lower()} \\ $x {{{{ y }}}} ü" for key in settings.SMTP}
    lines = "".join(f"{key}='{value}'\n" for key, value in values.items())
    assert load(project, [env_file(tmp_path, "smtp.env", lines)]).smtp == values
    assert load(project, **values).smtp == values


def test_blanks_around_a_quoted_password_are_part_of_it(project: Path, tmp_path: Path) -> None:
    file = env_file(tmp_path, "smtp.env", 'SMTP_PASSWORD=" two words "\n')
    assert load(project, [file]).smtp["SMTP_PASSWORD"] == " two words "


# What is handed on ---------------------------------------------------------------------------------------------------

PATHS = st.from_regex(r"(/[a-zA-Z0-9 _.-]{1,8}){1,3}[a-z]", fullmatch=True)


@PROPERTY
@given(data=st.data())
def test_a_guard_started_with_our_environment_has_our_settings(project: Path, data: st.DataObject) -> None:
    known = {
        "WATCHDOG_NAME": st.from_regex(r"[a-zA-Z0-9._-]{1,64}", fullmatch=True),
        "WATCHDOG_APP_SCRIPT": PATHS, "WATCHDOG_APP_PYTHON": PATHS, "WATCHDOG_APP_LOG": PATHS,
        "WATCHDOG_APP_ENV_FILE": PATHS, "WATCHDOG_PID_FILE": PATHS, "WATCHDOG_LOG_DIR": PATHS,
        "WATCHDOG_STATE_DIR": PATHS,
        "WATCHDOG_APP_ARGS": st.lists(st.text("ab '\"\\$", max_size=5), max_size=3).map(
            lambda args: config.quote_args(tuple(args))
        ),
        "WATCHDOG_START_GRACE": st.floats(0.1, 3600).map(repr),
        "WATCHDOG_STOP_GRACE": st.floats(0, 3600).map(repr),
        "SMTP_SERVER": st.from_regex(r"[a-z.]{1,20}", fullmatch=True),
        "SMTP_PASSWORD": st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20),
    }  # fmt: skip
    chosen = data.draw(st.fixed_dictionaries({}, optional=known))
    first = load(project, **chosen)
    assert config.load(first.environment(), []) == first


def test_every_setting_is_handed_on(project: Path) -> None:
    keys = set(load(project, **dict.fromkeys(settings.SMTP, "x@y")).environment())
    assert keys == {*settings.SETTINGS, *settings.SMTP}


# Secrets -------------------------------------------------------------------------------------------------------------


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    "spoil",
    [
        "WATCHDOG_STOP_GRACE=x", "WATCHDOG_NAME=a b", "WATCHDOG_APP_DIR=/no", "NOPE=1", "broken", 'SMTP_PORT="open',
        "WATCHDOG_APP_ARGS='\"'", f"SMTP_PASSWORD='{SECRET}", f"SMTP_PASSWORD=\"{SECRET}\\", f"SMTP_PASSWORD {SECRET}",
        f"SMTP_PASSWORD={SECRET}\nSMTP_PASSWORD={SECRET}", f"SMTP-PASSWORD={SECRET}", f"SMTP_PASWORD={SECRET}",
    ],
)  # fmt: skip
def test_no_error_shows_a_password(project: Path, tmp_path: Path, spoil: str) -> None:
    first = env_file(tmp_path, "a.env", f"SMTP_PASSWORD='{SECRET}'\nSMTP_USERNAME=bot\n")
    second = env_file(tmp_path, "b.env", spoil + "\n")
    said = refusal(project, [first, second])
    assert SECRET not in said
    assert not re.search("horse|battery", said)
    assert second in said
