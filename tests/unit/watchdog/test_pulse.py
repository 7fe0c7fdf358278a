"""The guard's own command line without the grammar: the same words, the same meaning, or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import REPOSITORY
from watchdog import cli, config, deadline, pulse, tick
from watchdog.errors import UsageError

WORDS = st.lists(
    st.sampled_from(
        [
            "--config",
            "/a.env",
            "--door",
            "/bin/x",
            "guard",
            "--foreground",
            "--heir",
            "--resume",
            "0.1.0-abc",
            "--replace",
            "--debug",
            "-h",
            "status",
        ]
    ),
    max_size=6,
)


@given(WORDS)
def test_what_is_read_without_the_grammar_means_the_same_by_it(words: list[str]) -> None:
    found = pulse.read(words)
    if found is None:
        return
    try:
        known = cli.parser("watchdog").parse_args(words)
    except UsageError as error:
        raise AssertionError(f"{words}: {error}") from None
    assert known.verb == "guard" and not known.replace and not known.debug
    said = (tuple(known.config), known.door, known.foreground, known.resume)
    assert said == (found.files, found.door, found.foreground, found.resume)


@pytest.mark.parametrize(
    "words",
    [
        ["guard"],
        ["--config", "/a", "--config", "/b", "--door", "/c", "guard"],
        ["guard", "--heir"],
        ["guard", "--foreground"],
        ["--config", "/a", "guard", "--foreground", "--resume", "0.1.0"],
    ],
)
def test_what_cron_and_the_heir_run_needs_no_grammar(words: list[str]) -> None:
    assert pulse.read(words) is not None


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["status"],
        ["guard", "--help"],
        ["guard", "x"],
        ["guard", "--resume"],
        ["guard", "--resume", "--heir"],
        ["guard", "--self-test"],
        ["--config"],
        ["--config", "", "guard"],
        ["--debug", "guard"],
    ],
)
def test_everything_else_is_left_to_the_grammar(words: list[str]) -> None:
    assert pulse.read(words) is None


@pytest.mark.parametrize("words", [["--foreground"], ["--resume", "0.1.0"], ["--foreground", "--resume", "0.1.0"]])
def test_a_guard_that_stays_in_its_process_has_no_deadline(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(deadline, "lift", lambda: done.append("lift"))
    monkeypatch.setattr(tick, "become_guard", lambda *_, resume, **more: done.append(resume) or 0)
    monkeypatch.setattr(config, "load", lambda *_: None)
    monkeypatch.setattr(pulse.os, "chdir", lambda _: None)
    found = pulse.read(["guard", *words])
    assert found and pulse.beat(found) == 0
    assert done == ["lift", "0.1.0" if "--resume" in words else None]


@pytest.mark.fault("F23")
@pytest.mark.parametrize("verb", ["status", "guard", "check", "stop"])
def test_a_verb_that_hangs_in_a_system_call_is_ended_from_outside(tmp_path: Path, verb: str) -> None:
    fifo = tmp_path / "never.env"
    os.mkfifo(fifo)
    code = (
        "import sys; from watchdog import deadline; from watchdog.__main__ import main; deadline.LIMIT = 1;"
        f"sys.argv = ['watchdog', '--config', {str(fifo)!r}, {verb!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGALRM and deadline.EXIT_CODE == 142
    assert done.stdout + done.stderr == b""
