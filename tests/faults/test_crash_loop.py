"""A bot that dies again and again: one critical alert, slow retries, and the operator's `start` begins anew."""

from __future__ import annotations

import json

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import World


def with_four_failures(world: World) -> None:
    """Four deaths of a short while ago, as state.json records them, so that the fifth needs no minutes of waiting."""
    world.ok("check")
    world.kill(world.bot)
    path = world.state_dir / "state.json"
    state = json.loads(path.read_text())
    now = state["saved_boot"]
    state["memory"].update(failures=[now - 40, now - 30, now - 20, now - 10], attempt=0)
    path.write_text(json.dumps(state))


@pytest.mark.fault("F41")
@pytest.mark.promise(2)
def test_five_failures_within_an_hour_are_one_critical_alert_and_retries_go_on(world: World, sink: MailSink) -> None:
    with_four_failures(world)
    sink.wait_for()
    world.behave({}, {"exit_after": 0.1, "exit_code": 3}, {"exit_after": 0.1, "exit_code": 3}, {})
    before = len(sink.mails)
    guard = world.guard()
    mail = sink.wait_for(lambda mail: "failed to restart" in mail.subject)
    assert "5 times within an hour" in mail.text
    oracle.until(lambda: len(world.births()) == 4, "retries go on")
    world.until_running()
    assert len(world.events("breaker")) == 1
    failed = [mail for mail in sink.mails[before:] if "failed" in mail.subject]
    assert len(failed) == 1
    world.kill(guard)
    world.until_guarded(other_than=guard)
    world.kill(world.bot)
    oracle.until(lambda: world.status()["state"] == "failed", "an open breaker outlives the guard", every=0.1)
    assert world.status()["next_start_in_s"] > 0
    assert len([mail for mail in sink.mails[before:] if "failed" in mail.subject]) == 1


@pytest.mark.fault("F42")
def test_start_closes_the_breaker_and_begins_at_the_first_rung(world: World) -> None:
    with_four_failures(world)
    world.behave({}, {"exit_after": 0, "exit_code": 3}, {"exit_after": 0, "exit_code": 3}, {})
    world.guard()
    oracle.until(lambda: world.status()["state"] == "failed", "the breaker opens", every=0.1)
    found = world.ok("start", "--json").json
    assert found["pid"] == world.bot
    status = world.status()
    assert (status["state"], status["restarts"]) == ("running", 0)
    world.kill(found["pid"])
    assert world.until_running(other_than=found["pid"]), "the first rung again: at once"


@pytest.mark.fault("F41")
@pytest.mark.promise(2)
def test_a_deploy_of_the_bot_ends_its_crash_loop_and_the_next_one_is_told_anew(world: World, sink: MailSink) -> None:
    with_four_failures(world)
    world.behave({}, *[{"exit_after": 0, "exit_code": 3}] * 2, {})
    world.guard()
    world.until_event("died", 3)
    assert world.status()["state"] == "failed"
    world.script.write_text(world.script.read_text() + "\n# mended\n")
    assert "forgotten" in world.until_event("redeployed")["message"]
    pid = world.until_running()
    oracle.until(lambda: len(world.births()) == 4 and world.bots() == [pid], "the mended bot")
    assert len(world.events("breaker")) == 1 and len(world.events("redeployed")) == 1
    world.kill(pid)
    assert world.until_running(other_than=pid), "no failed state: its failures are few again"
    assert len(world.events("breaker")) == 1


@pytest.mark.fault("F42")
def test_a_changed_module_beside_the_script_is_a_deploy_and_nobody_waits(world: World, sink: MailSink) -> None:
    with_four_failures(world)
    world.behave({}, {"exit_after": 0.1, "exit_code": 3})
    module = world.script.with_name("strategy.py")
    module.write_text("KEY = 'wrong'\n")
    guard = world.guard()
    world.until_event("breaker")
    oracle.until(lambda: (world.status()["next_start_in_s"] or 0) > 3, "the bot waits for longer", every=0.05)
    births = len(world.births())
    world.behave({})
    module.write_text("KEY = 'right and longer'\n")
    event = world.until_event("redeployed")
    assert "its failures are forgotten" in event["message"]
    pid = world.until_running()
    assert len(world.births()) == births + 1
    memory = json.loads((world.state_dir / "state.json").read_text())["memory"]
    assert (memory["attempt"], memory["failures"], memory["breaker"], memory["next_start"]) == (0, [], False, None)
    sink.wait_for(lambda mail: "restarted" in mail.subject and f"PID {pid}" in mail.text)
    assert world.guards == [guard]
    world.kill(pid)
    assert world.until_running(other_than=pid), "the first rung again: at once"


