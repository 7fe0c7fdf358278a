"""The command line's promises that need no bot: one line per error, documented codes, no exception."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY
from watchdog import cli


@pytest.fixture(autouse=True)
def settled(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a project where nothing runs and nothing may be started."""
    for name in [name for name in os.environ if name.startswith(("WATCHDOG_", "SMTP_", "ALERT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(project)  # the command line goes to / by itself, and not only for the time of a test
    monkeypatch.setenv("WATCHDOG_APP_DIR", str(project))
    if os.geteuid() == 0:
        monkeypatch.setenv("WATCHDOG_ALLOW_ROOT", "1")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--nonsense"], 2), (["dance"], 2), (["status", "--follow"], 2), (["logs", "-n", "many"], 2),
        (["logs", "--source", "elsewhere"], 2), (["logs", "-n", "-5"], 2), (["logs", "--since", "yesterday"], 2),
        (["logs", "--grep", "("], 2), (["maintenance", "perhaps"], 2), (["status", "extra"], 2), (["--config"], 2),
        (["--config", "/no/such.env", "status"], 78), (["logs"], 1), (["stop", "--jso"], 2), (["guard", "extra"], 2),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line_and_a_documented_code(
    words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("watchdog: ") and shown.err.count("\n") == 1


@pytest.mark.parametrize("words", [["--nonsense", "--json"], ["logs", "--json"], ["logs", "-n", "x", "--json"]])
def test_with_json_an_error_is_a_document_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(words)
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert document == {"schema": 1, "ok": False, "exit_code": code, "error": document["error"]}
    assert document["error"] in shown.err


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["status", "--help"], ["-h"]])
def test_help_is_no_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 0
    assert capsys.readouterr().out


def test_internal_words_are_not_advertised(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert "--door" not in shown and "--heir" not in shown
    assert not re.search(r"^\s+send\b", shown, re.MULTILINE)
    acting = ("check", "guard", "start", "stop", "restart", "reset", "run", "retire")
    for verb in (*acting, "status", "explain", "logs", "maintenance", "alert-test"):
        assert f" {verb} " in shown


@pytest.mark.parametrize(
    ("words", "has"),
    [
        ([], False), (["--debug"], False), (["--json"], False), (["--config", "status"], False),
        (["--config", "x", "--door", "guard", "--json"], False), (["status"], True), (["--debug", "stop"], True),
        (["--help"], True), (["-h"], True), (["--version"], True), (["--config", "x", "logs"], True),
    ],
)  # fmt: skip
def test_options_alone_mean_check(words: list[str], has: bool) -> None:
    assert cli._has_verb(words) is has


def test_an_error_of_ours_is_one_line_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(words: list[str], prog: str) -> int:
        raise RuntimeError("two\nlines \x1b[31m")

    monkeypatch.setattr(cli, "_run", broken)
    assert cli.main(["status"]) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1 and "RuntimeError" in shown.err and "\x1b" not in shown.err
    with pytest.raises(RuntimeError):
        cli.main(["--debug", "status"])


@PROPERTY
@given(
    st.lists(
        st.sampled_from(["--json", "--debug", "logs", "status", "-n", "3", "-x", "on", "--for", "", "-"]), max_size=4
    )
)
def test_no_mixture_of_words_ends_in_an_exception(words: list[str]) -> None:
    if "--debug" in words or cli._has_verb(words) is False:
        return  # with --debug exceptions are wanted; without a verb it is a check, which acts
    assert cli.main(words) in (0, 1, 2, 3, 4, 75, 78)


def test_the_codes_of_errors_are_the_documented_ones() -> None:
    from watchdog import errors
    from watchdog.states import ExitCode

    known = {
        errors.WatchdogError: ExitCode.FAILED, errors.ConfigError: ExitCode.CONFIG, errors.UsageError: ExitCode.USAGE,
        errors.BusyError: ExitCode.BUSY, errors.NotRunningError: ExitCode.NOT_RUNNING,
    }  # fmt: skip
    assert all(kind.exit_code == code for kind, code in known.items())
