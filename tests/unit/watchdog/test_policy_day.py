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


# Reminders and deploys -----------------------------------------------------------------------------------------------


@pytest.mark.fault("F63")
@pytest.mark.parametrize("life", [0.2, 30.0, 300.0, 660.0])
def test_a_crash_loop_is_told_of_again_once_a_day(life: float) -> None:
    story = Story()
    live_through(story, 5.5 * DAY, life, verified=life > 3.0)
    critical = next(number for number, alert in enumerate(story.alerts) if "within an hour" in alert.text)
    assert [alert.kind for alert in story.alerts[critical:]] == ["failed"] * 6
    reminders = story.noted("reminder")
    assert len(reminders) == 5
    assert all(text.startswith("bot is still failed") and "ended with exit code 1" in text for text in reminders)
    assert story.said("failed")[-5:] == reminders


@pytest.mark.fault("F63")
def test_a_reminder_says_for_how_long_nothing_has_been_running() -> None:
    story = Story()
    live_through(story, 1.5 * DAY, 0.2, verified=False)
    assert ", not running for 1 d: it ended" in story.noted("reminder")[0]


@pytest.mark.fault("F41")
@pytest.mark.fault("F63")
def test_a_reminder_is_due_a_day_after_the_last_alert_over_a_reboot_too() -> None:
    story = Story()
    live_through(story, DAY / 2, 0.2, verified=False)
    boot = 30.0
    booted = policy.sane(policy.shifted(story.memory, boot - story.now), boot)
    again = Story(booted, now=boot)
    again.now += max(0.0, (booted.next_start or 0.0) - boot)
    assert again.vacant()
    live_through(again, DAY / 2 - 600.0, 0.2, verified=False)
    assert again.noted("reminder") == []
    live_through(again, 900.0, 0.2, verified=False)
    assert len(again.noted("reminder")) == len(again.alerts) == 1


@pytest.mark.fault("F42")
@pytest.mark.parametrize("deaths", [1, 3, 5, 12])
def test_a_deploy_ends_the_crash_loop_and_the_next_one_is_news_again(deaths: int) -> None:
    story = Story()
    story.crash_loop(deaths)
    story.start()
    assert story.die(0.1, verified=False) > 0
    assert not story.vacant(script="v1")
    assert story.vacant(script="v2"), "nobody waits for the ladder"
    assert len(story.noted("redeployed")) == 1
    memory = story.memory
    assert (memory.attempt, memory.failures, memory.breaker, memory.reminded_at) == (0, (), False, None)
    told = len(story.alerts)
    delays = []
    for _ in range(policy.BREAKER):
        story.start()
        delays.append(story.die(0.1, verified=False, script="v2"))
        story.now += delays[-1]
        assert story.vacant(script="v2")
    assert tuple(delays) == LADDER[: policy.BREAKER]
    assert [alert.kind for alert in story.alerts[told:]] == ["failed", "failed"]
    assert len(story.noted("redeployed")) == 1


def test_a_bot_that_is_not_to_run_is_not_started_by_a_deploy() -> None:
    story = Story()
    story.crash_loop(6)
    story.start()
    story.die(0.1, verified=False)
    assert not story.vacant(wanted=False, script="v2")
    assert not story.vacant(maintenance=True, script="v2")
    assert story.noted("redeployed") == []
    assert story.vacant(script="v2")
