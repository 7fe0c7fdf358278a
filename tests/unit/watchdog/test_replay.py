"""Decisions on record: written beside the first event of each, read back, taken again, whatever the file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, VirtualClock
from tests.unit.watchdog.test_policy_any import EVENTS, MEMORIES, NOW
from watchdog import __version__, clock, decision, model, policy, replay
from watchdog.config import Config
from watchdog.decision import Decision
from watchdog.instance import Instance
from watchdog.journal import Journal
from watchdog.ledger import Ledger
from watchdog.model import Memory
from watchdog.paths import of
from watchdog.record import Recorder
from watchdog.states import State

DIED = model.Died(7, 3, "ended with exit code 3", 1.5, True, "v1")


def made(memory: Memory = Memory(), event: model.Event = DIED, at: float = NOW) -> Decision:
    """A decision of this version."""
    return Decision(memory, event, at, *policy.step(memory, event, at))


def line(message: str, kept: Any = None, time: str = "2026-11-24T06:00:00.000Z") -> str:
    """An event as it is written."""
    entry = {"schema": 1, "time": time, "kind": "died", "message": message}
    return json.dumps(entry if kept is None else {**entry, "decision": kept}, ensure_ascii=False)


def document(one: Decision | None = None, **changes: Any) -> dict[str, Any]:
    """A decision's object, with changes."""
    found: dict[str, Any] = json.loads(json.dumps(decision.document(one or made(), "boot", __version__)))
    return {**found, **changes}


def read(tmp_path: Path, *lines: str, count: int = 20, since: float | None = None) -> list[dict[str, Any]]:
    """What is read of a file with these lines."""
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f"{one}\n" for one in lines), encoding="utf-8", errors="surrogatepass")
    return replay.decisions(str(path), count, since)


@pytest.fixture
def ledger(config: Config, instance: Instance, journal: Journal) -> Ledger:
    """A ledger that writes to the journal of this test."""
    return Ledger(Recorder(config, of(config, instance), journal, lambda *_: None))


def events(journal: Journal) -> list[dict[str, Any]]:
    """What the journal's file holds."""
    return [json.loads(one) for one in Path(journal.events_file).read_text().splitlines()]


# Writing -------------------------------------------------------------------------------------------------------------


def test_the_first_event_of_a_decision_has_it_whole_and_the_others_point_to_it(
    ledger: Ledger, journal: Journal, virtual_clock: VirtualClock
) -> None:
    ledger.memory = Memory(attempt=2, failures=(4_000.0,), reason="was killed")
    ledger.feed(DIED._replace(code=78))
    ledger.feed(model.Spawned(8, False))
    ledger.flush()
    died, held, spawned = events(journal)
    assert died["decision"] == {
        "event": "Died",
        "fields": {
            "pid": 7, "code": 78, "text": "ended with exit code 3", "uptime": 1.5, "verified": True, "script": "v1",
        },
        "at": 5_000.0,
        "boot": "boot-1",
        "memory": {"attempt": 2, "failures": [4_000.0], "reason": "was killed"},
        "actions": ["state held", "event died", "event held", "alert failed"],
        "version": __version__,
    }  # fmt: skip
    assert held["decision"] == {"same": True} and spawned["decision"]["event"] == "Spawned"


