"""state.json: read back after anything, deadlines right after a reboot, never a reason to stay down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, VirtualClock, attempt
from tests.unit.watchdog.story import Story
from watchdog import model, policy, snapshot
from watchdog.identity import Identity
from watchdog.model import Memory
from watchdog.policy import LADDER
from watchdog.snapshot import Snapshot
from watchdog.states import State

JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=True), st.text(max_size=8),
        st.sampled_from([10**400, -(10**400), 1e308, "running", "held", "backoff"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip


END = {
    "time": "2026-11-24T06:00:00.000Z", "pid": 7, "code": None, "signal": 9, "oom": True,
    "text": "was killed by SIGKILL", "output": "/x/bot.out", "last_lines": ["one", "two"],
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "state.json")


def crashing(clock: VirtualClock, lives: int) -> Story:
    """A story with a crash loop behind it, on the clock of the test."""
    story = Story(now=clock.boot_seconds)
    story.crash_loop(lives)
    story.start()
    story.die(0.1, verified=False)
    clock.pass_by(story.now - clock.boot_seconds)
    return story


def test_nothing_remembered_is_a_blank_memory(path: str) -> None:
    assert snapshot.load(path) == Snapshot(Memory(), None, None)


def test_saving_makes_the_folder_for_its_owner_alone(path: str) -> None:
    snapshot.save(path, Snapshot())
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    assert snapshot.load(path) == Snapshot()


def test_the_recorded_bot_and_its_end_are_read_back(path: str) -> None:
    one = Snapshot(Memory(phase=State.RUNNING), Identity(1234, 567, "boot", True), END)
    snapshot.save(path, one)
    found = snapshot.load(path)
    assert found == one
    assert isinstance(found.bot, Identity) and isinstance(found.memory.phase, State)


def test_within_one_boot_deadlines_stay_where_they_are_whatever_the_wall_clock_does(
    path: str, virtual_clock: VirtualClock
) -> None:
    story = crashing(virtual_clock, 5)
    snapshot.save(path, Snapshot(story.memory))
    for jump in (-86_400.0, 86_400.0):
        virtual_clock.wall_seconds += jump
        assert snapshot.load(path).memory == story.memory


@pytest.mark.fault("F13")
@pytest.mark.fault("F41")
@pytest.mark.parametrize("took", [0.0, 5.0, 30.0, 4000.0])
def test_over_a_reboot_a_delay_is_shortened_by_the_time_that_has_passed(
    path: str, virtual_clock: VirtualClock, took: float
) -> None:
    story = crashing(virtual_clock, 6)
    waiting = story.memory.next_start
    assert waiting is not None
    delay = waiting - virtual_clock.boot_seconds
    snapshot.save(path, Snapshot(story.memory))
    virtual_clock.reboot(took, uptime=12.0)
    found = snapshot.load(path).memory
    assert found.next_start is not None
    assert found.next_start - virtual_clock.boot_seconds == pytest.approx(delay - took)
    assert len(found.failures) == (0 if took > policy.WINDOW else len(story.memory.failures))
    assert found._replace(failures=(), next_start=None, down_since=None, reminded_at=None) == story.memory._replace(
        failures=(), next_start=None, down_since=None, reminded_at=None
    )


@pytest.mark.fault("F80")
def test_a_wall_clock_set_back_over_a_reboot_prolongs_no_delay(path: str, virtual_clock: VirtualClock) -> None:
    story = crashing(virtual_clock, 6)
    assert story.memory.next_start is not None
    delay = story.memory.next_start - virtual_clock.boot_seconds
    snapshot.save(path, Snapshot(story.memory))
    virtual_clock.reboot(took=-30 * 86_400.0, uptime=12.0)  # no battery: the clock begins a month ago
    found = snapshot.load(path).memory
    assert found.next_start is not None and found.next_start - virtual_clock.boot_seconds <= delay + 1e-6


@pytest.mark.fault("F80")
def test_a_wall_clock_set_forward_over_a_reboot_forgets_no_failure_count(
    path: str, virtual_clock: VirtualClock
) -> None:
    story = crashing(virtual_clock, 3)
    snapshot.save(path, Snapshot(story.memory))
    virtual_clock.reboot(took=86_400.0)
    found = snapshot.load(path).memory
    assert found.attempt == story.memory.attempt
    again = Story(found, now=virtual_clock.boot_seconds)
    assert again.vacant(), "a delay that is over does not block"


# Damage --------------------------------------------------------------------------------------------------------------


def document(**changes: Any) -> dict[str, Any]:
    """A sound state.json of this boot."""
    return {
        "version": snapshot.VERSION, "boot": "boot-1", "saved_boot": 4_990.0, "saved_utc": 1_795_499_990.0,
        "memory": Memory(phase=State.BACKOFF, attempt=2, next_start=5_001.0)._asdict(), "bot": [10, 20, "boot-1", True],
        "last_exit": END, **changes,
    }  # fmt: skip


def written(path: str, content: dict[str, Any] | bytes) -> str:
    """Put a state.json there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_the_sound_document_is_read(path: str, virtual_clock: VirtualClock) -> None:
    found = snapshot.load(written(path, document()))
    assert found.memory.attempt == 2 and found.bot == Identity(10, 20, "boot-1", True)


@pytest.mark.fault("F74")
@pytest.mark.parametrize("version", [0, 2, 99, "1", None, 1.5, []])
def test_another_version_is_refused_and_named(path: str, virtual_clock: VirtualClock, version: Any) -> None:
    with pytest.raises(ValueError, match=r"state.json: version .*, not 1"):
        snapshot.load(written(path, document(version=version)))


