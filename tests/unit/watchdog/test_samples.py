"""Samples on disk: bounded whatever the clock and the pace, readable whatever else lies there."""

from __future__ import annotations

import datetime
import json
import os
import stat
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY
from watchdog.samples import CLOSEST, FILES, LARGEST, Sample, Store, read

MIDNIGHT = 1_795_910_400
DAY = 86_400
WIDEST = Sample(
    MIDNIGHT, 99_999.9, 999_999_999_999, 1_048_576, 1_048_576, 99_999, 99_999, 9_999_999_999, 99_999_999_999
)
"""100 GB of memory and of traffic a minute, a million descriptors, a hundred cores: as wide as any bot's will be."""

HEADER = (
    '{"schema":1,"columns":["utc","cpu","memory","descriptors","ceiling","threads","connections","backlog","received"]}'
)


def at(utc: int, cpu: float = 1.5, received: int = 300) -> Sample:
    """A sample of a plain bot."""
    return Sample(utc, cpu, 120_000_000, 31, 1024, 5, 2, 0, received)


def day(utc: float) -> str:
    """The day in UTC."""
    return datetime.datetime.fromtimestamp(utc, datetime.UTC).strftime("%Y-%m-%d")


def write(folder: Path, utc: int, *lines: str) -> None:
    """A file of that day, with such lines."""
    folder.mkdir(exist_ok=True)
    (folder / f"{day(utc)}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def days(folder: Path) -> list[str]:
    """The files that are there."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the samples go; not made yet."""
    return tmp_path / "samples"


def test_a_day_is_a_file_that_names_its_columns(folder: Path) -> None:
    store = Store(str(folder))
    assert store.add(at(MIDNIGHT + 60)) is None
    assert store.add(at(MIDNIGHT + 120)) is None
    (path,) = folder.iterdir()
    assert path.name == "2026-11-29.jsonl"
    assert path.read_text() == (
        f"{HEADER}\n[{MIDNIGHT + 60},1.5,120000000,31,1024,5,2,0,300]\n"
        f"[{MIDNIGHT + 120},1.5,120000000,31,1024,5,2,0,300]\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


VALUES = st.integers(0, (1 << 53) - 1)
ANY = st.builds(
    Sample, VALUES, st.floats(0, 1e6).map(lambda value: round(value, 1)), *[VALUES] * 7
)  # fmt: skip


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, DAY // 60 - 1), ANY), unique_by=lambda item: item[:2]))
def test_what_was_written_is_read_oldest_first(found: list[tuple[int, int, Sample]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        given_samples = [sample._replace(utc=MIDNIGHT + at_day * DAY + minute * 60) for at_day, minute, sample in found]
        store = Store(name)
        assert [store.add(sample) for sample in given_samples] == [None] * len(found)
        assert list(read(name, 0)) == sorted(given_samples, key=lambda sample: sample.utc)
        late = MIDNIGHT + DAY + 7_200.5
        assert list(read(name, late)) == sorted(
            (sample for sample in given_samples if sample.utc >= late), key=lambda sample: sample.utc
        )


def test_thirty_days_take_less_than_five_megabytes(folder: Path) -> None:
    store = Store(str(folder))
    for number in range(1440):
        assert store.add(WIDEST._replace(utc=MIDNIGHT + number * 60)) is None
    assert store.add(WIDEST._replace(utc=MIDNIGHT + DAY)) is None
    (path, _) = sorted(folder.iterdir())
    assert len(path.read_text().splitlines()) == 1441
    assert 31 * path.stat().st_size < 5_000_000
    assert FILES * LARGEST < 5_000_000 and FILES > 30, "whatever happens, with the day that is not over"


def test_samples_at_a_fast_pace_become_part_of_the_next_one(folder: Path) -> None:
    store = Store(str(folder))
    assert store.add(at(MIDNIGHT, cpu=7.0, received=1)) is None
    for second in range(1, CLOSEST + 1):
        assert store.add(at(MIDNIGHT + second, cpu=float(second), received=100)._replace(memory=second)) is None
    first, last = read(str(folder), 0)
    assert (first.cpu, first.received) == (7.0, 1)
    assert (last.utc, last.memory) == (MIDNIGHT + CLOSEST, CLOSEST)
    assert (last.cpu, last.received) == ((CLOSEST + 1) / 2, 100 * CLOSEST)


def test_a_sample_that_becomes_part_of_the_next_one_tells_how_it_went_with_the_one_before(folder: Path) -> None:
    folder.write_text("no folder")
    store = Store(str(folder))
    error = store.add(at(MIDNIGHT))
    assert isinstance(error, OSError)
    assert store.add(at(MIDNIGHT + 20)) is error, "nothing has shown that it can be written by now"
    folder.unlink()
    assert store.add(at(MIDNIGHT + CLOSEST)) is None
    assert store.add(at(MIDNIGHT + CLOSEST + 20)) is None


def test_a_day_at_the_fastest_pace_fits_into_its_file(folder: Path) -> None:
    store = Store(str(folder))
    for tenth in range(0, DAY * 10, 7):  # every 0.7 s
        assert store.add(WIDEST._replace(utc=MIDNIGHT + tenth // 10, received=1_000_000_000)) is None
    assert (folder / "2026-11-29.jsonl").stat().st_size < LARGEST


def test_a_clock_that_jumps_about_fills_no_disk(folder: Path) -> None:
    store = Store(str(folder))
    errors = [store.add(WIDEST._replace(utc=MIDNIGHT + 3600 * (number % 2))) for number in range(2_500)]
    assert (folder / "2026-11-29.jsonl").stat().st_size <= LARGEST
    assert errors[0] is None and errors[-1] is not None and "too many" in str(errors[-1])
    assert store.add(at(MIDNIGHT + DAY)) is None, "the next day begins anew"


def test_a_month_is_kept_and_the_oldest_day_goes(folder: Path) -> None:
    store = Store(str(folder))
    for number in range(40):
        store.add(at(MIDNIGHT + number * DAY))
    assert days(folder) == [f"{day(MIDNIGHT + number * DAY)}.jsonl" for number in range(40 - FILES, 40)]


def test_other_files_are_left_alone(folder: Path) -> None:
    write(folder, MIDNIGHT - 90 * DAY)
    strange = ["1999-01-01.jsonl.gz", "notes.txt", "2020-1-001.jsonl", "a999-01-01.jsonl", "²²²²-01-01.jsonl"]
    for name in strange:
        (folder / name).write_text("precious")
    store = Store(str(folder))
    for number in range(FILES + 1):
        store.add(at(MIDNIGHT + number * DAY))
    assert set(strange) < set(days(folder)) and len(days(folder)) == FILES + len(strange)


def test_days_that_a_slip_of_the_clock_made_do_not_push_out_the_true_ones(folder: Path) -> None:
    for number in range(FILES):
        write(folder, MIDNIGHT + 20_000 * DAY + number * DAY)
    store = Store(str(folder))
    for number in range(FILES):
        store.add(at(MIDNIGHT + number * DAY))
        assert f"{day(MIDNIGHT)}.jsonl" in days(folder) and len(days(folder)) == FILES
    assert days(folder) == [f"{day(MIDNIGHT + number * DAY)}.jsonl" for number in range(FILES)]


@pytest.mark.parametrize("wrong", [0, MIDNIGHT + 20_000 * DAY], ids=["1970", "2081"])
def test_a_wrong_clock_costs_no_more_than_the_oldest_days(folder: Path, wrong: int) -> None:
    for number in range(FILES):
        Store(str(folder)).add(at(MIDNIGHT + number * DAY))
    for _ in range(5):
        Store(str(folder)).add(at(wrong))
        Store(str(folder)).add(at(MIDNIGHT + (FILES - 1) * DAY + 600))
    true = [f"{day(MIDNIGHT + number * DAY)}.jsonl" for number in range(FILES)]
    assert set(true[1:]) <= set(days(folder)) and len(days(folder)) == FILES


@pytest.mark.parametrize("left", [len(HEADER) - 9, len(HEADER) + 20])
def test_a_new_guard_goes_on_after_a_line_that_was_torn(folder: Path, left: int) -> None:
    Store(str(folder)).add(at(MIDNIGHT))
    (path,) = folder.iterdir()
    os.truncate(path, left)
    store = Store(str(folder))
    store.add(at(MIDNIGHT + 60))
    store.add(at(MIDNIGHT + 120))
    assert [sample.utc - MIDNIGHT for sample in read(str(folder), 0)] == [60, 120]


def test_a_file_that_was_removed_meanwhile_is_begun_anew(folder: Path) -> None:
    store = Store(str(folder))
    store.add(at(MIDNIGHT))
    (folder / "2026-11-29.jsonl").unlink()
    store.add(at(MIDNIGHT + 60))
    folder.rename(folder.with_name("elsewhere"))
    store.add(at(MIDNIGHT + 120))
    assert [sample.utc - MIDNIGHT for sample in read(str(folder), 0)] == [120]
    assert [sample.utc - MIDNIGHT for sample in read(str(folder.with_name("elsewhere")), 0)] == [60]


def test_a_folder_that_cannot_be_made_is_an_error_that_is_returned(folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    error = Store(str(folder)).add(at(MIDNIGHT))
    assert isinstance(error, OSError)
    folder.unlink()
    assert Store(str(folder)).add(at(MIDNIGHT)) is None


def test_lines_that_make_no_sense_are_left_out(folder: Path) -> None:
    good = list(at(MIDNIGHT + 60))
    bad = [
        good[:-1], [*good, 0], [*good[:-1], -1], [*good[:-1], 1.5], [*good[:-1], True], [*good[:-1], "1"],
        [*good[:-1], None], [*good[:-1], [1]], [*good[:-1], 1 << 70], [good[0], float("nan"), *good[2:]],
        [good[0], float("inf"), *good[2:]], list(at(MIDNIGHT + DAY)), list(at(MIDNIGHT - 1)), "text", 5, None,
    ]  # fmt: skip
    damaged = ["", "[" * 200, "\x00" * 50, "[1,2", "9" * 5_000, " " * 400, json.dumps(good) + " " * 400]
    write(folder, MIDNIGHT, HEADER, *damaged, *map(json.dumps, bad), json.dumps(good))
    assert list(read(str(folder), 0)) == [at(MIDNIGHT + 60)]


def test_columns_are_found_by_their_names(folder: Path) -> None:
    names = [*reversed(Sample._fields), "a later one"]
    line = json.dumps([*reversed(at(MIDNIGHT)), 5])
    write(folder, MIDNIGHT, json.dumps({"schema": 1, "columns": names}), line)
    assert list(read(str(folder), 0)) == [at(MIDNIGHT)]


@pytest.mark.parametrize(
    "header",
    [
        '{"schema":2,"columns":' + json.dumps(Sample._fields) + "}",
        '{"schema":1,"columns":["utc"]}', '{"schema":1,"columns":[[],{}]}', '{"schema":1,"columns":7}', "{}", "",
        HEADER[:-1],
    ],
)  # fmt: skip
def test_lines_below_another_schema_are_skipped_until_ours_begins(folder: Path, header: str) -> None:
    write(folder, MIDNIGHT, header, json.dumps(at(MIDNIGHT)))
    assert list(read(str(folder), 0)) == []
    Store(str(folder)).add(at(MIDNIGHT + 60))
    with (folder / "2026-11-29.jsonl").open("a") as file:
        file.write('{"schema":3}\n' + json.dumps(at(MIDNIGHT + 120)) + "\n")
    assert list(read(str(folder), 0)) == [at(MIDNIGHT + 60)]


def test_no_folder_no_samples(folder: Path) -> None:
    assert list(read(str(folder), 0)) == []


def test_what_is_no_file_is_passed_over(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / f"{day(MIDNIGHT)}.jsonl")
    (folder / f"{day(MIDNIGHT + DAY)}.jsonl").mkdir()
    write(folder, MIDNIGHT + 2 * DAY, HEADER, json.dumps(at(MIDNIGHT + 2 * DAY)))
    assert list(read(str(folder), 0)) == [at(MIDNIGHT + 2 * DAY)]


def test_several_days_are_read_in_the_memory_of_two(folder: Path) -> None:
    peaks = []
    for number in range(4):
        begin = MIDNIGHT + number * DAY
        write(folder, begin, HEADER, *(json.dumps(at(begin + minute * 60)) for minute in range(1440)))
        tracemalloc.start()
        try:
            assert sum(1 for _ in read(str(folder), 0)) == (number + 1) * 1440
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[3] < 1.2 * peaks[1], "the one that is read and the one before it"


def test_a_huge_file_is_bounded(folder: Path) -> None:
    write(folder, MIDNIGHT, HEADER, *[json.dumps(at(MIDNIGHT))] * 30_000)
    assert 10_000 < sum(1 for _ in read(str(folder), 0)) < 25_000