def test_nothing_is_put_together_before_everything_is_done(
    ledger: Ledger, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(decision, "document", lambda *one: calls.append(one) or {"event": "x"})
    assert model.Start() in ledger.feed(model.Vacant(True, False, False, "v1"))
    ledger.feed(model.Spawned(8, False))
    assert calls == [] and not Path(journal.events_file).exists()
    ledger.flush()
    assert len(calls) == 1, "the start itself has no event: that it was spawned has one"


# Reading -------------------------------------------------------------------------------------------------------------


@PROPERTY
@given(MEMORIES, EVENTS, st.floats(0, 2 * NOW))
def test_a_decision_on_record_is_taken_again_alike(memory: Memory, event: model.Event, at: float) -> None:
    entry = {"time": "", "message": "", "decision": document(made(memory, event, at))}
    found = replay._explained(entry)
    assert (found["replayed"], found["would"]) == ("same", None) and found["why"], found
    assert found["event"] == type(event).__name__


def test_a_version_that_would_act_otherwise_says_so_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = document(made(Memory(attempt=3)), version="0.0.9")
    monkeypatch.setattr(policy, "LADDER", (0, 1, 2, 7))
    (found,) = read(tmp_path, line("bot died", kept))
    assert found["replayed"] == "different"
    assert (found["actions"][1], found["would"][1]) == ("next start in 5 s", "next start in 7 s")
    loud = replay.sentences(found)[-1]
    assert f"this version ({__version__}) would have: state backoff, next start in 7 s" in loud and "0.0.9" in loud


def test_people_see_time_event_reason_and_deeds_and_more_when_they_ask(tmp_path: Path) -> None:
    (found,) = read(tmp_path, line("bot (PID 7) ended with exit code 3", document()))
    rows = replay.sentences(found)
    assert rows[0] == "2026-11-24T06:00:00.000Z  bot (PID 7) ended with exit code 3"
    assert rows[1].startswith("    why   1st death in a row: the ladder waits 0 s; 1 of 5 failures")
    assert rows[2:] == ["    done  state backoff, next start in 0 s"]
    assert replay.sentences(found, verbose=True)[3] == (
        f"    Died, decided by {__version__}, replayed by {__version__}: same"
    )


def test_the_events_of_one_decision_are_one_entry(tmp_path: Path) -> None:
    same = {"same": True}
    found = read(tmp_path, line("a"), line("b", document()), line("c", same), line("d", same), line("e", document()))
    assert [one["message"] for one in found] == ["a", "b; c; d", "e"]


def test_events_whose_decision_is_gone_stand_for_themselves(tmp_path: Path) -> None:
    same = {"same": True}
    found = read(tmp_path, line("a", same), line("b"), line("c", same), line("d", document()))
    assert [(one["message"], one["why"] is None) for one in found] == [
        ("a", True), ("b", True), ("c", True), ("d", False),
    ]  # fmt: skip


def test_only_so_many_and_only_younger_ones_are_shown_the_newest_last(tmp_path: Path) -> None:
    lines = [line(f"{hour}", document(), f"2026-11-24T0{hour}:00:00.000Z") for hour in range(6)]
    assert [one["message"] for one in read(tmp_path, *lines, count=2)] == ["4", "5"]
    since = 1_795_500_000 - 1_795_500_000 % 86_400 + 3 * 3600
    assert clock.stamp(since) == "2026-11-24T03:00:00.000Z"
    assert [one["message"] for one in read(tmp_path, *lines, since=since)] == ["3", "4", "5"]
    assert read(tmp_path, *lines, count=0) == []


def test_rotated_files_are_read_as_far_as_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl.2").write_text(line("1") + "\n")
    (tmp_path / "events.jsonl.1").write_text(line("2", document()) + "\n" + line("3") + "\n")
    assert [one["message"] for one in read(tmp_path, line("4", {"same": True}), line("5"))] == list("12345")
    (tmp_path / "events.jsonl.1").unlink()
    (tmp_path / "events.jsonl.1").mkdir()
    assert [one["message"] for one in read(tmp_path, line("5"))] == ["1", "5"]


def test_without_a_file_nothing_is_on_record(tmp_path: Path) -> None:
    assert replay.decisions(str(tmp_path / "none.jsonl"), 20, None) == []


@pytest.mark.parametrize(
    "kept",
    [
        document(event="Eclipsed"), document(fields={"pid": 7}), document(fields={**DIED._asdict(), "moon": 1}),
        document(fields={**DIED._asdict(), "uptime": "long"}), document(fields={**DIED._asdict(), "uptime": 1e300}),
        document(fields={**DIED._asdict(), "uptime": float("nan")}), document(memory={"attempt": -99}),
        document(memory={"mood": "bad"}), document(memory={"phase": "happy"}), document(memory={"failures": 7}),
        document(at="now"), document(at=None), document(at=True), document(memory=[]), document(event=["Died"]),
        document(at=float("nan")), document(fields=None), {"same": False}, {},
        document(event="Judged", fields={"signs": [["deaf", True]]}),
        document(event="Judged", fields={"signs": [["deaf", True, 7, 1.0, 1.0, 1.0]]}),
        document(event="Judged", fields={"signs": 7}),
    ],
    ids=str,
)  # fmt: skip
def test_a_decision_that_this_version_cannot_have_taken_is_a_plain_line(tmp_path: Path, kept: Any) -> None:
    (found,) = read(tmp_path, line("bot died", kept))
    assert (found["message"], found["why"], found["replayed"], found["would"]) == ("bot died", None, "unknown", None)
    assert replay.sentences(found, verbose=True)[0].endswith("  bot died")
    json.dumps(found, allow_nan=False)


def test_hostile_text_cannot_steer_a_terminal(tmp_path: Path) -> None:
    event = DIED._replace(text="\x1b[2Jgone\x9b")
    kept = document(made(Memory(reason="\x1b]0;evil\x07"), event))
    kept["actions"] = ["state \x1b[31m"]
    (found,) = read(tmp_path, line("bot \x1b[31m died", kept, "\x1b[2J"))
    assert all(row.isprintable() for row in replay.sentences(found, verbose=True))


SOUND = (line("bot died", document(made(Memory(phase=State.RUNNING, attempt=3, failures=(1.0,))))) + "\n").encode()


@PROPERTY
@given(st.integers(0, len(SOUND)), st.integers(0, len(SOUND)), st.binary(max_size=6))
@example(0, 0, b"[" * 99_999)
@example(0, 0, b"\xff\n{}\n7\nnull\n")
def test_a_damaged_file_is_shown_as_far_as_it_goes(tmp_path: Path, at: int, end: int, piece: bytes) -> None:
    at, end = min(at, end), max(at, end)
    path = tmp_path / "events.jsonl"
    path.write_bytes(SOUND + SOUND[:at] + piece + SOUND[end:] + b"\n" + SOUND)
    found = replay.decisions(str(path), 20, None)
    assert found[-1]["replayed"] == "same"
    for one in found:
        assert all(row.isprintable() for row in replay.sentences(one, verbose=True))
