"""The tables say what came out, and a page keeps the prose around them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.verdicts import healthy, sick, table
from tests.verdicts.healthy import Trial
from tests.verdicts.simulated import Bot, Outcome
from watchdog.states import State

WELL = Outcome(0, 0, False, 0, (), (), "", State.RUNNING)
ROOT = Path(__file__).resolve().parents[2]


def nothing(bot: Bot) -> None:
    """No behaviour at all."""


def test_a_restart_of_a_healthy_bot_stands_out_and_so_does_a_sick_one_that_is_missed_or_late() -> None:
    well = Trial("well", nothing)
    hung = Trial("hung", nothing, truth="hung", within=100)
    ill = Trial("ill", nothing, truth="ill", within=100)
    cases = [
        (well, WELL, True, "well"),
        (well, WELL._replace(doubted=True), True, "suspect"),
        (well, WELL._replace(restarts=1, wrong=1), False, "hung"),
        (hung, WELL._replace(restarts=2, hung_after=(90.0, 4_000.0), told_after=(40.0,)), True, "hung"),
        (hung, WELL._replace(restarts=1, hung_after=(110.0,)), False, "hung"),
        (hung, WELL._replace(restarts=2, wrong=1, hung_after=(90.0,)), False, "hung"),
        (hung, WELL._replace(told_after=(40.0,)), False, "suspect"),
        (ill, WELL._replace(told_after=(40.0,)), True, "suspect"),
        (ill, WELL, False, "well"),
        (ill, WELL._replace(restarts=1, told_after=(40.0,), hung_after=(50.0,)), False, "hung"),
    ]
    for trial, outcome, good, word in cases:
        assert table.good(trial, outcome) is good
        assert table.matrix_rows([(trial, outcome)])[0][2] == (word if good else f"**{word}**")


def test_a_restart_before_the_illness_counts_as_a_false_one() -> None:
    ill = Trial("stopped", nothing, truth="hung")
    found = table.figures([
        (ill, WELL._replace(restarts=2, wrong=1, hung_after=(70.0,), told_after=(30.0,))),
        (Trial("well", nothing), WELL),
        (Trial("mute feed", nothing, truth="ill"), WELL),
    ])  # fmt: skip
    assert (found.healthy, found.ill, found.provable, found.restarted_well, found.restarted_ill) == (1, 2, 1, 1, 1)
    assert (found.precision, found.recall, found.proved, found.told) == (0.5, 0.5, 1.0, 0.5)


def test_tables_go_between_their_marks_and_the_prose_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above {table.MATRIX} old {table.MATRIX} between {table.LIVES} old {table.LIVES} below\n")
    for _ in range(2):
        table.write("| one |", "| two |", page)
    marks = (table.MATRIX, table.MATRIX, table.LIVES, table.LIVES)
    assert page.read_text() == "above {}\n\n| one |\n\n{} between {}\n\n| two |\n\n{} below\n".format(*marks)


def test_the_page_shows_every_behaviour_and_none_that_went_wrong() -> None:
    shown = table.PAGE.read_text(encoding="utf-8").split(table.MATRIX)[1].strip().splitlines()[2:]
    names = [line.split(" | ")[0].removeprefix("| ") for line in shown]
    assert names == [trial.name for trial in (*healthy.TRIALS, *sick.TRIALS)], "run ./dev verdicts --write"
    assert not [line for line in shown if "**" in line]


def test_one_json_document() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.verdicts", "--count=3", "--json"], cwd=ROOT, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["bad"] == [] and found["lives"]["restarted_well"] == 0
    assert len(found["behaviours"]) == len(healthy.TRIALS) + len(sick.TRIALS)
