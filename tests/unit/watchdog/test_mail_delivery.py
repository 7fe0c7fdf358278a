"""Mail deliveries: encrypted, in order, and every failure is one line without a secret."""

from __future__ import annotations

import smtplib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from demo.mail_sink import MailSink
from tests.unit.watchdog.alerts import SECRET, SMTP, entry
from tests.unit.watchdog.parts import attempt, one_line
from watchdog import mail
from watchdog.journal import clean
from watchdog.mail import DeliveryError, MailSettings


def settings_for(sink: MailSink, **more: str) -> MailSettings:
    """The settings that send to a sink, trusting its certificate where it has one."""
    ca = {"SMTP_CA_FILE": str(sink.ca_file)} if sink.ca_file else {}
    return mail.settings({**SMTP, "SMTP_SERVER": sink.host, "SMTP_PORT": str(sink.port), **ca, **more})


def send(to: MailSettings, *entries: dict[str, Any]) -> list[tuple[int, DeliveryError | None]]:
    """Deliver; what was said of each entry."""
    said: list[tuple[int, DeliveryError | None]] = []
    mail.deliver(to, list(entries), lambda index, error: said.append((index, error)))
    return said


def failure(to: MailSettings, *entries: dict[str, Any]) -> str:
    """The one line by which the whole delivery fails."""
    with pytest.raises(DeliveryError) as caught:
        send(to, *(entries or (entry(),)))
    assert SECRET not in str(caught.value)
    return one_line(caught.value)


def test_mails_arrive_in_order_and_each_is_reported(sink: MailSink) -> None:
    assert send(settings_for(sink), *(entry(n) for n in range(5))) == [(n, None) for n in range(5)]
    assert [found.subject for found in sink.mails] == [f"alert {n}" for n in range(5)]
    assert sink.connections == 1


@pytest.mark.fault("F65")
@pytest.mark.parametrize(
    "body",
    ["ünï ✅ 日本語", ".", "..\n.\nafter a dot\n", "x" * 5000, "ü" * 3000, "a" * 900 + " " + "b" * 900,
     "tab\tand\x1b[31mescape", "QUIT\nDATA\n.\nRSET"],
    ids=lambda body: body[:12],
)  # fmt: skip
def test_any_body_arrives_whole(sink: MailSink, body: str) -> None:
    assert send(settings_for(sink), entry(body=body), entry(2)) == [(0, None), (1, None)]
    expected = "\n".join(clean(line) for line in body.splitlines())
    assert sink.mails[0].text.rstrip("\n") == expected.rstrip("\n")
    assert sink.mails[1].text == "body 2\n"


def test_every_recipient_gets_it(sink: MailSink) -> None:
    send(settings_for(sink, ALERT_EMAIL_TO="a@x.example, b@x.example"), entry())
    assert sink.mails[0].recipients == ("a@x.example", "b@x.example")


@pytest.mark.promise(7)
@pytest.mark.parametrize(("tls", "security"), [("starttls", "starttls"), ("tls", "tls"), ("starttls", "auto")])
def test_mail_and_log_in_are_encrypted(tls: str, security: str) -> None:
    with MailSink(tls=tls, auth=("bot", SECRET)) as sink:
        to = settings_for(sink, SMTP_SECURITY=security, SMTP_USERNAME="bot", SMTP_PASSWORD=SECRET)
        assert send(to, entry()) == [(0, None)]
        (found,) = sink.mails
        assert found.encrypted and found.user == "bot"


@pytest.mark.promise(7)
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_that_is_not_trusted_gets_neither_mail_nor_password(tls: str) -> None:
    with MailSink(tls=tls, auth=("bot", SECRET)) as sink:
        to = settings_for(sink, SMTP_SECURITY=tls, SMTP_USERNAME="bot", SMTP_PASSWORD=SECRET)._replace(ca_file=None)
        assert "TLS failed" in failure(to)
        assert sink.mails == []


def test_a_certificate_of_another_name_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    with MailSink(tls="tls") as sink:
        to = settings_for(sink, SMTP_SECURITY="tls")._replace(server="mail.x.example")
        real = smtplib.SMTP._get_socket  # type: ignore[attr-defined]
        monkeypatch.setattr(
            smtplib.SMTP, "_get_socket", lambda self, host, port, timeout: real(self, sink.host, port, timeout)
        )
        assert "TLS failed" in failure(to)
        assert sink.mails == []


