"""Whatever is remembered and whatever happens, in any order, even one that cannot be: the policy goes on."""

from __future__ import annotations

import json
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY
from watchdog import clock, limits, model, policy, snapshot
from watchdog.identity import Identity
from watchdog.model import Memory, Start
from watchdog.states import State

NOW = 50_000.0
SOON = st.one_of(st.floats(0, NOW), st.floats(NOW, 2 * NOW))
SCRIPTS = st.sampled_from(["", "v1", "v2"])
MEMORIES = st.builds(
    Memory,
    phase=st.sampled_from(State),
    attempt=st.integers(0, 60),
    failures=st.lists(st.floats(0, NOW), max_size=60).map(lambda found: tuple(sorted(found))),
    breaker=st.booleans(),
    next_start=st.none() | SOON,
    running_since=st.none() | st.floats(0, NOW),
    down_since=st.none() | st.floats(0, NOW),
    outage=st.none() | st.floats(0, NOW),
    restarts=st.integers(0, 99),
    reason=st.text(max_size=5),
    pause=st.sampled_from(["", policy.MAINTENANCE, policy.SHUTDOWN]),
    told_at=st.lists(st.floats(0, NOW), max_size=12).map(lambda found: tuple(sorted(found))),
    untold=st.integers(0, 99),
    failure_told=st.booleans(),
    told=st.sampled_from(["", "a", "b"]),
    hold_code=st.none() | st.sampled_from([78, 79]),
    script=SCRIPTS,
    reminded_at=st.none() | st.floats(0, NOW),
    doubts=st.lists(st.sampled_from(limits.KINDS), max_size=3, unique=True).map(lambda found: tuple(sorted(found))),
    doubt=st.text(max_size=5),
    doubt_since=st.none() | st.floats(0, NOW),
    doubt_told=st.booleans(),
    doubts_told_at=st.lists(st.floats(0, NOW), max_size=8).map(lambda found: tuple(sorted(found))),
    hung_at=st.lists(st.floats(0, NOW), max_size=5).map(lambda found: tuple(sorted(found))),
)
TEXTS = st.sampled_from(["a", "b"])
MOMENTS = st.floats(0, NOW)
SIGNS = st.lists(
    st.builds(model.Sign, st.sampled_from(limits.KINDS), st.booleans(), TEXTS, MOMENTS, MOMENTS, MOMENTS), max_size=3
).map(tuple)
BY_TYPE: dict[type, st.SearchStrategy[model.Event]] = {
    model.Adopted: st.builds(model.Adopted, st.integers(2, 99), TEXTS, st.floats(0, NOW), st.booleans()),
    model.Rebooted: st.just(model.Rebooted()),
    model.Vacant: st.builds(model.Vacant, st.booleans(), st.booleans(), st.booleans(), SCRIPTS),
    model.Spawned: st.builds(model.Spawned, st.integers(2, 99), st.booleans()),
    model.Verified: st.builds(model.Verified, st.integers(2, 99), st.booleans()),
    model.Died: st.builds(
        model.Died, st.none() | st.integers(2, 99), st.none() | st.sampled_from([0, 1, 78, 79]), TEXTS,
        st.floats(0, NOW), st.booleans(), SCRIPTS,
    ),
    model.Stopped: st.builds(model.Stopped, st.booleans()),
    model.Stuck: st.builds(model.Stuck, TEXTS),
    model.Unclear: st.builds(model.Unclear, TEXTS),
    model.Duplicate: st.builds(model.Duplicate, TEXTS),
    model.Asked: st.just(model.Asked()),
    model.Judged: st.builds(model.Judged, SIGNS),
    model.Tick: st.just(model.Tick()),
}  # fmt: skip
EVENTS = st.one_of(*BY_TYPE.values())


def test_every_event_of_the_policy_is_among_those() -> None:
    assert set(BY_TYPE) == set(get_args(model.Event))


@PROPERTY
@given(MEMORIES, st.lists(st.tuples(EVENTS, st.floats(0, 5000)), max_size=25))
def test_any_order_of_events_is_answered_and_can_be_remembered(
    memory: Memory, story: list[tuple[model.Event, float]]
) -> None:
    now = NOW
    for event, seconds in story:
        now += seconds
        memory, actions = policy.step(memory, event, now)
        assert snapshot.memory(json.loads(json.dumps(memory._asdict()))) == memory
        assert Start() not in actions or _may_start(event, memory)
        assert memory.next_start is None or memory.next_start <= max(2 * NOW, now + policy.LADDER[-1])
        assert len(memory.failures) <= 60 and len(memory.told_at) <= 12 and len(memory.hung_at) <= 5


def _may_start(event: model.Event, memory: Memory) -> bool:
    """Only into a vacant place, wanted, without maintenance, shutdown or hold."""
    wanted = isinstance(event, model.Vacant) and event.wanted and not (event.maintenance or event.shutting_down)
    return wanted and memory.hold_code is None


@PROPERTY
@given(MEMORIES, st.floats(0, NOW))
def test_a_memory_that_was_made_sane_is_sane(memory: Memory, now: float) -> None:
    once = policy.sane(memory, now)
    assert policy.sane(once, now) == once
    assert all(at is None or at <= now for at in (once.running_since, once.down_since, *once.failures, *once.told_at))
    assert once.next_start is None or once.next_start <= now + policy.LADDER[-1]


@PROPERTY
@given(MEMORIES, st.integers(-100_000, 100_000))
def test_a_memory_that_was_shifted_decides_the_same(memory: Memory, by: int) -> None:
    memory = policy.sane(memory, NOW)
    vacant = model.Vacant(True, False, False, "v1")
    shifted = policy.shifted(memory, by)
    near = memory.next_start is not None and abs(memory.next_start - NOW) < 0.001
    assert near or policy.starts(shifted, vacant, NOW + by) == policy.starts(memory, vacant, NOW)


END = {
    "time": "x", "pid": 7, "code": 1, "signal": None, "oom": False, "text": "y", "output": None, "last_lines": ["z"],
}  # fmt: skip


def test_a_snapshot_on_disk_is_read_back_as_it_was(tmp_path: Any) -> None:
    now = clock.now()
    memory = Memory(
        phase=State.FAILED, attempt=7, failures=(now - 2.5, now - 1.5), breaker=True, next_start=now + 99.25,
        running_since=now - 5, down_since=now - 3, outage=4.0, restarts=12, reason="ended with exit code 1 — ä",
        failure_told=True, told="x", hold_code=78, script="1-2-3",
    )  # fmt: skip
    one = snapshot.Snapshot(memory, Identity(7, 8, "boot", True), END)
    path = str(tmp_path / "state.json")
    snapshot.save(path, one)
    assert snapshot.load(path) == one
