"""What `--write` puts into the page fits into it."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from benchmarks import agent, recovery, report, tables
from benchmarks.peers import floor, peers
from benchmarks.run import Run
from benchmarks.stand import Stand
from benchmarks.watchdog import Watchdog

FOUND = {
    "tick": [20.0, 22.0, 30.0],
    "python": [8.0],
    "heir": [40.0, 41.0],
    "pss_alone": 9.5,
    "pss_bot": 8.0,
    "pss_others": 7.0,
    "cpu_percent": 0.0163,
}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the page, which is the one that is written."""
    copy = tmp_path / "benchmarks.md"
    shutil.copy(tables.PAGE, copy)
    monkeypatch.setattr(tables, "PAGE", copy)
    return copy


def wide(page: Path) -> list[str]:
    """Lines that the page of an 80-column project must not have."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if len(line) > 80 and not line.startswith("|")]


def test_a_published_run_keeps_to_the_width_of_the_page(page: Path) -> None:
    rows = [Watchdog(), floor(), *peers()]
    run = Run(cast("Stand", None), rows)
    for one in rows:
        run.result(one).seconds, run.result(one).hung, run.result(one).killed = [0.01], "no", {report.KILLED[0]: "yes"}
    run.leave_out(rows[-1], "no circus: pip failed with 1: " + "a long reason " * 12)
    named = {one.key: "1:5.33.0-1~deb12u2" for one in rows}
    found = recovery.document(run, report.machine(), named, 50, 600.0)
    tables.publish("recovery", recovery.page(found, run, 60.0))
    assert wide(page) == []
    assert "Not as planned: circus: no circus" in page.read_text(encoding="utf-8")


def test_the_agents_figures_stand_beside_their_budgets(page: Path) -> None:
    shown = agent.table(FOUND)
    assert [row[1:] for row in shown.rows[:3]] == [["22.0", "30.0", "25"], ["8.0", "8.0", "-"], ["40.5", "41.0", "50"]]
    assert shown.rows[-1][1:] == ["0.016", "-", "0.05"]
    tables.publish("agent", tables.markdown(shown))
    assert wide(page) == []


@pytest.mark.parametrize(
    ("module", "words"), [(recovery, ["--quick"]), (recovery, ["--only=runit"]), (agent, ["--quick"])]
)
def test_only_a_whole_run_is_published(
    module: ModuleType, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began = []
    monkeypatch.setattr(module, "_run", lambda args: began.append(args) or 0)
    with pytest.raises(SystemExit) as refusal:
        module.main(["--write", *words])
    assert refusal.value.code == 2
    assert "whole run" in capsys.readouterr().err
    assert module.main(words) == 0
    assert len(began) == 1