@pytest.mark.promise(7)
def test_a_server_without_starttls_gets_nothing_where_it_is_asked_for(sink: MailSink) -> None:
    to = settings_for(sink, SMTP_SECURITY="starttls", SMTP_USERNAME="bot", SMTP_PASSWORD=SECRET)
    assert "STARTTLS" in failure(to)
    assert sink.mails == []


def test_clear_text_is_used_where_the_operator_said_so(sink: MailSink) -> None:
    assert send(settings_for(sink, SMTP_SECURITY="plain"), entry()) == [(0, None)]
    assert not sink.mails[0].encrypted


def test_on_loopback_a_certificate_nobody_trusts_is_no_obstacle() -> None:
    with MailSink(tls="starttls") as sink:
        to = settings_for(sink)._replace(ca_file=None)
        assert to.security == "local"
        found, refused = attempt(lambda: send(to, entry()), DeliveryError)
        if refused is None:  # this sink insists on STARTTLS; a real one on loopback takes clear text
            assert found[0][1] is not None and "530" in str(found[0][1])


@pytest.mark.fault("F60")
def test_a_refused_log_in_names_the_settings_and_not_the_password() -> None:
    with MailSink(tls="starttls", auth=("bot", "another")) as sink:
        said = failure(settings_for(sink, SMTP_USERNAME="bot", SMTP_PASSWORD=SECRET))
    assert "535" in said and "SMTP_PASSWORD" in said


@pytest.mark.fault("F60")
@pytest.mark.parametrize(("behaviour", "code", "permanent"), [("4xx", "451", False), ("5xx", "550", True)])
def test_a_refused_mail_is_reported_as_for_now_or_for_good(behaviour: str, code: str, permanent: bool) -> None:
    with MailSink(behaviour=behaviour) as sink:
        said = send(settings_for(sink), entry(1), entry(2))
    assert [index for index, _ in said] == [0, 1], "one refused mail does not hold up the next"
    for _, error in said:
        assert error is not None and error.permanent is permanent and code in str(error)


@pytest.mark.fault("F60")
@pytest.mark.parametrize("behaviour", ["refuse", "blackhole"])
def test_no_server_is_an_error_in_time(behaviour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "STEP_TIMEOUT", 0.3)
    with MailSink(behaviour=behaviour) as sink:
        said = failure(settings_for(sink))
    assert f":{sink.port}" in said


@pytest.mark.fault("F60")
def test_a_name_that_does_not_resolve_is_an_error() -> None:
    assert "mail.invalid" in failure(mail.settings({**SMTP, "SMTP_SERVER": "mail.invalid"}))


@pytest.mark.fault("F60")
def test_a_server_that_hangs_up_in_the_middle_leaves_the_rest_unsent(
    sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = smtplib.SMTP.send_message
    sent: list[int] = []

    def send_once(self: smtplib.SMTP, *args: Any, **kwargs: Any) -> Any:
        sent.append(1)
        if len(sent) == 2:
            assert self.sock is not None
            self.sock.shutdown(socket.SHUT_RDWR)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(smtplib.SMTP, "send_message", send_once)
    said: list[tuple[int, DeliveryError | None]] = []
    with pytest.raises(DeliveryError):
        mail.deliver(settings_for(sink), [entry(n) for n in range(3)], lambda *result: said.append(result))
    assert said == [(0, None)] and len(sink.mails) == 1


@pytest.mark.fault("F74")
@pytest.mark.parametrize(
    "damage",
    [
        {"utc": None},
        {"utc": "x"},
        {"utc": 1e300},
        {"utc": float("nan")},
        {"subject": None},
        {"body": 5},
        {"id": []},
        {"id": "ü"},
    ],
)
def test_a_damaged_alert_does_not_hold_up_the_others(sink: MailSink, damage: dict[str, Any]) -> None:
    said = send(settings_for(sink), {**entry(1), **damage}, entry(2))
    assert [index for index, _ in said] == [0, 1]
    assert said[1][1] is None
    assert said[0][1] is None or said[0][1].permanent, "what cannot be sent now never can"
    assert sink.mails[-1].subject == "alert 2"


def test_nothing_of_ours_weakens_the_checks_of_tls() -> None:
    context = ssl.create_default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    source = Path(mail.__file__).read_text()
    assert "CERT_NONE" not in source and "_create_unverified" not in source and "check_hostname" not in source
