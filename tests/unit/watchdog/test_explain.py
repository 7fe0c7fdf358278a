"""Why the policy decided as it did: every event has its words, and they name the numbers that decided."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given

from tests.unit.watchdog.parts import PROPERTY
from tests.unit.watchdog.story import Story
from tests.unit.watchdog.test_policy_any import EVENTS, MEMORIES, NOW
from watchdog import explain, model, policy
from watchdog.doubt import DOUBTS, HANGS
from watchdog.model import Event, Sign


class Told(Story):
    """A story whose every step is put into words; ``words`` has them."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def feed(self, event: Event) -> tuple[model.Action, ...]:
        """One step, explained."""
        before = self.memory
        actions = super().feed(event)
        self.words.append(explain.why(before, event, self.now, self.memory, actions))
        return actions

    def last(self) -> str:
        """The words of the last step."""
        return self.words[-1]

    def judged(self, *kinds: str, proof: bool = False) -> str:
        """The bot is looked at; the words of it."""
        signs = tuple(Sign(kind, proof, f"is ill of {kind}", self.now, 121.0, 120.0) for kind in kinds)
        self.feed(model.Judged(signs))
        return self.last()


@pytest.fixture
def story() -> Told:
    """A bot that never ran."""
    return Told()


def test_every_event_of_the_policy_can_be_explained() -> None:
    assert set(explain._WHY) == set(get_args(model.Event)) == set(policy._HANDLERS)


@PROPERTY
@given(MEMORIES, EVENTS)
def test_whatever_is_remembered_and_whatever_happens_has_one_line_of_words(memory: model.Memory, event: Event) -> None:
    after, actions = policy.step(memory, event, NOW)
    words = explain.why(memory, event, NOW, after, actions)
    assert words and words == words.strip() and "None" not in words and "\n" not in words
    assert ";;" not in words and "; ;" not in words


def test_the_ladder_is_explained_with_its_rung_and_the_failures_that_count(story: Told) -> None:
    story.crash_loop(3)
    died = [words for words in story.words if "death in a row: the ladder waits" in words]
    assert [words.partition(" failures")[0] for words in died] == [
        "1st death in a row: the ladder waits 0 s; 1 of 5",
        "2nd death in a row: the ladder waits 1 s; 2 of 5",
        "3rd death in a row: the ladder waits 2 s; 3 of 5",
    ]
    assert "told once until it runs" in died[0] and "told already" in died[1]
    story.start()
    assert story.last() == "3rd death in a row, and the ladder's delay of 2 s is over: start no. 3 by itself"


def test_a_start_that_is_not_due_yet_says_when_it_is(story: Told) -> None:
    story.crash_loop(2)
    story.start()
    story.die(0.1, verified=False)
    story.now += 0.5
    assert not story.vacant()
    assert story.last() == "the ladder's next start is due in 1.5 s: not started before that"


def test_the_breaker_is_explained_when_it_opens_while_it_is_open_and_when_it_closes(story: Told) -> None:
    story.crash_loop(6)
    opened = next(words for words in story.words if "open the breaker: told once" in words)
    assert "5 failures within an hour, 5 open the breaker" in opened
    assert any("the breaker is open (6 failures within an hour): told already" in words for words in story.words)
    story.start()
    story.now += 3
    story.feed(model.Verified(story.pid, False))
    assert "the crash loop is not over, so no mail before it has run for 10 min" in story.last()
    story.now += policy.HEALTHY + 1
    story.feed(model.Tick())
    assert story.last() == "it runs; it has run for 10 min: the ladder begins anew"
    story.now += model.WINDOW
    story.feed(model.Tick())
    assert "with 0 failures within the hour (1 at most): the crash loop is over" in story.last()


def test_a_bot_that_is_down_for_a_day_is_explained_as_a_reminder(story: Told) -> None:
    story.crash_loop(6)
    story.start()
    story.now += policy.REMINDER
    story.die(1.0, verified=False)
    assert "the breaker is open (1 failure within an hour): one reminder a day" in story.last()


def test_a_long_life_is_named_where_the_ladder_begins_anew_with_a_death(story: Told) -> None:
    story.run(700.0)
    story.die(700.0)
    assert story.last().startswith("it had run for 11 min 40 s, so the ladder began anew; 1st death in a row")


