"""Lives at random: no healthy bot is restarted, and of the sick ones those are that can be proved to be."""

from __future__ import annotations

import pytest

from tests.verdicts import lives, table
from tests.verdicts.table import Figures

SEED, COUNT = 10_001, 240


@pytest.fixture(scope="module")
def figures() -> Figures:
    return table.figures(table.at_random(SEED, COUNT))


def test_no_bot_is_restarted_while_it_is_well(figures: Figures) -> None:
    assert figures.healthy > COUNT / 4 and figures.ill > COUNT / 4
    assert figures.restarted_well == 0
    assert figures.precision == 1.0


def test_the_sick_are_found(figures: Figures) -> None:
    assert figures.proved >= 0.85, "those that show a sign which restarts, in whatever weather"
    assert figures.recall >= 0.45, "all of them, under whatever settings"
    assert figures.told >= 0.8, "told of, at least"


def test_a_seed_is_a_life() -> None:
    first, again, other = (table.at_random(seed, 1)[0] for seed in (7, 7, 8))
    assert (first[0].name, first[1]) == (again[0].name, again[1])
    assert first[1] != other[1]


def test_every_illness_and_every_kind_of_bot_is_among_them() -> None:
    drawn = [lives.draw(seed) for seed in range(SEED, SEED + COUNT)]
    assert {trial.name for trial in drawn} == {"well", *lives.ILLNESSES}
    assert {trial.truth for trial in drawn} == {"well", "ill", "hung"}
    assert len({trial.limits for trial in drawn}) == 3 and {trial.vows is None for trial in drawn} == {True, False}
