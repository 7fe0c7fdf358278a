"""state.json at its edges: each of these tests fails with a slip that the other tests of it let pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from watchdog import clock, model, snapshot
from watchdog.snapshot import Snapshot


def loaded(folder: Path, **changes: Any) -> Snapshot:
    """What is read from a sound document with changes."""
    sound = {
        "version": 1, "boot": clock.boot_id(), "saved_boot": clock.now(), "saved_utc": clock.utc(),
        "memory": model.Memory()._asdict(), "bot": None, "last_exit": None,
    }  # fmt: skip
    path = folder / "state.json"
    path.write_text(json.dumps({**sound, **changes}))
    return snapshot.load(str(path))


@pytest.mark.fault("F74")
@pytest.mark.parametrize(
    ("bot", "good"),
    [
        ([2, 0, "b", True], True), ([1 << 22, 7, "b", False], True), ([1, 7, "b", True], False),
        ([0, 7, "b", True], False), ([(1 << 22) + 1, 7, "b", True], False), ([2, -1, "b", True], False),
        ([True, 7, "b", True], False), ([2, 7, "b", 1], False), ([2, 7, None, True], False),
    ],
)  # fmt: skip
def test_which_bot_a_state_file_may_name(tmp_path: Path, bot: list[Any], good: bool) -> None:
    if good:
        assert list(loaded(tmp_path, bot=bot).bot or ()) == bot
    else:
        with pytest.raises(ValueError, match="bot"):
            loaded(tmp_path, bot=bot)


@pytest.mark.parametrize("lines", [[1], 5, None])
def test_parts_of_the_last_end_that_are_of_another_kind_are_left_out(tmp_path: Path, lines: Any) -> None:
    wrong = {
        "time": "t",
        "text": "ended",
        "pid": "7",
        "code": True,
        "signal": 9.0,
        "oom": 1,
        "output": 5,
        "last_lines": [1],
    }
    found = loaded(tmp_path, last_exit=wrong).last_exit
    assert found is not None
    assert [found[key] for key in ("pid", "code", "signal", "oom", "output")] == [None] * 5
    assert found["last_lines"] == []


def test_no_failures_may_be_written_as_null(tmp_path: Path) -> None:
    assert loaded(tmp_path, memory={"phase": "down", "failures": None}).memory.failures == ()
