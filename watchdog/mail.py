"""SMTP: settings, one message, one delivery. Imported by the sender process alone; it is what costs memory and time."""

from __future__ import annotations

import email.policy
import email.utils
import ipaddress
import os
import smtplib
import ssl
from email.message import EmailMessage
from typing import Any, NamedTuple

from .errors import ConfigError, WatchdogError
from .journal import clean
from .states import ExitCode

STEP_TIMEOUT = 15.0
"""Seconds per network operation; only the sender's own alarm bounds the whole."""


LONGEST_LINE = 900
"""Characters of a line that goes out as it is; servers refuse more than 998 (RFC 5322, 2.1.1)."""


class MailSettings(NamedTuple):
    """Checked SMTP settings. ``security``: ``starttls``, ``tls``, ``plain`` or ``local`` (TLS if it can be)."""

    server: str
    port: int
    username: str
    password: str
    sender: str
    recipients: tuple[str, ...]
    security: str
    ca_file: str | None


class DeliveryError(WatchdogError):
    """The server did not take the mail. ``permanent`` when it never will take this one."""

    def __init__(self, text: str, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.exit_code = ExitCode.FAILED


def settings(smtp: dict[str, str]) -> MailSettings:
    """Check the SMTP variables. Raises ConfigError naming the variable, never its value where that may be secret."""
    missing = [name for name in ("SMTP_SERVER", "ALERT_EMAIL_FROM", "ALERT_EMAIL_TO") if not smtp.get(name)]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not set: no mail can be sent")
    if bool(smtp.get("SMTP_USERNAME")) != bool(smtp.get("SMTP_PASSWORD")):
        raise ConfigError("SMTP_USERNAME and SMTP_PASSWORD go together: set both or neither")
    if not (smtp.get("SMTP_USERNAME", "") + smtp.get("SMTP_PASSWORD", "")).isascii():
        raise ConfigError("SMTP_USERNAME and SMTP_PASSWORD: a mail server takes ASCII only")
    text = smtp.get("SMTP_PORT") or "587"
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < port < 65536:
        raise ConfigError(f"SMTP_PORT: {text!r} is not a port number from 1 to 65535")
    security = (smtp.get("SMTP_SECURITY") or "auto").lower()
    if security not in ("auto", "starttls", "tls", "plain"):
        raise ConfigError(f"SMTP_SECURITY: {security!r} is none of auto, starttls, tls, plain")
    if security == "auto":
        security = "tls" if port == 465 else "local" if _loopback(smtp["SMTP_SERVER"]) else "starttls"
    ca_file = smtp.get("SMTP_CA_FILE") or None
    if ca_file and not os.path.isfile(ca_file):
        raise ConfigError(f"SMTP_CA_FILE: no file {ca_file}")
    recipients = tuple(_address(part, "ALERT_EMAIL_TO") for part in smtp["ALERT_EMAIL_TO"].split(",") if part.strip())
    if not recipients:
        raise ConfigError("ALERT_EMAIL_TO names nobody: set it to one address or several with commas between")
    return MailSettings(
        smtp["SMTP_SERVER"], port, smtp.get("SMTP_USERNAME", ""), smtp.get("SMTP_PASSWORD", ""),
        _address(smtp["ALERT_EMAIL_FROM"], "ALERT_EMAIL_FROM"), recipients, security, ca_file,
    )  # fmt: skip


def compose(to: MailSettings, entry: dict[str, Any]) -> EmailMessage:
    """The mail for one outbox entry. Control characters cannot get into a header (CVE-2024-6923)."""
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = clean(str(entry.get("subject", "watchdog alert")))[:200]
    message["From"] = to.sender
    message["To"] = ", ".join(to.recipients)
    message["Date"] = email.utils.formatdate(float(entry.get("utc", 0)) or None, localtime=False)
    message["Message-ID"] = email.utils.make_msgid(
        idstring=_plain(str(entry.get("id", ""))), domain="dca-watchdog.invalid"
    )
    message["Auto-Submitted"] = "auto-generated"
    body = "\n".join(clean(line) for line in str(entry.get("body", "")).splitlines())
    short = body.isascii() and all(len(line) < LONGEST_LINE for line in body.splitlines())
    message.set_content(body + "\n", charset="utf-8", cte="8bit" if short else "quoted-printable")
    return message


def deliver(to: MailSettings, entries: list[dict[str, Any]], done: Any) -> None:
    """Send the entries over one connection; ``done(index, error)`` is told of each. Raises DeliveryError for all."""
    try:
        try:
            connection = _connect(to)
        except ssl.SSLError:
            if to.security != "local":
                raise
            connection = _connect(to._replace(security="plain"))
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError(
            f"{to.server}:{to.port} refused the log-in ({error.smtp_code}): check SMTP_USERNAME and SMTP_PASSWORD"
        ) from None
    except ssl.SSLError as error:
        raise DeliveryError(f"{to.server}:{to.port}: TLS failed: {_words(error)}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"{to.server}:{to.port}: {_words(error)}") from None
    try:
        for index, entry in enumerate(entries):
            done(index, _one(connection, to, entry))
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"{to.server}:{to.port}: {_words(error)}") from None
    finally:
        try:
            connection.quit()
        except (OSError, smtplib.SMTPException):
            connection.close()


def _connect(to: MailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=to.ca_file)
    if to.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(to.server, to.port, timeout=STEP_TIMEOUT, context=context)
    else:
        connection = smtplib.SMTP(to.server, to.port, timeout=STEP_TIMEOUT)
    try:
        connection.ehlo()
        offered = connection.has_extn("starttls")
        if to.security == "starttls" and not offered:
            raise smtplib.SMTPNotSupportedError(
                "the server offers no STARTTLS; SMTP_SECURITY=plain would allow clear text"
            )
        if to.security == "starttls" or (to.security == "local" and offered):
            connection.starttls(context=context)
            connection.ehlo()
        if to.username:
            connection.login(to.username, to.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _one(connection: smtplib.SMTP, to: MailSettings, entry: dict[str, Any]) -> DeliveryError | None:
    try:
        message = compose(to, entry)
    except (ValueError, TypeError, OverflowError) as error:
        return DeliveryError(f"the alert cannot be made into a mail ({type(error).__name__})", permanent=True)
    try:
        refused = connection.send_message(message, to.sender, list(to.recipients))
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        connection.rset()
        return DeliveryError(f"all recipients refused: {codes}", permanent=all(code >= 500 for code in codes))
    except smtplib.SMTPResponseException as error:
        connection.rset()
        return DeliveryError(f"the server said {error.smtp_code}", permanent=error.smtp_code >= 500)
    except smtplib.SMTPNotSupportedError as error:
        return DeliveryError(_words(error), permanent=True)
    if refused:
        return DeliveryError(f"refused for {', '.join(refused)}; the others have it", permanent=True)
    return None


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isascii() and (char.isalnum() or char in ".-"))[:64]


def _address(text: str, name: str) -> str:
    _, address = email.utils.parseaddr(text)
    if "@" not in address or clean(text) != text or " " in address:
        raise ConfigError(f"{name}: {clean(text)!r} is not an e-mail address")
    return address


def _loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.strip("[]")).is_loopback
    except ValueError:
        return server.lower() in ("localhost", "localhost.localdomain", "ip6-localhost")


def _words(error: Exception) -> str:
    return clean(str(getattr(error, "strerror", None) or error) or type(error).__name__)[:200]
