"""`logs`: durations and moments, the last lines of files of any shape, and since when."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, attempt, one_line
from watchdog import logs
from watchdog.errors import UsageError, WatchdogError

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC).timestamp()


def everything(line: str) -> bool:
    """A filter that lets all lines through."""
    return True


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is that of a place with summer time."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# Durations and moments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86400),
        ("1.5h", 5400),
        (" 2 H ", 7200),
        ("0.5s", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert logs.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0m", "-5m", "h", "5w", "5 minutes", "1h30m", "inf", "nan", "1e3", "5,5h", "٣m"]
)
def test_what_is_no_duration_is_refused_in_one_line(text: str) -> None:
    found, refused = attempt(lambda: logs.duration(text), UsageError)
    if text == "٣m" and refused is None:
        assert found == 180.0  # a digit is a digit
    else:
        assert refused and "10m" in refused


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", NOW - 600),
        ("1d", NOW - 86400),
        ("2026-11-24T05:40", NOW - 1200),
        ("2026-11-24 05:40:30", NOW - 1170),
        ("2026-11-24T05:40:30.250Z", NOW - 1169.75),
        ("2026-11-24T05:40:30,250", NOW - 1169.75),
        ("2026-11-24T06:40:00+01:00", NOW - 1200),
        ("2026-11-24T00:40:00-0500", NOW - 1200),
        ("2026-11-24", NOW - 6 * 3600),
        (" 2026-11-24T05:40 ", NOW - 1200),
    ],
)
def test_since_is_a_duration_or_a_moment_in_utc(text: str, moment: float, in_new_york: None) -> None:
    assert logs.moment(text, NOW) == pytest.approx(moment)


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "2026-00-10T05:40", "05:40", "24.11.2026", "", "2026-11-24T", "now",
             "2026-11-24T05:40 and more"],
)  # fmt: skip
def test_what_is_no_moment_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        logs.moment(text, NOW)
    assert "--since" in one_line(caught.value)


@pytest.mark.parametrize("text", ["2026-02-30T05:40", "2026-11-24T25:00", "2026-11-24T05:61", "2026-04-31"])
def test_a_moment_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        logs.moment(text, NOW)


@PROPERTY
@given(
    when=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the zone is drawn beside it
    minutes=st.integers(-14 * 60, 14 * 60),
    style=st.sampled_from(["Z", "+HH:MM", "+HHMM"]),
)
def test_a_time_stamp_with_a_zone_is_read_as_datetime_reads_it(when: datetime, minutes: int, style: str) -> None:
    zone = UTC if style == "Z" else timezone(timedelta(minutes=minutes))
    aware = when.replace(tzinfo=zone, microsecond=when.microsecond // 1000 * 1000)
    text = aware.isoformat(timespec="milliseconds")
    text = text.replace("+00:00", "Z") if style == "Z" else text
    if style == "+HHMM":
        text = text[:-3] + text[-2:]
    assert logs.written_at(f"{text} INFO x") == pytest.approx(aware.timestamp(), abs=1e-4)


def test_a_time_stamp_without_a_zone_is_local_time_in_a_log(in_new_york: None) -> None:
    assert logs.written_at("2026-11-24 01:00:00,500 - bot - x") == NOW + 0.5
    assert logs.written_at("2026-07-01 00:00:00 x") == datetime(2026, 7, 1, 4, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("line", ["", "no stamp", "9999-12-31 23:59", "0000-00-00 00:00Z", "x" * 900])
def test_a_line_without_a_usable_stamp_has_none(line: str) -> None:
    found = logs.written_at(line)
    assert found is None or line.startswith("9999")


def test_a_stamp_far_into_the_line_is_not_the_lines_own() -> None:
    assert logs.written_at("x" * 300 + " 2026-11-24T05:40:00Z") is None


# The last lines ------------------------------------------------------------------------------------------------------


def oracle(content: bytes) -> list[str]:
    """The lines of a file, read the simple way."""
    parts = content.split(b"\n")
    if parts[-1] == b"":
        parts.pop()
    return [part.decode("utf-8", "replace") for part in parts]


@settings(PROPERTY, max_examples=300)
@given(
    lines=st.lists(st.one_of(st.binary(max_size=12), st.just(b""), st.binary(min_size=20, max_size=60)), max_size=12),
    ends=st.booleans(),
    chunk=st.integers(1, 40),
    count=st.integers(0, 15),
)
@example(lines=[b"ab", b"cd"], ends=True, chunk=3, count=2)
@example(lines=[b""], ends=True, chunk=1, count=1)
def test_reading_backwards_over_chunk_borders_is_reading_the_last_lines(
    tmp_path: Path, lines: list[bytes], ends: bool, chunk: int, count: int
) -> None:
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_CHUNK", chunk)
        found, size = logs.last_lines(str(path), count, everything, None)
    expected = oracle(content)
    assert found == (expected[-count:] if count else [])
    assert size == len(content)


@settings(PROPERTY, max_examples=40)
@given(st.lists(st.integers(0, 1200), min_size=50, max_size=300), st.integers(1, 320))
def test_files_larger_than_a_real_chunk_are_read_right_too(tmp_path: Path, lengths: list[int], count: int) -> None:
    content = b"".join(b"%d:" % number + b"x" * length + b"\n" for number, length in enumerate(lengths))
    path = tmp_path / "log"
    path.write_bytes(content)
    assert logs.last_lines(str(path), count, everything, None)[0] == oracle(content)[-count:]


@PROPERTY
@given(
    lines=st.lists(st.sampled_from(["buy BTC", "sell ETH", "error 5", "", "buy"]), max_size=30), count=st.integers(1, 9)
)
def test_grep_counts_the_lines_that_match(tmp_path: Path, lines: list[str], count: int) -> None:
    path = tmp_path / "log"
    path.write_text("".join(line + "\n" for line in lines))
    wanted = logs.pattern("^buy|5$")
    expected = [line for line in lines if line.startswith("buy") or line.endswith("5")]
    assert logs.last_lines(str(path), count, wanted, None)[0] == expected[-count:]


def test_a_bad_pattern_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        logs.pattern("(unclosed")
    assert "--grep '(unclosed'" in one_line(caught.value)


def test_a_line_of_megabytes_is_cut_and_the_lines_around_it_stay(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n" + b"y" * 3_000_000 + b"\nafter\n")
    found, _ = logs.last_lines(str(path), 10, everything, None)
    assert found[0] == "before" and found[-1] == "after" and len(found) == 3
    assert len(found[1]) <= 16_384 and set(found[1]) == {"y"}


@pytest.mark.fault("F77")
def test_the_end_of_a_large_file_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(1_000_000_000)  # a hole: no disk is used
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast words\n")
    before = time.monotonic()
    assert logs.last_lines(str(path), 1, everything, None)[0] == ["last words"]
    assert time.monotonic() - before < 1.0


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo"])
def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(WatchdogError) as caught:
        logs.last_lines(str(path), 5, everything, None)
    assert str(path) in one_line(caught.value)


# Since ---------------------------------------------------------------------------------------------------------------

LOG = """\
2026-11-24T05:00:00Z one
Traceback of one
2026-11-24T05:30:00Z two

  indented of two
