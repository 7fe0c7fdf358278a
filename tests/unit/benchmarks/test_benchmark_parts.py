"""The pure parts of the benchmarks: figures, tables, what is read from /proc and from the agent."""

from __future__ import annotations

import random
import statistics

import pytest

from benchmarks import figures, report, tables, usage
from benchmarks.peers import floor, peers
from benchmarks.peers_image import DEBIAN, NPM, PYPI
from benchmarks.run import Result
from benchmarks.stand import bots_among
from benchmarks.watchdog import Watchdog, complains

# Figures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7.0], 0.95, 7.0),
        (range(1, 101), 0.95, 95),
        (range(1, 51), 0.95, 48),
        (range(1, 21), 0.95, 19),
        ([2, 1], 0.5, 1),
    ],
)
def test_a_percentile_is_a_measured_value_by_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert figures.percentile(values, share) == expected


def test_a_summary_asks_for_no_order() -> None:
    values = random.Random(7).sample(range(1000), 50)
    found = figures.summary(values)
    assert found is not None
    assert found == figures.summary(sorted(values))
    assert (found.best, found.median, found.worst) == (min(values), statistics.median(values), max(values))
    assert found.median < found.p95 < found.worst
    assert figures.summary([]) is None


def test_a_figure_has_the_digits_that_it_deserves() -> None:
    assert [figures.number(value) for value in (None, 0.04, 9.96, 12.34, 99.94, 512.3)] == [
        figures.NOTHING,
        "0.0",
        "10.0",
        "12.3",
        "99.9",
        "512",
    ]
    assert figures.number(0.0163, 3) == "0.016"
    assert [figures.ratio(12, 10), figures.ratio(None, 10), figures.ratio(12, None)] == ["1.20 x", "-", "-"]


# Tables --------------------------------------------------------------------------------------------------------------

TABLE = tables.Table("Cost", ("", "memory"), [["runit", "0.4"], ["a | b", "17.6"]])


def test_a_table_is_aligned_for_a_terminal() -> None:
    assert tables.plain(TABLE).splitlines() == ["Cost", "       memory", "runit     0.4", "a | b    17.6"]


def test_no_cell_breaks_a_table_of_the_page() -> None:
    lines = tables.markdown(TABLE).splitlines()
    assert lines == ["**Cost**", "", "|  | memory |", "|---|--:|", "| runit | 0.4 |", "| a \\| b | 17.6 |"]


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    page = "before\n<!-- agent: begin -->\nold\n<!-- agent: end -->\nafter <!-- recovery: end -->\n"
    once = tables.between_marks(page, "agent", "new\n")
    assert once == "before\n<!-- agent: begin -->\n\nnew\n\n<!-- agent: end -->\nafter <!-- recovery: end -->\n"
    assert tables.between_marks(once, "agent", "new") == once
    with pytest.raises(ValueError, match="recovery: begin"):
        tables.between_marks(page, "recovery", "new")


@pytest.mark.parametrize("name", ["recovery", "agent"])
def test_the_page_has_the_marks(name: str) -> None:
    assert tables.between_marks(tables.PAGE.read_text(encoding="utf-8"), name, "new").count("new\n")


# The report ----------------------------------------------------------------------------------------------------------


def result(key: str, *seconds: float) -> Result:
    return Result(key, key, seconds=list(seconds))


def test_ratios_are_to_the_floor_and_to_the_fastest_of_the_others() -> None:
    results = [
        result(report.OURS, 0.011, 0.012),
        result(report.FLOOR, 0.010),
        result("runit", 0.02),
        result("pm2", 0.1),
    ]
    found = report.recovery(results)
    assert found.head[-1] == "x runit"
    assert [row[0] for row in found.rows] == [report.OURS, report.FLOOR, "runit", "pm2"]
    assert [row[-2:] for row in found.rows] == [
        ["1.15 x", "0.57 x"],
        ["1.00 x", "0.50 x"],
        ["2.00 x", "1.00 x"],
        ["10.00 x", "5.00 x"],
    ]


def test_a_supervisor_that_cannot_be_had_has_its_row_and_a_reason() -> None:
    lost = result("pm2")
    lost.trouble.append("no pm2: no npm on this machine")
    found = report.tables([lost], 60)
    assert all(len(row) == len(table.head) for table in found for row in table.rows)
    assert found[0].rows == [["pm2", "0", *["-"] * 6]]
    assert report.troubles([lost]) == ["pm2: no pm2: no npm on this machine"]


def test_the_machine_is_described_and_not_named() -> None:
    facts = report.machine()
    assert set(facts) == {"date", "cores", "memory_gb", "linux", "load"}
    assert facts["linux"].replace(".", "").isdigit()


def test_every_row_has_a_key_of_its_own_and_packages_that_the_image_fetches() -> None:
    rows = [Watchdog(), floor(), *peers()]
    assert len({one.key for one in rows}) == len(rows)
    assert [rows[0].key, rows[1].key] == [report.OURS, report.FLOOR]
    assert {name for one in rows for name in one.packages} == {*DEBIAN, *PYPI, *NPM}


# What is read --------------------------------------------------------------------------------------------------------


def test_memory_is_the_proportional_share() -> None:
    text = "5577-7ffd [rollup]\nRss:  9000 kB\nPss:                4242 kB\nPss_Anon:  3 kB\nSwapPss: 0 kB\n"
    assert usage.pss_kb(text) == 4242
    assert usage.pss_kb("") == 0


def test_the_name_of_a_process_does_not_move_the_fields_of_its_stat() -> None:
    fields = ["S", *(str(number) for number in range(4, 30))]
    ticks = int(fields[13]) + int(fields[14])
    stat = f"42 (a ) b 7) {' '.join(fields)}"
    assert usage.children_s(stat) == ticks / usage.TICK


def test_a_bot_is_a_python_with_the_script_as_its_first_word() -> None:
    processes = {
        1: ["/usr/bin/python3", "/home/trader/runit/main_app.py"],
        2: ["python3.11", "/home/trader/runit/main_app.py"],
        3: ["/usr/bin/python3", "/home/trader/s6/main_app.py"],
        4: ["tail", "/home/trader/s6/main_app.py"],
        5: ["/usr/bin/python3", "-c", "/home/trader/s6/main_app.py"],
        6: ["/usr/bin/python3"],
    }
    assert bots_among(processes) == {"/home/trader/runit": [1, 2], "/home/trader/s6": [3]}


def test_only_a_complaint_since_then_counts() -> None:
    events = (
        '{"time": "2026-11-24T05:40:00.000Z", "kind": "duplicate", "message": "two"}\n'
        '{"time": "2026-11-24T05:50:00.000Z", "kind": "restarted", "message": "again"}\n'
    )
    long_ago, before, after = 0.0, 1795498799.0, 1795498801.0
    assert complains(events, long_ago)
    assert complains(events, before)
    assert not complains(events, after)
    assert not complains("", long_ago)


@pytest.mark.parametrize(("kind", "counts"), [("suspect", True), ("hung", True), ("cleared", False), ("died", False)])
def test_doubt_of_a_living_bot_is_a_complaint(kind: str, counts: bool) -> None:
    assert complains(f'{{"time": "2026-11-24T05:40:00.000Z", "kind": "{kind}", "message": "it"}}\n', 0.0) is counts
