"""The mail sink that the demonstration and the sender's tests rely on."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from demo.mail import render
from demo.mail_sink import MailSink


def message(subject: str = "bot restarted", text: str = "It is back.") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "watchdog@example.org", "ops@example.org", subject
    mail.set_content(text)
    return mail


def trusting(sink: MailSink) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(sink.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def test_a_mail_is_kept_as_a_file_and_found_by_its_content(tmp_path: Path) -> None:
    with MailSink(tmp_path / "mails") as sink:
        with smtplib.SMTP(sink.host, sink.port, timeout=5) as client:
            client.send_message(message("first"))
            client.send_message(message("Größe ist € 5", "Zeile\n.punkt\n"))
        mail = sink.wait_for(lambda m: "€" in m.subject, timeout=5)
    assert mail.sender == "watchdog@example.org"
    assert mail.recipients == ("ops@example.org",)
    assert mail.text == "Zeile\n.punkt\n"
    assert not mail.encrypted
    assert mail.path is not None and mail.path.read_bytes() == mail.raw
    assert [m.subject for m in sink.mails] == ["first", "Größe ist € 5"]


def test_waiting_for_a_mail_that_never_comes_says_what_did_arrive() -> None:
    with MailSink() as sink:
        with smtplib.SMTP(sink.host, sink.port, timeout=5) as client:
            client.send_message(message("something else"))
        with pytest.raises(TimeoutError, match="something else"):
            sink.wait_for(lambda m: "restarted" in m.subject, timeout=0.05)


def test_starttls_with_a_log_in_delivers_and_is_recorded() -> None:
    with MailSink(tls="starttls", auth=("bot", "p%ss w:rd")) as sink:
        with smtplib.SMTP(sink.host, sink.port, timeout=5) as client:
            client.starttls(context=trusting(sink))
            client.login("bot", "p%ss w:rd")
            client.send_message(message())
        mail = sink.wait_for(timeout=5)
    assert mail.encrypted and mail.user == "bot"


def test_implicit_tls_delivers_under_strict_verification() -> None:
    with MailSink(tls="tls", auth=("bot", "pw")) as sink:
        with smtplib.SMTP_SSL(sink.host, sink.port, timeout=5, context=trusting(sink)) as client:
            client.login("bot", "pw")
            client.send_message(message())
        assert sink.wait_for(timeout=5).encrypted


def test_a_client_that_does_not_know_the_certificate_refuses_it() -> None:
    with (
        MailSink(tls="starttls") as sink,
        smtplib.SMTP(sink.host, sink.port, timeout=5) as client,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        client.starttls(context=ssl.create_default_context())


def test_neither_mail_nor_log_in_is_taken_in_clear_where_starttls_is_required() -> None:
    with MailSink(tls="starttls", auth=("bot", "pw")) as sink:
        with smtplib.SMTP(sink.host, sink.port, timeout=5) as client:
            client.ehlo()
            assert not client.has_extn("auth")
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.sendmail("a@example.org", "b@example.org", "x")
        assert sink.mails == []


def test_mail_without_the_log_in_is_refused() -> None:
    with (
        MailSink(auth=("bot", "pw")) as sink,
        smtplib.SMTP(sink.host, sink.port, timeout=5) as client,
        pytest.raises(smtplib.SMTPSenderRefused),
    ):
        client.send_message(message())


@pytest.mark.parametrize(("behaviour", "password"), [("authfail", "pw"), ("ok", "wrong")])
def test_a_refused_log_in_is_535(behaviour: str, password: str) -> None:
    with (
        MailSink(tls="tls", auth=("bot", "pw"), behaviour=behaviour) as sink,
        smtplib.SMTP_SSL(sink.host, sink.port, timeout=5, context=trusting(sink)) as client,
        pytest.raises(smtplib.SMTPAuthenticationError) as caught,
    ):
        client.login("bot", password)
    assert caught.value.smtp_code == 535


@pytest.mark.parametrize(("behaviour", "code"), [("4xx", 451), ("5xx", 550)])
def test_a_refused_recipient_has_the_code_that_was_asked_for(behaviour: str, code: int) -> None:
    with (
        MailSink(behaviour=behaviour) as sink,
        smtplib.SMTP(sink.host, sink.port, timeout=5) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused) as caught,
    ):
        client.send_message(message())
    assert [answer[0] for answer in caught.value.recipients.values()] == [code]


def test_refuse_means_connection_refused_on_a_port_nobody_else_gets() -> None:
    with MailSink(behaviour="refuse") as sink, pytest.raises(ConnectionRefusedError):
        socket.create_connection((sink.host, sink.port), timeout=5)


def test_a_blackhole_accepts_and_says_nothing() -> None:
    with MailSink(behaviour="blackhole") as sink, socket.create_connection((sink.host, sink.port)) as client:
        sink.wait_for_connections(1, timeout=5)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_tarpit_never_finishes_its_greeting_though_bytes_keep_coming() -> None:
    with MailSink(behaviour="tarpit", drip_seconds=0.01) as sink:
        with socket.create_connection((sink.host, sink.port), timeout=5) as client:
            got = b""
            while len(got) < 30:
                got += client.recv(100)
        assert got.startswith(b"220-welcome\r\n220-")


def test_stopping_drops_open_connections_and_frees_the_port_at_once() -> None:
    sink = MailSink(behaviour="blackhole").start()
    with socket.create_connection((sink.host, sink.port), timeout=5) as client:
        sink.wait_for_connections(1, timeout=5)
        began = time.monotonic()
        sink.stop()
        assert time.monotonic() - began < 2
        assert client.recv(1) == b""
    with MailSink(port=sink.port) as again:
        assert again.port == sink.port


def test_a_rendered_mail_fits_the_width_it_is_given() -> None:
    with MailSink() as sink:
        with smtplib.SMTP(sink.host, sink.port, timeout=5) as client:
            client.send_message(message("s" * 200, "word " * 60))
        shown = render(sink.wait_for(timeout=5), width=60)
    assert max(map(len, shown.splitlines())) <= 60
    assert "From: watchdog@example.org" in shown and "word word" in shown
