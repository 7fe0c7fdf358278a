"""A day in the life of a bad bot, on a virtual clock: how often it is started, and how much mail that makes."""

from __future__ import annotations

import re

import pytest

from tests.unit.watchdog.story import Story
from watchdog import policy
from watchdog.policy import LADDER
from watchdog.states import State

DAY = 86_400.0


def live_through(story: Story, seconds: float, life: float, verified: bool) -> int:
    """Let a bot live ``life`` seconds again and again; the number of lives."""
    end = story.now + seconds
    lives = 0
    while story.now < end:
        if verified:
            story.run(life)
        else:
            story.start()
            story.now += life
        lives += 1
        story.now += story.die(life, verified)
        assert story.vacant(), "a crash loop is retried for ever"
    return lives


@pytest.mark.fault("F41")
@pytest.mark.fault("F62")
def test_a_day_of_failing_at_once_makes_297_starts_and_two_alerts() -> None:
    story = Story()
    lives = live_through(story, DAY, 0.2, verified=False)
    climb = sum(LADDER[:-1])
    assert lives == pytest.approx(len(LADDER) - 1 + (DAY - climb) / (300 + 0.2), abs=2)
    assert [alert.kind for alert in story.alerts] == ["failed", "failed"]
    assert "did not start" in story.alerts[0].text
    assert "5 times within an hour" in story.alerts[1].text


@pytest.mark.fault("F62")
@pytest.mark.parametrize(("life", "most"), [(3.5, 310), (30.0, 280), (300.0, 155), (590.0, 105)])
def test_a_day_of_short_lives_makes_a_handful_of_alerts(life: float, most: int) -> None:
    story = Story()
    lives = live_through(story, DAY, life, verified=True)
    assert lives <= most
    assert [alert.kind for alert in story.alerts].count("failed") == 1
    assert len(story.alerts) <= 6, "one per restart until the breaker opens, then silence"
    assert story.is_in(State.FAILED)


@pytest.mark.fault("F62")
@pytest.mark.parametrize("life", [901.0, 1000.0, 1800.0, 3000.0])
def test_a_day_of_deaths_too_rare_for_the_breaker_is_told_within_a_budget_and_none_is_forgotten(life: float) -> None:
    story = Story()
    lives = live_through(story, DAY, life, verified=True)
    assert len(story.alerts) <= 4 * policy.BUDGET + 2
    assert len(story.noted("restarted")) == lives, "the log has them all"
    counted = sum(int(found[1]) for text in story.said("restarted") if (found := re.search(r"(\d+) restarts", text)))
    told = len([text for text in story.said("restarted") if "crash loop is over" not in text])
    if not story.said("failed"):
        assert told + counted + story.memory.untold == lives


@pytest.mark.fault("F61")
def test_the_memory_of_a_week_of_crashes_stays_small() -> None:
    story = Story()
    live_through(story, 7 * DAY, 0.01, verified=False)
    assert len(story.memory.failures) <= 50 and len(story.memory.told_at) <= policy.BUDGET
    assert story.memory.attempt > 1000, "an attempt number that grows is fine; what it costs is not"


@pytest.mark.fault("F63")
def test_the_end_of_a_bad_day_is_told_once_and_then_all_is_quiet() -> None:
    story = Story()
    live_through(story, DAY, 0.2, verified=False)
    told = len(story.alerts)
    story.run(DAY)
    assert [alert.kind for alert in story.alerts[told:]] == ["restarted"]
    story.run(DAY)
    assert story.die(DAY) == 0, "the next death is an ordinary one"
