"""What signs lead to: doubt is told once, a proof restarts three times an hour, and every end of it is told."""

from __future__ import annotations

import pytest

from watchdog import doubt, model, policy
from watchdog.model import Alert, Judged, Kill, Memory, Note, Sign
from watchdog.states import State

NOW = 100_000.0
WEAK = Sign("backlog", False, "has not read 5 kB for 1 min (limit 2 min)", NOW - 60, 60.0, 120.0)
PROOF = WEAK._replace(proof=True, text="has not read 9 kB for 2 min (limit 2 min)", measured=120.0)
DEAF = Sign("deaf", False, "has received nothing for 10 min (limit 10 min)", NOW - 600, 600.0, 600.0)
RUNNING = Memory(phase=State.RUNNING, running_since=NOW - 5000)


def look(memory: Memory, *signs: Sign, at: float = NOW) -> model.Step:
    """One look at the bot."""
    return policy.step(memory, Judged(signs), at)


def alerts(actions: tuple[model.Action, ...]) -> list[str]:
    return [action.kind for action in actions if isinstance(action, Alert)]


def test_a_weak_sign_makes_suspect_and_is_told_once_with_its_evidence() -> None:
    memory, actions = look(RUNNING, WEAK)
    assert memory.phase is State.SUSPECT
    assert [action.kind for action in actions if isinstance(action, Note)] == ["suspect"]
    assert [action.text for action in actions if isinstance(action, Alert)] == [f"bot may be ill: it {WEAK.text}"]
    for later in range(10):
        memory, actions = look(memory, WEAK._replace(text=f"{later}"), at=NOW + 15 * later)
        assert actions == () and memory.phase is State.SUSPECT


def test_another_kind_of_sign_is_told_as_well_and_not_again_when_one_of_them_goes() -> None:
    memory, _ = look(RUNNING, WEAK)
    memory, actions = look(memory, WEAK, DEAF)
    assert alerts(actions) == ["suspect"]
    memory, actions = look(memory, DEAF)
    assert actions == () and memory.phase is State.SUSPECT
    memory, actions = look(memory, WEAK, DEAF)
    assert actions == ()


def test_a_bot_that_is_well_again_is_told_of_once_and_only_if_its_illness_was() -> None:
    memory, _ = look(RUNNING, WEAK)
    memory, actions = look(memory, at=NOW + 30)
    assert memory.phase is State.RUNNING and alerts(actions) == ["restarted"]
    assert "well again after 1 min 30 s" in next(action.text for action in actions if isinstance(action, Alert))
    assert look(memory, at=NOW + 45)[1] == ()


def test_a_bot_that_is_suspect_again_and_again_does_not_flood_anybody() -> None:
    memory, told, again = RUNNING, 0, 0
    for number in range(40):
        memory, actions = look(memory, WEAK, at=NOW + 60 * number)
        told += alerts(actions).count("suspect")
        memory, actions = look(memory, at=NOW + 60 * number + 30)
        again += alerts(actions).count("restarted")
    assert told == again == doubt.DOUBTS
    memory, actions = look(memory, WEAK, at=NOW + model.BUDGET_WINDOW + 1)
    assert alerts(actions) == ["suspect"], "the window has passed"


def test_a_proof_ends_the_bot_without_a_mail_before_it() -> None:
    memory, actions = look(RUNNING, PROOF)
    assert memory.phase is State.HUNG
    assert Kill(PROOF.text) in actions and alerts(actions) == []


def test_three_restarts_an_hour_and_then_it_is_told_and_left_alone_until_the_hour_is_over() -> None:
    memory = RUNNING
    for number in range(doubt.HANGS):
        memory, actions = look(memory, PROOF, at=NOW + number)
        assert any(isinstance(action, Kill) for action in actions)
        memory = memory._replace(phase=State.RUNNING, running_since=NOW)
    memory, actions = look(memory, PROOF, at=NOW + 10)
    assert memory.phase is State.HUNG and alerts(actions) == ["suspect"]
    assert not any(isinstance(action, Kill) for action in actions)
    assert look(memory, PROOF, at=NOW + 25)[1] == (), "told once"
    memory, actions = look(memory, PROOF, at=NOW + model.WINDOW + 1)
    assert any(isinstance(action, Kill) for action in actions), "an hour later it is tried again"


def test_a_bot_that_recovers_by_itself_after_being_left_alone_is_told_of() -> None:
    hung = RUNNING._replace(phase=State.HUNG, doubt="x", doubt_told=True, hung_at=(NOW - 1,))
    memory, actions = look(hung)
    assert memory.phase is State.RUNNING and alerts(actions) == ["restarted"]
    assert memory.hung_at == (NOW - 1,), "its restarts still count"


@pytest.mark.parametrize("phase", [state for state in State if state not in (State.RUNNING, State.SUSPECT, State.HUNG)])
def test_a_bot_whose_start_does_not_count_yet_or_that_is_being_stopped_is_not_judged(phase: State) -> None:
    memory = Memory(phase=phase)
    assert look(memory, PROOF) == (memory, ())


def test_a_death_ends_all_doubt_and_the_operators_word_all_counts() -> None:
    memory, _ = look(RUNNING, WEAK)
    dead, _ = policy.step(memory, model.Died(7, 1, "ended", 50.0, True, ""), NOW)
    assert (dead.doubts, dead.doubt, dead.doubt_told) == ((), "", False)
    asked, _ = policy.step(RUNNING._replace(hung_at=(NOW,), doubts_told_at=(NOW,)), model.Asked(), NOW)
    assert (asked.hung_at, asked.doubts_told_at) == ((), ())


def test_a_bot_is_sentenced_in_the_life_for_which_its_end_was_begun() -> None:
    assert doubt.sentenced(RUNNING) == doubt.sentenced(look(RUNNING, WEAK)[0]) == ""
    memory, actions = look(RUNNING, PROOF)
    assert any(isinstance(action, Kill) for action in actions) and doubt.sentenced(memory) == PROOF.text
    assert doubt.sentenced(memory._replace(running_since=NOW + 1)) == "", "that was the life before"
    assert doubt.sentenced(memory._replace(phase=State.RUNNING)) == ""
    spent = RUNNING._replace(hung_at=(NOW - 7000, NOW - 6000, NOW - 5500)[-doubt.HANGS :], phase=State.HUNG)
    assert doubt.sentenced(spent._replace(doubt=PROOF.text)) == "", "it was left as it is"
