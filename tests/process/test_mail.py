"""Alerts by mail: first the restart, then an outbox, then a sender that may hang without hurting anybody."""

from __future__ import annotations

import json
import time

import pytest

from demo.mail_sink import MailSink
from demo.smtp_answers import Behaviour
from tests.process import oracle
from tests.process.conftest import send_alerts_to
from tests.process.world import World


def waiting(world: World) -> list[str]:
    return [json.loads(path.read_text())["subject"] for path in world.outbox()]


@pytest.mark.fault("F60")
@pytest.mark.promise(4)
@pytest.mark.parametrize(
    "behaviour",
    [Behaviour.REFUSE, Behaviour.TARPIT, Behaviour.BLACKHOLE, Behaviour.TEMPORARY],
    ids=lambda one: one.name.lower(),
)
def test_no_mail_server_delays_a_restart_and_the_alert_arrives_later(world: World, behaviour: Behaviour) -> None:
    with MailSink(behaviour=behaviour) as bad:
        send_alerts_to(world, bad)
        world.guard()
        first = world.until_running()
        if behaviour is not Behaviour.REFUSE:
            bad.wait_for_connections(1)
        killed = time.clock_gettime(time.CLOCK_BOOTTIME)
        world.kill(first)
        second = world.until_running(other_than=first)
        assert world.births()[-1]["at"] - killed < 2
        done = world.ok("check", "--json")
        assert done.json["pid"] == second and done.seconds < 5
        assert len(waiting(world)) == 2, "both alerts wait"
        assert not bad.mails
        port = bad.port
    world.ok("retire")
    for sender in [pid for pid in oracle.related(f"{world.folder}/") if b"\0send\0" in oracle.read(pid, "cmdline")]:
        world.kill(sender)
    with MailSink(port=port) as good:
        world.guard()
        for pid in (first, second):
            good.wait_for(lambda mail, pid=pid: f"PID {pid}" in mail.text)  # type: ignore[misc]
        assert [f"PID {pid}" in mail.text for pid, mail in zip((first, second), good.mails, strict=True)] == [
            True,
            True,
        ]
        oracle.until(lambda: not world.outbox(), "the outbox is empty")
    assert world.bots() == [second]


@pytest.mark.fault("F60")
def test_a_pass_ends_while_its_mail_hangs(world: World) -> None:
    with MailSink(behaviour=Behaviour.TARPIT) as bad:
        send_alerts_to(world, bad)
        done = world.ok("check", "--json", timeout=30)
        assert done.json["action"] == "started" and done.seconds < 10
        bad.wait_for_connections(1)
        assert len(world.outbox()) == 1


@pytest.mark.fault("F60")
def test_a_mail_server_whose_name_cannot_be_looked_up_delays_nothing(world: World) -> None:
    world.env.update(SMTP_SERVER="no-such-host.invalid", ALERT_EMAIL_FROM="a@b.example", ALERT_EMAIL_TO="c@d.example")
    assert world.ok("check", "--json", timeout=30).json["action"] == "started"
    assert len(world.outbox()) == 1
    oracle.until(lambda: "mail not sent, 1 waiting" in world.log, "the failure is in the log", within=40)


def test_a_mail_that_is_refused_for_good_is_set_aside(world: World) -> None:
    with MailSink(behaviour=Behaviour.PERMANENT) as bad:
        send_alerts_to(world, bad)
        world.ok("check")
        oracle.until(lambda: world.outbox("dead"), "the alert is set aside")
        assert world.outbox() == [] and "550" in world.log
        assert world.status()["alerts"] == {"configured": True, "queued": 0, "dead": 1}


@pytest.mark.fault("F64")
def test_without_smtp_settings_it_works_silently_with_one_line_in_the_log(world: World) -> None:
    world.guard()
    pid = world.until_running()
    world.kill(pid)
    world.until_running(other_than=pid)
    assert world.log.count("SMTP") == 1 and "WARN" not in world.log.split("SMTP")[0].splitlines()[-1]
    assert not (world.instance / "outbox").exists()


@pytest.mark.fault("F64")
@pytest.mark.parametrize("missing", ["SMTP_SERVER", "ALERT_EMAIL_FROM", "ALERT_EMAIL_TO"])
def test_half_set_smtp_settings_are_one_warning_and_no_hindrance(world: World, missing: str) -> None:
    settings = {"SMTP_SERVER": "127.0.0.1", "ALERT_EMAIL_FROM": "a@b.example", "ALERT_EMAIL_TO": "c@d.example"}
    world.env.update({key: value for key, value in settings.items() if key != missing})
    world.guard()
    pid = world.until_running()
    world.kill(pid)
    world.until_running(other_than=pid)
    (line,) = [line for line in world.log.splitlines() if "SMTP" in line]
    assert "WARN" in line
    assert world.status()["alerts"]["configured"] is False
    done = world.verb("alert-test")
    assert done.code == 78 and missing in done.err


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_goes_over_verified_tls_with_a_log_in(world: World, tls: str) -> None:
    with MailSink(tls=tls, auth=("bot", "s3cret-word")) as server:
        send_alerts_to(world, server)
        world.env.update(
            SMTP_SECURITY=tls, SMTP_CA_FILE=str(server.ca_file), SMTP_USERNAME="bot", SMTP_PASSWORD="s3cret-word"
        )
        world.guard()
        mail = server.wait_for(lambda mail: "restarted" in mail.subject)
        assert mail.encrypted and mail.user == "bot"
        assert world.ok("alert-test", "--json").json["verb"] == "alert-test"
        server.wait_for(lambda mail: "test" in mail.subject)
        assert "s3cret" not in world.log


