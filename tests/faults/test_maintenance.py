"""Maintenance: hands off for a while, with an owner, a reason and an end; the bot's process is left as it is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import AGENT, World


@pytest.mark.fault("F75")
@pytest.mark.promise(5)
def test_a_bot_that_dies_during_maintenance_is_started_when_it_ends(world: World, sink: MailSink) -> None:
    world.guard()
    pid = world.until_running()
    sink.wait_for()
    world.ok("maintenance", "on", "--for", "1h", "--reason", "new exchange API", "--by", "alice")
    world.kill(pid)
    world.until_event("not-started")
    assert world.ok("check", "--json").json["action"] == "none"
    assert world.ok("guard").code == 0
    assert world.bots() == [] and len(world.births()) == 1
    status = world.status()
    assert status["state"] == "down" and status["maintenance"]["owner"] == "alice"
    assert len(sink.mails) == 1, "no storm of alerts"
    world.ok("maintenance", "off")
    assert world.until_running(other_than=pid)
    assert world.status()["maintenance"] is None


@pytest.mark.promise(5)
@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without a guard"])
def test_maintenance_never_touches_a_live_bot(world: World, guarded: bool) -> None:
    if guarded:
        world.guard()
    pid = world.ok("start", "--json").json["pid"]
    for words in (("on",), ("on", "--for", "30m"), (), ("off",), ("on", "--for", "1s")):
        world.ok("maintenance", *words)
        assert world.bots() == [pid]
    oracle.until(lambda: "no maintenance" in world.ok("maintenance").out, "it ends by itself", every=0.1)
    assert world.bots() == [pid] and len(world.births()) == 1
    assert world.status()["state"] == "running"


def test_maintenance_tells_owner_reason_and_end(world: World) -> None:
    done = world.ok("maintenance", "on", "--for", "90m", "--reason", "audit", "--by", "bob@desk", "--json")
    assert done.json["verb"] == "maintenance" and done.json["ok"] is True and done.json["exit_code"] == 0
    found = done.json["maintenance"]
    assert (found["owner"], found["reason"]) == ("bob@desk", "audit")
    assert 5390 < found["remaining_s"] <= 5400
    assert re.fullmatch(r"[\d-]+T[\d:.]+Z", found["until"]) and re.fullmatch(r"[\d-]+T[\d:.]+Z", found["since"])
    shown = world.ok("maintenance", "--json").json["maintenance"]
    assert {**shown, "remaining_s": 0, "until": 0} == {**found, "remaining_s": 0, "until": 0}
    assert "bob@desk" in world.ok("maintenance").out and "audit" in world.verb("status").out
    off = world.ok("maintenance", "off", "--json").json
    assert off["maintenance"] is None


def test_maintenance_lasts_two_hours_unless_told_otherwise(world: World) -> None:
    assert 7190 < world.ok("maintenance", "on", "--json").json["maintenance"]["remaining_s"] <= 7200


@pytest.mark.parametrize("span", ["0", "-1h", "31d", "1w", "1e9", "", "soon"])
def test_a_span_that_makes_no_sense_is_refused(world: World, span: str) -> None:
    assert world.verb("maintenance", "on", f"--for={span}").code == 2
    assert world.status()["maintenance"] is None


@pytest.mark.fault("F75")
def test_maintenance_outlives_the_guard_and_ends_on_time(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    world.ok("maintenance", "on", "--for", "4s")
    world.kill(pid)
    world.kill(guard)
    world.until_guarded(other_than=guard)
    assert world.status()["maintenance"] and world.bots() == []
    assert world.until_running(other_than=pid, within=25)


def test_the_operator_may_start_and_stop_during_maintenance(world: World) -> None:
    world.guard()
    world.until_running()
    world.ok("maintenance", "on")
    old = world.ok("stop", "--json").json["old_pid"]
    new = world.ok("start", "--json").json["pid"]
    assert new == world.bot != old
    third = world.ok("restart", "--json").json["pid"]
    assert third == world.bot != new
    assert world.status()["maintenance"] is not None


def test_maintenance_does_not_lift_a_stop(world: World) -> None:
    world.guard()
    world.until_running()
    world.ok("stop")
    world.ok("maintenance", "on", "--for", "1s")
    oracle.until(lambda: "no maintenance" in world.ok("maintenance").out, "it ends by itself", every=0.1)
    assert world.ok("check", "--json").json["action"] == "none"
    assert world.bots() == [] and world.status()["state"] == "stopped"


@pytest.mark.fault("F75")
@pytest.mark.promise(5)
def test_the_children_of_a_bot_that_died_in_maintenance_are_left_alone(world: World) -> None:
    world.behave({"child": "fork"}, {})
    world.guard()
    pid = world.until_running()
    (child,) = (int(line) for line in world.lines("children"))
    world.ok("maintenance", "on", "--reason", "by hand")
    world.kill(pid)
    world.until_event("not-started")
    assert oracle.alive(child) and not world.events("leftovers") and len(world.births()) == 1
    world.ok("maintenance", "off")
    new = world.until_running(other_than=pid)
    assert world.bots() == [new] and not oracle.alive(child)


@pytest.mark.fault("F75")
@pytest.mark.promise(1)
@pytest.mark.promise(5)
def test_maintenance_outlives_another_release_and_a_reboot_and_duplicates_are_still_told(
    world: World, sink: MailSink
) -> None:
    """The reboot is a stand-in: what was recorded names another boot."""
    world.behave({"may_overlap": True})
    world.guard()
    first = world.until_running()
    sink.wait_for()
    world.ok("maintenance", "on", "--for", "1h", "--reason", "new keys", "--by", "alice")
    world.agent = world.folder / "next"
    shutil.copytree(AGENT / "watchdog", world.agent / "watchdog", ignore=shutil.ignore_patterns("__pycache__"))
    world.ok("retire")
    world.guard()
    assert world.status()["maintenance"]["owner"] == "alice" and world.bots() == [first]
    world.bots_allowed = 2
    second = world.by_hand()
    assert world.ok("check", "--json").json["pid"] == first
    world.ok("retire")
    world.guard()  # it looks for others at once, the old one would within 30 s
    mail = sink.wait_for(lambda mail: "more than one bot" in mail.text)
    assert {first, second} == set(world.bots()) and str(second) in mail.text
    world.ok("retire")
    for pid in (first, second):
        world.kill(pid)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for name in ("state.json", "maintenance"):
        path = world.instance / name
        path.write_text(path.read_text().replace(boot, "0" * 36))
    world.guard()
    assert world.ok("check", "--json").json["action"] == "none"
    assert world.status()["maintenance"]["reason"] == "new keys" and world.bots() == []
    assert len(sink.mails) == 2
    world.ok("maintenance", "off")
    assert world.until_running() not in (first, second)
