"""One mail as a sink received it, and how it is shown to a person."""

from __future__ import annotations

import email.policy
import textwrap
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Mail:
    """A delivered mail: the envelope, the raw bytes, and how the client came in."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    encrypted: bool
    user: str | None
    received_at: float
    """``time.monotonic()`` seconds at which the last byte had arrived."""
    path: Path | None = None
    """The ``.eml`` file, where the sink keeps files."""

    @cached_property
    def message(self) -> EmailMessage:
        """The parsed message."""
        return message_from_bytes(self.raw, _class=EmailMessage, policy=email.policy.default)

    @property
    def subject(self) -> str:
        """The decoded subject, empty if there is none."""
        return str(self.message.get("Subject", ""))

    @property
    def text(self) -> str:
        """The decoded plain-text body with bare newlines, empty if there is none."""
        body = self.message.get_body(("plain",))
        return "\n".join(body.get_content().splitlines()) + "\n" if body is not None else ""


def render(mail: Mail, width: int = 76, prefix: str = "  | ") -> str:
    """The mail as text: main headers, a blank line, the body; no line longer than `width` columns."""
    room = max(20, width - len(prefix))
    lines = [f"{name}: {mail.message[name]}" for name in ("From", "To", "Subject") if mail.message[name]]
    lines.append("")
    lines += mail.text.rstrip().splitlines()
    wrapped: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        wrapped += textwrap.wrap(line, room, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return "\n".join((prefix + line).rstrip() for line in wrapped)