@pytest.mark.parametrize(
    ("vacant", "words"),
    [
        ({"wanted": False}, "operator said stop: not started"),
        ({"maintenance": True}, "maintenance is on: not started"),
        ({"shutting_down": True}, "the host is going down: not started"),
        ({}, "it should run, and nothing speaks against it: started"),
    ],
)
def test_why_an_empty_place_stays_empty_or_does_not(story: Told, vacant: dict[str, bool], words: str) -> None:
    story.vacant(**vacant)
    assert story.last() == words


def test_a_hold_and_its_end_by_other_files_are_explained(story: Told) -> None:
    story.start()
    story.die(0.1, verified=False, code=78)
    assert story.last().startswith("code 78 asks not to be restarted: held until the operator says")
    assert not story.vacant()
    assert "it ended with code 78" in story.last()
    assert story.vacant(script="v2")
    assert story.last().startswith("the bot's files changed: failures forgotten; ")


def test_a_mail_beyond_the_budget_is_said_to_be_left_out(story: Told) -> None:
    for _ in range(policy.BUDGET + 1):
        story.run(1_000.0)
        story.die(1_000.0)
    starts = [words for words in story.words if words.startswith("it survived")]
    assert starts[0].endswith("; mail 1 of 10 about restarts within six hours")
    assert starts[-1].endswith("; mail about it left out: 10 restarts told within six hours")


def test_the_operators_word_is_named(story: Told) -> None:
    story.crash_loop(5)
    story.feed(model.Asked())
    assert "forgotten are 5 failures within an hour, the open breaker and 0 restarts for hanging" in story.last()
    story.start(operator=True)
    assert story.last() == "the operator asked for it: started at once"
    story.feed(model.Verified(story.pid, True))
    assert story.last().endswith("the operator asked for it, so no mail")
    story.feed(model.Stopped(False))
    assert story.last().startswith("operator said stop: ")


def test_a_bot_that_is_found_is_left_as_it_is_and_may_end_an_outage(story: Told) -> None:
    story.feed(model.Adopted(7, "recorded", 1.0, True))
    assert story.last() == "it is the bot on record: left as it is"
    story.die(5.0)
    story.feed(model.Adopted(8, "by its arguments", 1.0, False))
    assert "whoever started it; it ends the time without a bot; mail 1 of 10" in story.last()


@pytest.mark.parametrize(
    ("event", "part"),
    [
        (model.Stuck("PID 7 survived SIGKILL"), "nothing is started beside it"),
        (model.Unclear("PID 7 seems to run it"), "hands off"),
        (model.Duplicate("PIDs 7, 8"), "there must be one bot"),
    ],
)
def test_what_needs_a_person_is_told_once(story: Told, event: Event, part: str) -> None:
    story.run(5.0)
    for told in ("told once", "told already"):
        story.feed(event)
        assert part in story.last() and story.last().endswith(told)


def test_doubts_and_restarts_of_a_hung_bot_are_explained_with_evidence_and_numbers(story: Told) -> None:
    story.run(60.0)
    assert story.judged() == "no sign of an illness"
    weak = story.judged("deaf")
    assert weak.startswith("doubt, no proof: deaf: it is ill of deaf: not restarted; mail 1 of 6")
    assert story.judged("deaf").endswith("; on record already")
    assert story.judged() == "no sign of an illness is left: trusted again"
    for number in range(1, HANGS + 1):
        words = story.judged("stopped", "deaf", proof=True)
        assert words.startswith("evidence: stopped: it is ill of stopped; deaf: it is ill of deaf: restart")
        assert words.endswith(f"{number} of 3 such restarts within the hour")
        story.die(1.0)
        story.run(5.0)
    words = story.judged("stopped", proof=True)
    assert "3 of 3 such restarts within the hour are spent: left as it is; told once" in words


def test_doubts_beyond_their_budget_are_said_to_be_left_out(story: Told) -> None:
    story.run(60.0)
    for _ in range(DOUBTS):
        story.judged("deaf")
        story.judged()
    assert story.judged("deaf").endswith("; mail about it left out: 6 doubts told within six hours")


@pytest.mark.parametrize(
    ("number", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"),
                         (21, "21st"), (101, "101st"), (111, "111th")],
)  # fmt: skip
def test_ordinals(number: int, word: str) -> None:
    assert explain._ordinal(number) == word
