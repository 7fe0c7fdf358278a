"""What a writer that was killed has left behind is cleared up, what others are writing is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from watchdog import outbox, record


def _gone() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


@pytest.mark.fault("F70")
def test_temporary_files_of_dead_writers_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    left = tmp_path / f"state.json.{_gone()}.tmp"
    busy = tmp_path / f"state.json.{os.getpid()}.tmp"
    other = tmp_path / "state.json.backup.tmp"
    for file in (state, left, busy, other):
        file.write_text("{}")
    record._clear_up(str(state))
    assert {file.name for file in tmp_path.iterdir()} == {state.name, busy.name, other.name}


def test_old_drafts_of_alerts_go_and_new_ones_stay(tmp_path: Path) -> None:
    drafts = tmp_path / "tmp"
    drafts.mkdir()
    for name, age in (("old.json", outbox.SELDOM + 60), ("new.json", 1.0)):
        (drafts / name).write_text("{}")
        moment = (drafts / name).stat().st_mtime - age
        os.utime(drafts / name, (moment, moment))
    outbox.clear_up(str(tmp_path))
    assert [file.name for file in drafts.iterdir()] == ["new.json"]
