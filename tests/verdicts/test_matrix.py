"""Every named behaviour, through judgement and policy on a virtual clock: half an hour at least, some for days."""

from __future__ import annotations

import pytest

from tests.verdicts import healthy, sick
from tests.verdicts.healthy import Trial
from tests.verdicts.simulated import live

SEEDS = (1, 2)


def named(trials: tuple[Trial, ...]) -> list[object]:
    """As parameters of a test."""
    return [pytest.param(trial, id=trial.name.replace(" ", "-").replace(",", "")) for trial in trials]


@pytest.mark.parametrize("trial", named(healthy.TRIALS))
def test_a_healthy_bot_however_odd_is_never_restarted(trial: Trial) -> None:
    assert trial.seconds >= 1800
    for seed in SEEDS:
        outcome = live(trial.behaviour, seed, trial.limits, trial.seconds, trial.vows)
        assert outcome.restarts == 0, outcome.why


@pytest.mark.parametrize("trial", named(tuple(trial for trial in sick.TRIALS if trial.truth == "hung")))
def test_a_sick_bot_is_restarted_within_the_time_that_is_stated(trial: Trial) -> None:
    for seed in SEEDS:
        outcome = live(trial.behaviour, seed, trial.limits, trial.seconds, trial.vows)
        assert outcome.wrong == 0
        assert outcome.hung_after and outcome.hung_after[0] <= trial.within, outcome
        assert outcome.restarts <= 3 * (trial.seconds / 3600 + 1), "three an hour, and no more"


@pytest.mark.parametrize("trial", named(tuple(trial for trial in sick.TRIALS if trial.truth == "ill")))
def test_what_could_be_healthy_is_told_of_and_not_restarted(trial: Trial) -> None:
    for seed in SEEDS:
        outcome = live(trial.behaviour, seed, trial.limits, trial.seconds, trial.vows)
        assert outcome.restarts == 0 and outcome.alerts > 0
        assert outcome.told_after and outcome.told_after[0] <= trial.within


@pytest.mark.parametrize("trial", named(healthy.TRIALS))
def test_a_healthy_bot_makes_a_bounded_number_of_alerts(trial: Trial) -> None:
    outcome = live(trial.behaviour, 3, trial.limits, min(trial.seconds, 86_400.0), trial.vows)
    assert outcome.alerts <= 6 * 4, "six in six hours"


def test_every_behaviour_has_a_name_of_its_own_and_every_illness_its_time() -> None:
    names = [trial.name for trial in (*healthy.TRIALS, *sick.TRIALS)]
    assert len(set(names)) == len(names)
    assert {trial.truth for trial in healthy.TRIALS} == {"well"}
    assert {trial.truth for trial in sick.TRIALS} == {"hung", "ill"} and all(trial.within for trial in sick.TRIALS)
