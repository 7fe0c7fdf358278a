"""Each of the six oracles can fail: where something is wrong on purpose, the world says so when it closes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults import alerts, deadlines
from tests.faults.watched import WatchedWorld
from tests.process import oracle
from tests.process.world import AGENT


@pytest.fixture
def watched(tmp_path: Path) -> WatchedWorld:
    """A world that the test closes itself."""
    return WatchedWorld(tmp_path)


def wrong(world: WatchedWorld, name: str) -> str:
    """What an oracle says at the end, and no other one."""
    with pytest.raises(AssertionError, match=f"^{name} broken") as found:
        world.close()
    return str(found.value)


def test_i1_sees_two_bots(watched: WatchedWorld) -> None:
    watched.behave({"may_overlap": True})
    watched.by_hand()
    watched.by_hand()
    wrong(watched, "I1")


def do(deed: str, world: WatchedWorld, bystander: subprocess.Popen[str]) -> None:
    if deed != "silence":
        world.instance.mkdir(parents=True, mode=0o700)
        (world.instance / "events.jsonl").write_text('{"kind": "unknown", "message": "x"}\n')
    if deed == "a start":
        world.by_hand()
    elif deed == "a kill":
        bystander.kill()
        bystander.wait(10)


@pytest.mark.parametrize("deed", ["a start", "a kill", "silence", "no alert"])
def test_i2_sees_a_hand_that_is_not_off(watched: WatchedWorld, deed: str) -> None:
    bystander = watched.spawn(["sleep", "3600"])
    if deed == "no alert":
        watched.env["SMTP_SERVER"] = "127.0.0.1"
    with pytest.raises(AssertionError), watched.hands_off(bystander.pid, within=0.5):
        do(deed, watched, bystander)
    watched.waive(I5="the event is a forgery")
    watched.close()


def test_i3_sees_a_verb_that_takes_too_long(watched: WatchedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LIMIT", 0.001)
    watched.begin("check").wait(20)
    assert "`check` took" in wrong(watched, "I3")


@pytest.mark.parametrize("fault", ["a traceback", "an odd exit code"])
def test_i4_sees_what_no_agent_may_say(watched: WatchedWorld, fault: str) -> None:
    package = watched.folder / "broken" / "watchdog"
    package.mkdir(parents=True)
    text = "raise ValueError" if fault == "a traceback" else "import sys; sys.exit(9)"
    (package / "__main__.py").write_text(text)
    watched.agent = package.parent
    watched.begin("check").communicate()
    wrong(watched, "I4")


def test_i4_sees_an_error_of_the_agents_own(watched: WatchedWorld) -> None:
    shutil.copytree(AGENT / "watchdog", watched.folder / "agent" / "watchdog")
    engine = watched.folder / "agent" / "watchdog" / "engine.py"
    before, found, after = engine.read_text().partition("    def verified(self, how: str) -> None:\n")
    docstring, _, rest = after.partition("\n")
    engine.write_text(f"{before}{found}{docstring}\n        assert False, 'on purpose'\n{rest}")
    watched.agent = engine.parents[1]
    watched.begin("guard", "--foreground")
    watched.until_event("error")
    assert "on purpose" in wrong(watched, "I4")


def event(kind: str, message: str) -> dict[str, str]:
    return {"kind": kind, "message": message}


def test_i5_sees_what_is_untold_told_twice_or_too_early() -> None:
    back = "bot is running again: PID 7, down for 0 s"
    events = [event("died", "bot (PID 6) ended"), event("restarted", back), event("unknown", "PID 8 is odd")]
    good = [alerts.Alert("1", back, 100.5, 101.0), alerts.Alert("2", "PID 8 is odd", 102.0, None)]
    births = [{"pid": 7, "started": 100.0}]

    def judged(found: list[alerts.Alert]) -> tuple[int, int, int]:
        return (
            len(alerts.untold(events, found)), len(alerts.excess(events, found)), len(alerts.premature(found, births))
        )  # fmt: skip

    assert judged(good) == (0, 0, 0)
    assert judged(good[:1]) == (1, 0, 0)
    assert judged([*good, good[0]._replace(number="3")]) == (0, 1, 0)
    assert judged([*good, alerts.Alert("3", "bot did not start: it failed", 99.0, None)]) == (0, 0, 0)
    assert judged([*good, *[alerts.Alert(number, "bot did not start: it failed", 99.0, None) for number in "34"]]) == (
        0, 1, 0,
    )  # fmt: skip
    assert judged([*good, good[1]]) == (0, 2, 0)
    assert judged([good[0]._replace(queued=99.5), good[1]]) == (0, 0, 1)
    assert judged([good[0]._replace(arrived=99.5), good[1]]) == (0, 0, 1)


def test_i5_reads_the_alerts_that_wait(watched: WatchedWorld) -> None:
    watched.env.update(SMTP_SERVER="127.0.0.1", SMTP_PORT="1", ALERT_EMAIL_FROM="a@b.example", ALERT_EMAIL_TO="a@b.c")
    watched.ok("check")
    (path,) = watched.outbox()
    entry = json.loads(path.read_text())
    path.with_name("x.json").write_text(json.dumps({**entry, "id": "another"}))
    assert "2 alerts for 1 events: bot was not running" in wrong(watched, "I5")


@pytest.mark.parametrize("deed", ["removed", "made to name PID"])
def test_i6_sees_a_live_bots_pid_file_go(watched: WatchedWorld, deed: str) -> None:
    watched.ok("check")
    seen = watched._pid_file_watch.changes
    if deed == "removed":
        watched.pid_file.unlink()
    else:
        other = watched.pid_file.with_name("other")
        other.write_text(f"{watched.spawn(['sleep', '3600']).pid}\n")
        other.rename(watched.pid_file)
    oracle.until(lambda: watched._pid_file_watch.changes > seen, "the watch has seen it")
    oracle.until(lambda: watched._pid_file_watch.broken, "the watch has judged it")
    assert deed in wrong(watched, "I6")
