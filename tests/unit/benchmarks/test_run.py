"""A run goes on, whoever fails in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from benchmarks import rounds, trials
from benchmarks.run import Run
from benchmarks.stand import Stand
from benchmarks.supervisor import Supervisor
from lab.errors import LabError


class Stubborn(Supervisor):
    """Fails as often as it is told to, then works."""

    def __init__(self, key: str, failures: int = 0) -> None:
        super().__init__(key, key, (), "")
        self.failures, self.began = failures, 0

    def afresh(self, stand: Stand) -> None:
        self.began += 1
        if self.began <= self.failures:
            raise LabError("did not\nstart")


def stand(births: dict[str, list[float]], bots: dict[str, list[int]] | None = None) -> Any:
    """A stand without a host: what the bots noted, and which of them live."""
    return SimpleNamespace(starts=lambda folder: births[folder], bots_of=lambda folder: (bots or {}).get(folder, []))


def test_who_fails_is_left_out_of_the_part_and_tries_again_in_the_next() -> None:
    good, bad = Stubborn("good"), Stubborn("bad", failures=1)
    run = Run(cast("Stand", None), [bad, good])
    assert run.part("first") == [good]
    assert run.part("second") == [bad, good]
    assert [one.trouble for one in run.results()] == [["did not start"], []]


def test_who_is_left_out_stays_out_with_its_row() -> None:
    good, absent, broken = Stubborn("good"), Stubborn("absent"), Stubborn("broken", failures=1)
    run = Run(cast("Stand", None), [absent, good, broken])
    run.leave_out(absent, "no such package")
    run.part("first")
    run.leave_out_failed()
    assert run.part("second") == [good]
    assert absent.began == 0
    assert [(one.key, one.trouble) for one in run.results()] == [
        ("absent", ["no such package"]),
        ("good", []),
        ("broken", ["did not start"]),
    ]


def test_two_bots_are_no_measurement() -> None:
    double = Stubborn("double")
    run = Run(stand({double.folder: [1.0]}, {double.folder: [11, 12]}), [double])
    rounds.interleaved(run, [double], 3)
    assert run.result(double).seconds == []
    assert run.result(double).trouble == ["2 bots instead of one"]


def test_the_slow_one_is_measured_in_the_background(monkeypatch: Any) -> None:
    slow = Stubborn("slow")
    slow.cycle, slow.patience = 120.0, 135.0
    births, clock = [1000.0], [1000.0]
    monkeypatch.setattr(rounds, "now", lambda: clock[0])
    monkeypatch.setattr(rounds, "kill", lambda pids: None)
    run = Run(stand({slow.folder: births}), [slow])
    background = rounds.Background(run, slow, 3)
    for _ in range(2000):
        background.step()
        clock[0] += 0.5
        if (clock[0] - 1000) % 120 == 0:  # it looks
            births.append(clock[0])
    assert background.done()
    assert run.result(slow).seconds == list(rounds.EARLY)


def test_a_slow_one_that_never_comes_back_does_not_hold_up_the_run(monkeypatch: Any) -> None:
    slow = Stubborn("slow")
    slow.cycle, slow.patience = 120.0, 135.0
    clock = [1000.0]
    monkeypatch.setattr(rounds, "now", lambda: clock[0])
    monkeypatch.setattr(rounds, "kill", lambda pids: None)
    run = Run(stand({slow.folder: [1000.0]}), [slow])
    background = rounds.Background(run, slow, 3)
    for _ in range(200):
        background.step()
        clock[0] += 1
    assert background.done()
    assert run.result(slow).trouble == ["no new bot within 135 s"]


def test_a_hung_bot_is_replaced_after_so_long_or_told_of_or_neither(monkeypatch: Any) -> None:
    prompt, talker, blind, gone = Stubborn("prompt"), Stubborn("talker"), Stubborn("blind"), Stubborn("gone")
    clock = [5000.0]
    living = {one.folder: [number] for number, one in enumerate((prompt, talker, blind, gone), 11)}
    signals: list[tuple[list[int], str]] = []

    def bots() -> dict[str, list[int]]:
        if clock[0] >= 5062:
            living[prompt.folder] = [99]
        if clock[0] >= 5010:
            living[gone.folder] = []
        return living

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(trials, "time", SimpleNamespace(time=lambda: clock[0], monotonic=lambda: clock[0]))
    monkeypatch.setattr(trials, "kill", lambda pids, number: signals.append((pids, number.name)))
    monkeypatch.setattr(talker, "reports", lambda stand, since: since == 5000.0)
    host = SimpleNamespace(bots=bots, bots_of=lambda folder: living[folder])
    run = Run(cast("Stand", host), [prompt, talker, blind, gone])
    monkeypatch.setattr(run, "sleep", sleep)
    trials.hung(run, 90.0)
    assert [one.hung for one in run.results()] == ["replaced after 62 s", "reported", "no", "no"]
    assert clock[0] == 5090.0
    assert signals == [([11, 12, 13, 14], "SIGSTOP"), ([11, 12, 13, 14], "SIGCONT")]
