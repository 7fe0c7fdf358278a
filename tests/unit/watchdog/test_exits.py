"""How a bot ended, as far as the kernel tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import Sleepers, first_line, until
from watchdog import exits, ladder, procfs
from watchdog.oom import Gauge, gauge


def child(code: str) -> tuple[int, int]:
    """A child of ours that runs a line of Python: PID and pidfd."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", code], os.environ)
    return pid, os.pidfd_open(pid)


@pytest.mark.fault("F40")
@pytest.mark.parametrize("code", [0, 1, 2, 78, 79, 255])
def test_the_exit_code_of_a_child(code: int) -> None:
    pid, pidfd = child(f"import os; os._exit({code})")
    until(lambda: ladder.ended(pidfd))
    found = exits.of(pid, pidfd, child=True)
    os.close(pidfd)
    assert found == (code, None, f"ended with exit code {code}", False)
    assert procfs.stat(pid) is None, "it was reaped"


@pytest.mark.fault("F49")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV])
def test_the_signal_that_killed_a_child(number: signal.Signals) -> None:
    pid, pidfd = child("import resource, time; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); time.sleep(60)")
    signal.pidfd_send_signal(pidfd, number)
    until(lambda: ladder.ended(pidfd))
    found = exits.of(pid, pidfd, child=True)
    os.close(pidfd)
    assert found[:3] == (None, number, f"was killed by {number.name}")
    assert found.oom is (None if number == signal.SIGKILL else False), "nobody counted while it lived"


def test_the_end_of_a_process_that_is_not_ours_is_known_or_said_to_be_unknown(sleepers: Sleepers) -> None:
    script = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    process = sleepers.start(sys.executable, "-c", script)
    stranger = int(first_line(process))
    pidfd = os.pidfd_open(stranger)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait(10)  # its parent has reaped it
    found = exits.of(stranger, pidfd, child=False)
    os.close(pidfd)
    assert found.code is None
    assert found.text == "was killed by SIGKILL" if found.signal == 9 else "cause unknown" in found.text


def test_somebody_else_may_have_reaped_the_child_already() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(3)"])
    pidfd = os.pidfd_open(process.pid)
    process.wait(10)
    found = exits.of(process.pid, pidfd, child=True)
    os.close(pidfd)
    assert found.code == 3 or "cause unknown" in found.text


def test_the_document_that_status_shows() -> None:
    document = exits.Exit(None, 9, "was killed by SIGKILL").document(17, "/x/bot.out")
    assert document.pop("time").endswith("Z")
    assert document == {
        "pid": 17, "code": None, "signal": 9, "oom": None, "text": "was killed by SIGKILL", "output": "/x/bot.out",
        "last_lines": [],
    }  # fmt: skip


@pytest.mark.fault("F49")
@pytest.mark.parametrize(("number", "risen", "oom"), [(9, True, True), (9, False, False), (15, True, False)])
def test_only_sigkill_can_be_the_kernels_own(tmp_path: Path, number: int, risen: bool, oom: bool) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("low 0\noom 3\noom_kill 2\n")
    gauge = Gauge(((str(tmp_path / "gone"), 0), (str(counter), 2)))
    if risen:
        counter.write_text("low 0\noom 4\noom_kill 3\n")
    found = exits.explain(number, gauge)
    assert found.oom is oom and ("OOM" in found.text) is oom


@pytest.mark.fault("F49")
def test_a_living_process_has_a_counter_near_it() -> None:
    found = gauge(os.getpid())
    assert found.counts and found.risen() is False
    assert found.counts[-1][0] == "/proc/vmstat", "the machine's own, where there is no nearer one"
    assert Gauge(()).risen() is None


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (40, "signal 40"), (999, "signal 999")])
def test_signals_have_names(number: int, name: str) -> None:
    assert exits.signal_name(number) == name
