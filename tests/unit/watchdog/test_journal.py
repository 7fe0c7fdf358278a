"""The journal: one clean line per event, rotated, and never a reason to stop."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY
from watchdog import journal as journals
from watchdog.journal import Journal, clean, last_event

HOSTILE = "a\nb\r\x1b[31mred\x07\x00 \u202ertl\u2028line\x85next\ttab\ud800"


def lines(path: str) -> list[str]:
    """The lines of a file; a newline is all that ends one."""
    return Path(path).read_bytes().decode().split("\n")[:-1]


def test_an_event_is_one_line_for_people_and_one_for_programs(journal: Journal) -> None:
    journal.event("restarted", "bot is running again", "ok", pid=7, by=None)
    (human,) = lines(journal.log_file)
    (machine,) = lines(journal.events_file)
    assert "[dcaTrader] bot is running again" in human and " INFO " in human
    event = json.loads(machine)
    assert (event["schema"], event["kind"], event["message"], event["pid"]) == (
        1,
        "restarted",
        "bot is running again",
        7,
    )
    assert human.startswith(event["time"][:19])


@pytest.mark.parametrize(
    ("level", "word"),
    [
        ("debug", "DEBUG"),
        ("info", "INFO"),
        ("ok", "INFO"),
        ("alert", "INFO"),
        ("warning", "WARNING"),
        ("error", "ERROR"),
    ],
)
def test_every_level_has_its_word(journal: Journal, level: str, word: str) -> None:
    journal.say(level, "text")
    assert lines(journal.log_file)[0].split()[1] == word


@pytest.mark.fault("F65")
def test_control_characters_reach_neither_file(journal: Journal) -> None:
    journal.event("died", HOSTILE, "error")
    (human,), (machine,) = lines(journal.log_file), lines(journal.events_file)
    for text in (human, json.loads(machine)["message"]):
        assert not any(char in text for char in "\n\r\x1b\x07\x00\u202e\u2028\x85\t\ud800")
        assert "red" in text and "next" in text


@PROPERTY
@given(st.text())
def test_cleaned_text_is_one_printable_line_of_the_same_length(text: str) -> None:
    found = clean(text)
    assert len(found) == len(text)
    assert found.isprintable()
    assert found.encode("utf-8").decode() == found
    assert all(new == (old if old.isprintable() else " ") for new, old in zip(found, text, strict=True))


def test_files_are_rotated_and_only_so_many_are_kept(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "LOG_LIMIT", 2_000)
    for number in range(200):
        journal.say("info", f"line {number:03} {'x' * 50}")
    folder = Path(journal.log_file).parent
    kept = sorted(path.name for path in folder.iterdir())
    assert kept == ["watchdog.log", "watchdog.log.1", "watchdog.log.2", "watchdog.log.3"]
    names = ["watchdog.log.3", "watchdog.log.2", "watchdog.log.1", "watchdog.log"]
    text = "".join((folder / name).read_text() for name in names)
    numbers = [int(line.split(" line ")[1][:3]) for line in text.splitlines()]
    assert numbers == list(range(numbers[0], 200)), "nothing is lost in between, and the newest stays"
    assert all((folder / name).stat().st_size < 2_200 for name in kept)


def test_a_file_of_exactly_the_limit_is_not_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    assert journals._append(str(path), "12345\n", 6) is None
    assert os.listdir(tmp_path) == ["x"]
    assert journals._append(str(path), "1", 6) is None
    assert os.listdir(tmp_path) == ["x.1"]


@pytest.mark.fault("F72")
def test_a_missing_folder_is_made(journal: Journal) -> None:
    assert not Path(journal.log_file).parent.exists()
    journal.say("info", "x")
    assert lines(journal.log_file)


@pytest.mark.fault("F72")
def test_what_cannot_be_written_goes_to_the_system_log_and_is_complained_of_once(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(journals, "_last_resort", said.append)
    (tmp_path / "logs").write_text("a file where the folder should be")
    (tmp_path / "state").write_text("here too")
    for number in range(3):
        journal.event("info", f"harmless {number}")
        journal.event("died", f"bad {number}", "error")
    assert [text for text in said if "cannot write" in text] == [said[0]]
    assert [text for text in said if "bad" in text] == [f"dcaTrader: bad {n}" for n in range(3)]
    assert not any("harmless" in text for text in said)


@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_a_log_that_is_no_plain_file_neither_blocks_nor_is_followed(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    said: list[str] = []
    monkeypatch.setattr(journals, "_last_resort", said.append)
    path = Path(journal.log_file)
    path.parent.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("untouched")
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(precious)
    journal.say("error", "text")
    assert said and precious.read_text() == "untouched"


def test_the_console_shows_warnings_and_errors_only_where_nobody_looks_on(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.console = True
    for level in ("debug", "info", "ok", "alert", "warning", "error"):
        journal.say(level, f"a {level} line")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line.split()[-2] for line in shown.err.splitlines()] == ["warning", "error"]


def test_debug_shows_everything(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    journal.console = journal.debug_on_console = True
    for level in ("debug", "info", "error"):
        journal.say(level, f"a {level} line")
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_console_that_is_gone_is_no_error(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.console = True
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        journal.say("error", "one")
        journal.say("error", "two")
        monkeypatch.setattr(sys, "stderr", None)
        journal.console = True
        journal.say("error", "three")
        with pytest.raises(BrokenPipeError):
            broken.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)
    assert [line.split()[-1] for line in lines(journal.log_file)] == ["one", "two", "three"]


def test_a_console_that_knows_only_ascii_still_shows_the_text(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "console"
    with path.open("w", encoding="ascii", errors="strict") as console:
        monkeypatch.setattr(sys, "stderr", console)
        journal.console = True
        journal.say("error", "one")
        journal.say("error", "two")
    assert [line.split()[-1] for line in path.read_text("ascii").splitlines()] == ["one", "two"]


def test_the_last_event_is_the_newest_complete_one(journal: Journal, tmp_path: Path) -> None:
    assert last_event(journal.events_file) is None
    journal.event("a", "first")
    journal.event("b", "second")
    with open(journal.events_file, "a") as file:
        file.write('{"message": 5}\n[]\n"x"\n\n{"kind": "torn", "mess')
    found = last_event(journal.events_file)
    assert found is not None and (found["kind"], found["message"]) == ("b", "second")


def test_the_last_event_is_found_at_the_end_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(('{"message":"old","kind":"x"}\n' * 50_000) + '{"message":"new","kind":"y"}\n')
    found = last_event(str(path))
    assert found is not None and found["message"] == "new"
