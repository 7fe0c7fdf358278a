"""The last lines of one life, out of a file that several lives have written to."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY
from watchdog import lastwords
from watchdog.lastwords import LINES, WIDTH, Span

PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)


@PROPERTY
@given(st.lists(PRINTABLE, max_size=30), st.lists(PRINTABLE, max_size=30), st.lists(PRINTABLE, max_size=5))
def test_the_lines_are_those_of_this_life(
    tmp_path: Path, before: list[str], during: list[str], after: list[str]
) -> None:
    path = tmp_path / "bot.out"
    ends = []
    path.write_bytes(b"")
    for part in (before, during, after):
        with path.open("a") as file:
            file.write("".join(f"{line}\n" for line in part))
        ends.append(path.stat().st_size)
    assert Span(str(path), ends[0], ends[1]).lines(()) == during[-LINES:]


def test_a_file_that_was_cut_off_meanwhile_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "bot.out"
    path.write_text("rotated\n")
    assert Span(str(path), 5_000, 6_000).lines(()) == ["rotated"]


def test_much_output_is_bounded_and_loses_no_more_than_its_head(tmp_path: Path) -> None:
    path = tmp_path / "bot.out"
    path.write_bytes(b"x" * 100_000 + b"\n" + b"\x1b[31mred\xff\n" + b"y y " * 200 + b"\nlast\n")
    found = lastwords.whole(str(path)).lines(())
    assert found[-1] == "last" and found[-3] == " [31mred�" and len(found[-2]) == WIDTH


def test_secrets_are_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "bot.out"
    path.write_text("login with swordfish1 failed\n")
    assert "swordfish1" not in lastwords.whole(str(path)).lines(("swordfish1",))[0]


def test_a_missing_file_and_a_directory_say_nothing(tmp_path: Path) -> None:
    assert lastwords.whole(str(tmp_path / "no")).lines(()) == []
    assert lastwords.whole(str(tmp_path)).lines(()) == []
