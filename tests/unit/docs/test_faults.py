"""docs/faults.md names the tests that bear the rows' numbers, and no others."""

from __future__ import annotations

from tests.faults import marks, page
from tests.faults.catalogue import ROWS, Row

ONE, TWO, LAB = marks.Test("faults/test_a.py", "test_one"), marks.Test("unit/test_b.py", "test_two"), marks.Test(
    "lab/test_c.py", "test_lab"
)  # fmt: skip


def test_the_page_is_the_catalogue_with_all_marked_tests() -> None:
    said = page.parse(page.PAGE.read_text(encoding="utf-8"))
    assert list(said) == [row.number for row in ROWS]
    found = marks.collect()
    assert {number: tests for number, (tests, _) in said.items() if tests} == found, "run ./dev faults --no-run"
    assert page.PAGE.read_text(encoding="utf-8") == page.render(found, {key: one for key, (_, one) in said.items()})


def test_a_row_is_proved_by_tests_or_has_a_reason_why_not() -> None:
    found = marks.collect()
    assert [row.number for row in ROWS if bool(row.unproved) == (row.number in found)] == []


def test_no_row_stands_there_as_failed() -> None:
    said = page.parse(page.PAGE.read_text(encoding="utf-8"))
    assert [number for number, (_, result) in said.items() if "failed" in result] == []


def test_what_a_row_says_follows_from_what_ran() -> None:
    row = Row("F01", "x")
    assert page.verdict(row, [ONE, TWO], {ONE: True, TWO: True}) == "passed"
    assert page.verdict(row, [ONE, TWO], {ONE: True, TWO: False}) == "**failed**"
    assert page.verdict(row, [ONE, LAB], {ONE: True}) == "passed; the lab not run"
    assert page.verdict(row, [ONE, TWO], {ONE: True}) == "passed; 1 of 2 tests not run"
    assert page.verdict(row, [LAB], {}) == "in the lab; not run"
    assert page.verdict(row, [LAB], {LAB: True}) == "passed"
    assert page.verdict(row, [ONE], {}) == "not run"
    assert page.verdict(Row("F02", "y", "too far"), [], {}) == "not proved: too far"


def test_a_page_reads_as_it_was_written() -> None:
    tests = {"F01": [ONE, TWO, LAB], "F03": [ONE]}
    text = page.render(tests, {row.number: f"result {row.number}" for row in ROWS})
    said = page.parse(text)
    assert {key: found for key, (found, _) in said.items() if found} == tests
    assert said["F02"] == ([], "result F02")