@pytest.mark.fault("F74")
@pytest.mark.parametrize("cut", [0, 1, 10, 100, 300])
def test_a_torn_file_is_refused_and_named(path: str, virtual_clock: VirtualClock, cut: int) -> None:
    with pytest.raises(ValueError, match=r"state\.json"):
        snapshot.load(written(path, json.dumps(document()).encode()[:cut]))


@pytest.mark.fault("F74")
@pytest.mark.parametrize(
    "changes",
    [
        {"memory": None}, {"memory": []}, {"memory": {"phase": "no such"}}, {"memory": {"attempt": "3"}},
        {"memory": {"failures": "x"}}, {"memory": {"failures": [None]}}, {"memory": {"breaker": "yes"}},
        {"memory": {"next_start": "soon"}}, {"memory": {"reason": 5}}, {"memory": {"hold_code": {}}},
        {"bot": [1, 2, 3]}, {"bot": "abcd"}, {"bot": ["1", 2, "b", True]}, {"bot": [1, 2, "b", 1]}, {"bot": 5},
        {"boot": "other", "saved_utc": None}, {"boot": "other", "saved_boot": "x"},
        {"memory": {"next_start": 10**400}}, {"memory": {"hold_code": float("inf")}}, {"bot": [1, 2]},
    ],
)  # fmt: skip
def test_wrong_types_are_refused_and_named(path: str, virtual_clock: VirtualClock, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"state\.json"):
        snapshot.load(written(path, document(**changes)))


@pytest.mark.parametrize("wrong", [5, "x", [], {}, {"time": 5, "text": "x"}, {"time": "x"}])
def test_a_damaged_last_end_is_left_out(path: str, virtual_clock: VirtualClock, wrong: Any) -> None:
    found = snapshot.load(written(path, document(last_exit=wrong)))
    assert found.last_exit is None and found.memory.attempt == 2


@pytest.mark.parametrize(("said", "kept"), [("one", []), (None, []), ([1, "two", None], ["two"])])
def test_last_lines_are_lines(path: str, virtual_clock: VirtualClock, said: Any, kept: list[str]) -> None:
    found = snapshot.load(written(path, document(last_exit={**END, "last_lines": said})))
    assert found.last_exit == {**END, "last_lines": kept}


@pytest.mark.fault("F74")
@pytest.mark.parametrize("pid", [0, 1, -1, True, 1 << 31, 12.0, "12"])
def test_a_bot_whose_number_no_kernel_gives_out_is_refused(path: str, virtual_clock: VirtualClock, pid: Any) -> None:
    with pytest.raises(ValueError, match=r"state\.json"):
        snapshot.load(written(path, document(bot=[pid, 20, "boot-1", True])))


@pytest.mark.parametrize("missing", ["version", "boot", "saved_utc", "memory", "bot", "last_exit"])
def test_a_missing_field_is_refused_or_has_a_default(path: str, virtual_clock: VirtualClock, missing: str) -> None:
    whole = document(boot="another boot")
    del whole[missing]
    with pytest.raises(ValueError, match=r"state\.json"):
        snapshot.load(written(path, whole))


def test_fields_that_an_older_agent_did_not_know_get_their_default(path: str, virtual_clock: VirtualClock) -> None:
    found = snapshot.load(written(path, document(memory={"phase": "failed", "attempt": 7})))
    assert found.memory == Memory(phase=State.FAILED, attempt=7)


@pytest.mark.fault("F74")
@PROPERTY
@given(st.binary(max_size=60))
@example(b'{"version": 1}')
def test_any_bytes_are_refused_in_one_line(path: str, content: bytes) -> None:
    found, refused = attempt(lambda: snapshot.load(written(path, content)), ValueError)
    assert found is None and refused


@pytest.mark.fault("F74")
@PROPERTY
@given(field=st.sampled_from(Memory._fields), value=JSON, boot=st.sampled_from(["boot-1", "boot-0"]))
@example(field="attempt", value=-99, boot="boot-1")
@example(field="next_start", value=1e308, boot="boot-1")
@example(field="next_start", value=float("inf"), boot="boot-0")
@example(field="next_start", value=10**400, boot="boot-1")
@example(field="failures", value=[10**400], boot="boot-0")
@example(field="hold_code", value=float("nan"), boot="boot-1")
@example(field="phase", value="x" * 5000, boot="boot-1")
def test_whatever_is_accepted_lets_the_policy_go_on(
    path: str, virtual_clock: VirtualClock, field: str, value: Any, boot: str
) -> None:
    content = document(boot=boot, memory={**Memory(phase=State.BACKOFF)._asdict(), field: value})
    found, refused = attempt(lambda: snapshot.load(written(path, content)), ValueError)
    if refused:
        return
    now = virtual_clock.boot_seconds
    policy.settle_at(found.memory)
    json.dumps(found.memory._asdict())
    for event in (
        model.Adopted(7, "x", 5.0, True), model.Spawned(7, False), model.Verified(7, False), model.Tick(),
        model.Died(7, 1, "x", 5.0, True, ""), model.Unclear("x"), model.Stuck("x"),
    ):  # fmt: skip
        policy.step(found.memory, event, now)
    memory = found.memory._replace(hold_code=None)
    longest = LADDER[-1]
    _, actions = policy.step(memory, model.Vacant(True, False, False, ""), now + longest + 1)
    assert model.Start() in actions, "a delay longer than the longest rung is damage, and keeps the bot down for ever"


@pytest.mark.fault("F70")
def test_a_write_that_fails_leaves_what_was_remembered(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot.save(path, Snapshot(Memory(attempt=3)))

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        snapshot.save(path, Snapshot(Memory(attempt=4)))
    assert snapshot.load(path).memory.attempt == 3
