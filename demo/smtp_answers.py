"""What the mail sink says to a client, polite or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

from aiosmtpd.smtp import SMTP, Envelope, Session


class Behaviour(str, Enum):
    """What the server does with a client."""

    OK = "ok"
    REFUSE = "refuse"
    """Nobody listens on the port: connection refused."""
    BLACKHOLE = "blackhole"
    """The connection is accepted and nothing is ever said."""
    TARPIT = "tarpit"
    """A greeting that never ends, one byte every `drip_seconds`."""
    TEMPORARY = "4xx"
    """Every recipient is refused for now (451)."""
    PERMANENT = "5xx"
    """Every recipient is refused for good (550)."""
    AUTHFAIL = "authfail"
    """Every log-in is refused (535)."""


class Answers:
    """The answers to MAIL, RCPT and DATA, by the names that aiosmtpd looks for."""

    def __init__(
        self,
        auth: tuple[str, str] | None,
        behaviour: Behaviour,
        receive: Callable[[Session, Envelope], None],
    ) -> None:
        self._auth, self._behaviour, self._receive = auth, behaviour, receive

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._auth and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._behaviour is Behaviour.TEMPORARY:
            return "451 4.7.1 Greylisted, try again later"
        if self._behaviour is Behaviour.PERMANENT:
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._receive(session, envelope)
        return "250 OK"


class Server(SMTP):  # type: ignore[misc]
    """A mail server that reports each client once."""

    def __init__(self, connected: Callable[[asyncio.BaseTransport], None], *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._connected = connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is None:  # called a second time after STARTTLS
            self._connected(transport)
        super().connection_made(transport)


class Blackhole(asyncio.Protocol):
    """Accepts and says nothing."""

    def __init__(self, connected: Callable[[asyncio.BaseTransport], None]) -> None:
        self._connected = connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connected(transport)


class Tarpit(Blackhole):
    """Greets without end, one byte every `seconds`."""

    def __init__(self, connected: Callable[[asyncio.BaseTransport], None], seconds: float) -> None:
        super().__init__(connected)
        self._seconds = seconds
        self._greeting = b"220-welcome\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.WriteTransport)
        self._drip(transport, 0)

    def _drip(self, transport: asyncio.WriteTransport, index: int) -> None:
        if transport.is_closing():
            return
        transport.write(self._greeting[index : index + 1])
        asyncio.get_running_loop().call_later(self._seconds, self._drip, transport, (index + 1) % len(self._greeting))
