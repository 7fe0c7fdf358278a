"""Raw reads of /proc, on processes with odd names and on those that are gone."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.unit.watchdog.parts import SLEEP, Sleepers, until
from watchdog import procfs


def test_a_process_with_brackets_and_spaces_in_its_name_is_read_right(sleepers: Sleepers, tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", odd)
    process = sleepers.start(str(odd), "600", start_new_session=True)
    found = until(lambda: procfs.stat(process.pid))
    assert found.parent == os.getpid() and found.session == process.pid
    assert found.state in "SRD"


def test_what_is_gone_is_nothing(sleepers: Sleepers) -> None:
    process = sleepers.start("true")
    process.wait(10)
    gone = process.pid
    assert procfs.stat(gone) is None and procfs.owner(gone) is None and procfs.cmdline(gone) == []
    assert procfs.executable(gone) is None and procfs.working_directory(gone) is None
    assert procfs.variable(gone, "PATH") is None
    assert not procfs.is_thread(gone) and not procfs.alive(gone, 1) and procfs.ancestors(gone) == []


def test_the_environment_that_a_process_was_started_with_is_read_exactly(sleepers: Sleepers) -> None:
    process = sleepers.python("-c", SLEEP, env={"XX": "no", "X": "a=b c", "EMPTY": ""})
    assert procfs.variable(process.pid, "X") == "a=b c"
    assert procfs.variable(process.pid, "EMPTY") == ""
    assert procfs.variable(process.pid, "Y") is None


def test_the_members_of_a_session_are_all_but_its_leader(sleepers: Sleepers) -> None:
    code = "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(600)"
    leader = sleepers.start(sys.executable, "-c", code, start_new_session=True)
    child = sleepers.child_of(leader)
    found = procfs.stat(child)
    assert found is not None
    assert procfs.session_members(leader.pid) == [(child, found.start)]