@pytest.mark.promise(7)
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_that_cannot_be_verified_gets_neither_password_nor_mail(world: World, tls: str) -> None:
    with MailSink(tls=tls, auth=("bot", "s3cret-word")) as server:
        send_alerts_to(world, server)
        world.env.update(SMTP_SECURITY=tls, SMTP_USERNAME="bot", SMTP_PASSWORD="s3cret-word")
        done = world.verb("alert-test", "--json")
        assert done.code == 1 and "TLS failed" in done.json["error"]
        assert server.mails == []


@pytest.mark.promise(7)
def test_a_server_without_starttls_gets_neither_password_nor_mail(world: World) -> None:
    with MailSink() as server:
        send_alerts_to(world, server)
        world.env.update(SMTP_SECURITY="starttls", SMTP_USERNAME="bot", SMTP_PASSWORD="s3cret-word")
        done = world.verb("alert-test", "--json")
        assert done.code == 1 and "STARTTLS" in done.json["error"]
        assert server.mails == []


@pytest.mark.promise(7)
def test_clear_text_to_another_host_takes_an_explicit_word(world: World) -> None:
    with MailSink() as server:
        send_alerts_to(world, server)
        world.env["SMTP_SERVER"] = "0.0.0.0"  # reaches this host, and yet is no loopback address
        done = world.verb("alert-test", "--json")
        assert done.code == 1 and "STARTTLS" in done.json["error"]
        assert server.connections == 1 and server.mails == []
        world.ok("alert-test", SMTP_SECURITY="plain")
        assert not server.wait_for().encrypted


def test_a_log_in_that_is_refused_names_the_settings_and_not_the_password(world: World) -> None:
    with MailSink(auth=("bot", "right"), behaviour=Behaviour.AUTHFAIL, tls="starttls") as server:
        send_alerts_to(world, server)
        world.env.update(SMTP_CA_FILE=str(server.ca_file), SMTP_USERNAME="bot", SMTP_PASSWORD="wr0ng-word")
        done = world.verb("alert-test", "--json")
        assert done.code == 1 and "SMTP_PASSWORD" in done.json["error"]
        assert "wr0ng" not in done.out + done.err


@pytest.mark.fault("F64")
def test_alert_test_sends_one_mail_and_says_who_took_it(world: World, sink: MailSink) -> None:
    done = world.ok("alert-test")
    assert f"127.0.0.1:{sink.port}" in done.out and "ops@bots.example" in done.out
    mail = sink.wait_for()
    assert mail.recipients == ("ops@bots.example",) and "test" in mail.subject
    assert "dcaTrader" in mail.subject


def test_alert_test_fails_when_nobody_listens(world: World) -> None:
    with MailSink(behaviour=Behaviour.REFUSE) as server:
        send_alerts_to(world, server)
        done = world.verb("alert-test", "--json")
    assert done.code == 1 and done.json["ok"] is False and str(server.port) in done.json["error"]


@pytest.mark.fault("F65")
def test_what_a_bot_prints_cannot_forge_a_header_or_a_terminal_sequence(world: World, sink: MailSink) -> None:
    evil = [
        "\x1b[2J\x1b]0;owned\x07",
        "Bcc: evil@x.example\r\nSubject: forged",
        "api_key=AKIAABCDEFGHIJKLMNOP token: abcdef123456",
    ]
    world.behave({"say": evil, "exit_after": 0, "exit_code": 4}, {})
    world.guard()
    mail = sink.wait_for(lambda mail: "failed" in mail.subject)
    assert mail.message["Bcc"] is None and len(mail.message.get_all("Subject")) == 1
    assert "\x1b" not in mail.text and "\x07" not in mail.text
    assert "AKIAABCDEFGHIJKLMNOP" not in mail.text and "abcdef123456" not in mail.text
    assert max(len(line) for line in mail.raw.splitlines()) <= 998


@pytest.mark.fault("F61")
def test_alerts_that_wait_are_bounded_and_the_first_and_the_newest_stay(world: World) -> None:
    with MailSink(behaviour=Behaviour.REFUSE) as server:
        send_alerts_to(world, server)
        world.ok("check")
        (first,) = world.outbox()
        entry = json.loads(first.read_text())
        for number in range(600):
            (first.parent / f"{int(first.name[:20]) + number + 1:020d}-1-abcdef.json").write_text(json.dumps(entry))
        world.kill(world.bot)
        world.ok("check")
        kept = world.outbox()
        assert len(kept) <= 500
        assert kept[0] == first and str(world.bot) in json.loads(kept[-1].read_text())["body"]