2026-11-24T05:50:00Z three
2026-11-24T05:20:00Z written late
its own rest
2026-11-24T05:59:00Z four
no newline at the end"""


@pytest.mark.parametrize(
    ("since", "first_words"),
    [
        ("05:00", ["one", "Traceback", "two", "", "indented", "three", "written", "its", "four", "no"]),
        ("05:25", ["two", "", "indented", "three", "four", "no"]),
        ("05:30", ["two", "", "indented", "three", "four", "no"]),
        ("05:55", ["four", "no"]),
        ("06:00", []),
    ],
)
def test_lines_without_a_stamp_belong_to_the_line_before_them(
    tmp_path: Path, since: str, first_words: list[str]
) -> None:
    path = tmp_path / "log"
    path.write_text(LOG)
    moment = logs.moment(f"2026-11-24T{since}", NOW)
    found, size = logs.last_lines(str(path), 100, everything, moment)
    shown = [line.split("Z ")[-1].split() for line in found]
    assert [words[0] if words else "" for words in shown] == first_words
    assert size == len(LOG)


def test_since_grep_and_count_go_together(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(LOG)
    moment = logs.moment("2026-11-24T05:25", NOW)
    assert logs.last_lines(str(path), 1, logs.pattern("Z t"), moment)[0] == ["2026-11-24T05:50:00Z three"]


def test_events_have_a_time_that_since_understands(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"schema":1,"time":"2026-11-24T05:00:00.000Z"}\n{"schema":1,"time":"2026-11-24T05:50:00.000Z"}\n')
    assert len(logs.last_lines(str(path), 9, everything, NOW - 1200)[0]) == 1


# What is shown -------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F65")
@PROPERTY
@given(st.text())
def test_no_line_steers_a_terminal(line: str) -> None:
    shown = logs.printable(line)
    assert all(char.isprintable() or char == "\t" for char in shown)
    if line.isprintable():
        assert shown == line


def test_an_escape_is_shown_as_text() -> None:
    assert logs.printable("\x1b[31mred\tx\r") == "\\x1b[31mred\tx"
