"""The two scenarios of the user's document, and what one pass does besides."""

from __future__ import annotations

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import World


@pytest.mark.fault("F01")
@pytest.mark.promise(2)
def test_app_not_running_is_started(world: World, sink: MailSink) -> None:
    assert world.bots() == []
    done = world.ok("check", "--json")
    pid = world.bot
    assert done.json["action"] == "started" and done.json["pid"] == pid
    assert world.pid_file.read_text().strip() == str(pid)
    assert oracle.lock_holders(world.instance / "bot.lock") == [pid]
    assert (world.instance / "state.json").is_file()
    mail = sink.wait_for(lambda mail: "restarted" in mail.subject)
    assert str(pid) in mail.text
    assert "bot was not running and has been started" in world.log


@pytest.mark.promise(6)
def test_app_running_is_left_alone(world: World, sink: MailSink) -> None:
    pid = world.ok("check", "--json").json["pid"]
    sink.wait_for()
    before = oracle.stat(pid)
    for _ in range(3):
        done = world.ok("check", "--json")
        assert done.json["action"] == "none"
        assert done.json["pid"] == pid
    assert world.bots() == [pid]
    assert oracle.stat(pid)._replace(state="") == before._replace(state="")  # type: ignore[union-attr]
    assert len(world.births()) == 1
    assert [mail.subject for mail in sink.mails] == [sink.mails[0].subject]


@pytest.mark.fault("F66")
def test_without_a_word_the_verb_is_check_and_success_is_silent(world: World) -> None:
    done = world.ok()
    assert (done.out, done.err) == ("", ""), "cron mails whatever a job prints"
    assert world.bot
    assert world.ok().out == ""


def test_a_pass_leaves_no_process_behind_but_the_bot(world: World) -> None:
    world.ok("check")
    ours = [pid for pid in oracle.related(f"{world.folder}/", world.instance.name) if oracle.alive(pid)]
    assert ours == [world.bot]
    assert world.guards == [] and world.heirs == []


@pytest.mark.fault("F40")
def test_a_pass_that_cannot_bring_the_bot_up_exits_1_and_says_why(world: World, sink: MailSink) -> None:
    world.behave({"say": ["cannot log in to the exchange"], "exit_after": 0, "exit_code": 7})
    done = world.verb("check", "--json")
    assert done.code == 1
    assert done.json["ok"] is False and done.json["exit_code"] == 1
    assert "exit code 7" in done.json["message"]
    mail = sink.wait_for(lambda mail: "failed to restart" in mail.subject)
    assert "exit code 7" in mail.text and "cannot log in to the exchange" in mail.text
    assert world.bots() == []


@pytest.mark.fault("F49")
def test_a_killed_bot_is_started_again_by_the_next_pass(world: World) -> None:
    old = world.ok("check", "--json").json["pid"]
    world.kill(old)
    assert world.pid_file.read_text().strip() == str(old), "a killed bot leaves its PID file"
    done = world.ok("check", "--json")
    assert done.json["action"] == "started" and done.json["pid"] == world.bot != old
    assert world.pid_file.read_text().strip() == str(world.bot)
