"""Mail: settings checked before anything is sent, messages nobody can tamper with, deliveries that are encrypted."""

from __future__ import annotations

import email
import email.policy
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.watchdog.alerts import SECRET, SMTP, entry
from tests.unit.watchdog.parts import PROPERTY, attempt, one_line
from watchdog import mail
from watchdog.errors import ConfigError
from watchdog.journal import clean

# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "port", "security"),
    [
        ({}, 587, "starttls"),
        ({"SMTP_PORT": "25"}, 25, "starttls"),
        ({"SMTP_PORT": "465"}, 465, "tls"),
        ({"SMTP_PORT": "2465", "SMTP_SECURITY": "TLS"}, 2465, "tls"),
        ({"SMTP_PORT": "465", "SMTP_SECURITY": "starttls"}, 465, "starttls"),
        ({"SMTP_SERVER": "127.0.0.1"}, 587, "local"),
        ({"SMTP_SERVER": "::1"}, 587, "local"),
        ({"SMTP_SERVER": "localhost", "SMTP_PORT": "25"}, 25, "local"),
        ({"SMTP_SERVER": "127.0.0.1", "SMTP_SECURITY": "starttls"}, 587, "starttls"),
        ({"SMTP_SERVER": "localhost.evil.example"}, 587, "starttls"),
        ({"SMTP_SERVER": "128.0.0.1"}, 587, "starttls"),
        ({"SMTP_SECURITY": "plain"}, 587, "plain"),
        ({"SMTP_SECURITY": "auto"}, 587, "starttls"),
    ],
)
def test_clear_text_is_chosen_by_itself_only_for_loopback(more: dict[str, str], port: int, security: str) -> None:
    found = mail.settings({**SMTP, **more})
    assert (found.port, found.security) == (port, security)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"SMTP_SERVER": ""}, "SMTP_SERVER"),
        ({"ALERT_EMAIL_TO": ""}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_FROM": "", "ALERT_EMAIL_TO": ""}, "ALERT_EMAIL_FROM, ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": " , ,"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "nobody"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "a@x.example, b"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "a@x.example\nBcc: evil@x.example"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_FROM": "a b@x.example"}, "ALERT_EMAIL_FROM"),
        ({"ALERT_EMAIL_FROM": "a@x.example\r\nX: y"}, "ALERT_EMAIL_FROM"),
        ({"SMTP_PORT": "0"}, "SMTP_PORT"),
        ({"SMTP_PORT": "65536"}, "SMTP_PORT"),
        ({"SMTP_PORT": "smtp"}, "SMTP_PORT"),
        ({"SMTP_PORT": "-25"}, "SMTP_PORT"),
        ({"SMTP_PORT": "²"}, "SMTP_PORT"),
        ({"SMTP_SECURITY": "ssl"}, "SMTP_SECURITY"),
        ({"SMTP_CA_FILE": "/no/such.pem"}, "SMTP_CA_FILE"),
        ({"SMTP_USERNAME": "bot"}, "SMTP_PASSWORD"),
        ({"SMTP_PASSWORD": SECRET}, "SMTP_USERNAME"),
    ],
)
def test_wrong_settings_are_named(more: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        mail.settings({**SMTP, **more})
    said = one_line(caught.value)
    assert named in said and SECRET not in said


def test_several_recipients_and_display_names() -> None:
    found = mail.settings({**SMTP, "ALERT_EMAIL_TO": "Ops <ops@x.example>, a+b@x.example ,"})
    assert found.recipients == ("ops@x.example", "a+b@x.example")


@PROPERTY
@given(st.dictionaries(st.sampled_from([*SMTP, "SMTP_PORT", "SMTP_SECURITY"]), st.text(max_size=15)))
def test_any_settings_are_taken_or_refused_in_one_line(more: dict[str, str]) -> None:
    found, refused = attempt(lambda: mail.settings({**SMTP, **more}), ConfigError)
    assert refused or all("\n" not in address and "@" in address for address in (found.sender, *found.recipients))


# One message ----------------------------------------------------------------------------------------------------------


def composed(**fields: Any) -> email.message.EmailMessage:
    """The message for an entry, as a receiver parses it."""
    raw = mail.compose(mail.settings(SMTP), entry(**fields)).as_bytes()
    found = email.message_from_bytes(raw, _class=email.message.EmailMessage, policy=email.policy.default)
    assert not found.defects
    return found


def test_a_mail_has_the_headers_that_mail_needs() -> None:
    found = composed(subject="✅ dcaTrader on bot1: restarted")
    assert found["Subject"] == "✅ dcaTrader on bot1: restarted"
    assert (found["From"], found["To"]) == ("bot@x.example", "ops@x.example")
    assert composed(utc=1_795_500_000.0)["Date"] == "Tue, 24 Nov 2026 06:00:00 -0000"
    assert found["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"\s?<[^<>@\s]+@[a-z.-]+>", found["Message-ID"])


def test_two_alerts_have_two_message_ids() -> None:
    assert composed()["Message-ID"] != composed()["Message-ID"]


@pytest.mark.fault("F65")
@settings(PROPERTY, max_examples=25)
@given(subject=st.text(max_size=80), ident=st.text(max_size=40))
def test_no_text_can_add_a_header(subject: str, ident: str) -> None:
    evil = f"{subject}\r\nBcc: evil@x.example\r\n\r\nbody{subject}"
    found = composed(subject=evil, id=f"{ident}\r\nX-Evil: 1\n")
    assert sorted(found.keys()) == sorted(
        ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
         "Content-Transfer-Encoding"]
    )  # fmt: skip
    assert found["To"] == "ops@x.example" and "\n" not in found["Subject"]


@pytest.mark.fault("F65")
@settings(PROPERTY, max_examples=25)
@given(st.text(max_size=300))
def test_the_body_arrives_as_it_was_written_without_control_characters(text: str) -> None:
    body = composed(body=text).get_content()
    assert body.splitlines() == ([clean(line) for line in text.splitlines()] or [""])


def test_a_long_subject_is_cut() -> None:
    assert len(composed(subject="x" * 5000)["Subject"]) <= 200