@pytest.mark.fault("F42")
def test_a_deploy_that_does_not_mend_the_bot_begins_a_new_crash_loop(world: World, sink: MailSink) -> None:
    with_four_failures(world)
    world.behave({}, {"exit_after": 0.1, "exit_code": 3})
    world.guard()
    world.until_event("breaker")
    oracle.until(lambda: (world.status()["next_start_in_s"] or 0) > 3, "the bot waits for longer", every=0.05)
    world.script.with_name("strategy.py").write_text("KEY = 'wrong again'\n")
    world.until_event("redeployed")
    world.until_event("breaker", count=2, within=60)
    oracle.until(lambda: sum("times within an hour" in mail.text for mail in sink.mails) == 2, "it is news again")
    assert len(world.events("redeployed")) == 1


@pytest.mark.fault("F44")
@pytest.mark.parametrize("code", [78, 79])
def test_a_hold_code_means_no_restart_until_somebody_says_so(world: World, sink: MailSink, code: int) -> None:
    world.behave({"exit_after": 0, "exit_code": code}, {"exit_after": 0, "exit_code": code}, {})
    world.env["WATCHDOG_START_GRACE"] = "1"
    world.guard()
    mail = sink.wait_for(lambda mail: "failed" in mail.subject)
    assert f"code {code}" in mail.text
    status = world.status()
    assert status["state"] == "held" and status["next_start_in_s"] is None
    assert world.verb("check", "--json").code == 1
    assert world.ok("guard").code == 0
    assert len(world.births()) == 1
    assert world.verb("start", "--json").code == 1, "it is tried, and held again"
    assert world.status()["state"] == "held" and len(world.births()) == 2
    assert world.ok("start", "--json").json["pid"] == world.bot


@pytest.mark.fault("F44")
def test_a_changed_script_ends_the_hold(world: World) -> None:
    world.behave({"exit_after": 0.1, "exit_code": 78}, {})
    assert world.verb("check", "--json").code == 1
    assert world.verb("check", "--json").json["state"] == "held"
    world.script.write_text(world.script.read_text() + "\n# mended\n")
    assert world.ok("check", "--json").json["pid"] == world.bot


@pytest.mark.fault("F44")
def test_exit_0_is_restarted_like_any_other(world: World) -> None:
    world.behave({"exit_after": 0.5, "exit_code": 0}, {})
    world.guard()
    oracle.until(lambda: len(world.births()) == 2, "the second life")
    assert world.until_running() == world.births()[1]["pid"]


@pytest.mark.fault("F45")
def test_a_syntax_error_is_no_storm_and_its_words_are_in_the_alert(world: World, sink: MailSink) -> None:
    world.script.write_text("def main(:\n")
    world.guard()
    mail = sink.wait_for(lambda mail: "failed to restart" in mail.subject)
    assert "SyntaxError" in mail.text
    oracle.until(lambda: len(world.events("died")) == 3, "it is tried on the ladder's rungs")
    assert len([mail for mail in sink.mails if "failed" in mail.subject]) == 1
    assert not world.pid_file.exists() or world.bots() == []


@pytest.mark.fault("F43")
def test_reboots_do_not_open_the_breaker(world: World) -> None:
    for _ in range(6):
        world.ok("check")
        world.kill(world.bot)
        path = world.state_dir / "state.json"
        boot = json.loads(path.read_text())["boot"]
        path.write_text(path.read_text().replace(boot, "0" * 36))
    assert world.ok("check", "--json").json["action"] == "started"
    assert world.events("died") == [] and len(world.events("rebooted")) == 6
