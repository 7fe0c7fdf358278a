"""How the demonstration prints."""

from __future__ import annotations

import io
import os

import pytest

from demo.stage import NotProvedError, Stage


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def talk(stage: Stage) -> None:
    stage.title("A title")
    stage.step("First")
    stage.say("word " * 60)
    stage.command(["fab", "-H", "bot", "stop", "--reason", "two words", *["--long-option"] * 10])
    stage.output("x" * 200 + "\n\nshort\n")
    stage.claim(True, "it holds " * 20)
    stage.note("mind this")
    stage.failed("broken")


def test_no_line_is_wider_than_80_columns_and_nothing_is_lost() -> None:
    out = io.StringIO()
    talk(Stage(out, steps=1))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("x") for line in lines) == 200
    assert sum(line.count("word") for line in lines) == 61
    assert "[1/1] First" in lines
    assert "  $ fab -H bot stop --reason 'two words' --long-option --long-option \\" in lines


def test_a_pipe_gets_plain_ascii_without_escapes() -> None:
    out = io.StringIO()
    talk(Stage(out))
    assert out.getvalue().isascii()
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_colours_and_ticks() -> None:
    out = Terminal()
    talk(Stage(out))
    assert "\x1b[32m  ✓ it holds" in out.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    out = Terminal()
    talk(Stage(out))
    assert "\x1b" not in out.getvalue()


def test_a_claim_that_is_not_true_is_an_error_and_is_not_printed() -> None:
    out = io.StringIO()
    with pytest.raises(NotProvedError, match="the moon is cheese"):
        Stage(out).claim(False, "the moon is cheese")
    assert out.getvalue() == ""


def test_a_listener_who_leaves_stops_the_talk_at_the_next_step_only() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        stage = Stage(out)
        os.close(reading)
        stage.say("into the void")
        stage.failed("still no error")
        with pytest.raises(BrokenPipeError):
            stage.step("Next")
