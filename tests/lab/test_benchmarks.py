"""The benchmark's own way of measuring, with supervisors that need no package."""

from __future__ import annotations

import pytest

from benchmarks import rounds, trials
from benchmarks.peers import floor, peers
from benchmarks.run import Run
from benchmarks.stand import Stand
from lab.api import Lab


def test_a_shell_loop_and_systemd_are_measured(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "COMEBACK", 1.0)
    loop, unit = floor(), next(one for one in peers() if one.key == "systemd-0")
    run = Run(Stand(lab), [loop, unit])
    run.each([loop, unit], lambda one: one.install(run.stand), "install")
    rows = run.part("start")
    trials.idle(run, 1)
    rounds.interleaved(run, rows, 2)
    trials.killed(run)
    assert [one.trouble for one in run.results()] == [[], []]
    assert all(len(one.seconds) == 2 and min(one.seconds) > 0 for one in run.results())
    assert all(one.pss_mb is not None and one.pss_mb > 0.1 for one in run.results())
    assert run.result(unit).killed == {}  # nobody kills a host's init
    assert run.result(loop).killed == {
        "bot lives on": "yes",
        "supervisor is back": "no",
        "two bots": "no",
        "next death of the bot": "unnoticed",
    }
