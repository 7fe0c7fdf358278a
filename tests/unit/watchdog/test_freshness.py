"""The file that shows freshness is asked for in a thread: nobody waits for a disk that does not answer."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.watchdog.parts import until
from watchdog import freshness
from watchdog.freshness import UNKNOWN, File


def test_a_disk_that_does_not_answer_is_asked_once_and_its_late_answer_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fresh"
    path.touch()
    back, asked, stat = threading.Event(), [], os.stat

    def dead(name: str) -> Any:
        asked.append(name)
        back.wait(30)
        return stat(name)

    monkeypatch.setattr(freshness, "WAIT", 0.05)
    file = File(str(path))
    with monkeypatch.context() as patched:
        patched.setattr("watchdog.freshness.os.stat", dead)
        assert [file.look() for _ in range(3)] == [UNKNOWN] * 3
        assert asked == [str(path)]
        back.set()
        until(lambda: file.look() != UNKNOWN)
    found = file.look()
    assert found and found[1:3] == (path.stat().st_ino, 0)
    path.unlink()
    assert file.look() is None


def test_where_there_can_be_no_more_threads_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    file = File(str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr("watchdog.freshness._thread.start_new_thread", refused)
        assert file.look() == UNKNOWN
    assert file.look() not in (UNKNOWN, None)
