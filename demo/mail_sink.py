"""An SMTP server on loopback that keeps every mail it gets, and can misbehave on purpose.

For people: ``python -m demo.mail_sink`` prints mails until Ctrl-C. For the demonstration and the tests::

    with MailSink(tls="starttls", auth=("bot", "secret")) as sink:
        ...  # send to sink.host:sink.port, trusting sink.ca_file
        mail = sink.wait_for(lambda m: "restarted" in m.subject, timeout=10)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import socket
import ssl
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from demo.certificate import make_certificate
from demo.mail import Mail, render
from demo.smtp_answers import Answers, Behaviour, Blackhole, Server, Tarpit


class MailSink:
    """A mail server in a thread of its own; a context manager, or :meth:`start` and :meth:`stop`.

    `tls` is ``None``, ``"starttls"`` (mail without it is refused) or ``"tls"`` (from the first byte). With
    `auth` a client must log in with that (user, password). `folder` gets each mail as ``NNN.eml``.
    `on_mail` is called from the server's thread for each mail.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int = 0,
        tls: str | None = None,
        auth: tuple[str, str] | None = None,
        behaviour: Behaviour | str = Behaviour.OK,
        drip_seconds: float = 1.0,
        on_mail: Callable[[Mail], None] | None = None,
    ) -> None:
        if tls not in (None, "starttls", "tls"):
            raise ValueError(f"tls is {tls!r}: use None, 'starttls' or 'tls'")
        self.host = "127.0.0.1"
        self.port = port
        self.ca_file: Path | None = None
        self.folder = folder
        self.behaviour = Behaviour(behaviour)
        self.drip_seconds = drip_seconds
        self._tls, self._auth = tls, auth
        self._on_mail = on_mail
        self._mails: list[Mail] = []
        self._connections = 0
        self._changed = threading.Condition()
        self._private: tempfile.TemporaryDirectory[str] | None = None
        self._context: ssl.SSLContext | None = None
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> MailSink:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def mails(self) -> list[Mail]:
        """The mails so far, oldest first."""
        with self._changed:
            return list(self._mails)

    @property
    def connections(self) -> int:
        """How many clients have connected so far."""
        with self._changed:
            return self._connections

    def start(self) -> MailSink:
        """Bind the port and serve; returns once clients can connect."""
        logging.getLogger("mail.log").addHandler(logging.NullHandler())  # aiosmtpd would warn on stderr otherwise
        if self.folder is not None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._tls:
            self._private = tempfile.TemporaryDirectory(prefix="mail-sink-")
            certificate = make_certificate(Path(self._private.name))
            self.ca_file, self._context = certificate.cert, certificate.server_context()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((self.host, self.port))
        self.port = self._socket.getsockname()[1]
        if self.behaviour is not Behaviour.REFUSE:
            ready = threading.Event()
            self._thread = threading.Thread(
                target=asyncio.run, args=(self._serve(self._socket, ready),), name="mail-sink", daemon=True
            )
            self._thread.start()
            if not ready.wait(10):
                raise RuntimeError("the mail sink did not start within 10 s")
        return self

    def stop(self) -> None:
        """Drop every connection, free the port and remove the certificate. May be called twice."""
        if self._thread is not None:
            assert self._loop is not None and self._stop is not None
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._thread = None
        if self._socket is not None:
            self._socket.close()
        if self._private is not None:
            self._private.cleanup()
            self._private = None

    def wait_for(self, predicate: Callable[[Mail], bool] = lambda mail: True, timeout: float = 10) -> Mail:
        """The first mail that satisfies `predicate`, already here or arriving within `timeout` seconds.

        Raises :class:`TimeoutError` that names the subjects that did arrive.
        """
        with self._changed:
            self._changed.wait_for(lambda: any(map(predicate, self._mails)), timeout)
            found = next(filter(predicate, self._mails), None)
            subjects = [mail.subject for mail in self._mails]
        if found is None:
            raise TimeoutError(f"no such mail within {timeout:g} s; received: {subjects or 'none'}")
        return found

    def wait_for_connections(self, count: int, timeout: float = 10) -> None:
        """Return once `count` clients have connected; :class:`TimeoutError` after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._connections >= count, timeout):
                raise TimeoutError(f"{self._connections} of {count} connections within {timeout:g} s")

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        live: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

        def connected(transport: asyncio.BaseTransport) -> None:
            live.add(transport)
            with self._changed:
                self._connections += 1
                self._changed.notify_all()

        server = await self._loop.create_server(
            lambda: self._protocol(connected),
            sock=listener,
            ssl=self._context if self._tls == "tls" else None,
        )
        ready.set()
        await self._stop.wait()
        server.close()
        for transport in list(live):
            with contextlib.suppress(AttributeError):  # a TLS transport that is closed has nothing left to abort
                transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    def _protocol(self, connected: Callable[[asyncio.BaseTransport], None]) -> asyncio.Protocol:
        if self.behaviour is Behaviour.BLACKHOLE:
            return Blackhole(connected)
        if self.behaviour is Behaviour.TARPIT:
            return Tarpit(connected, self.drip_seconds)
        return Server(
            connected,
            Answers(self._auth, self.behaviour, self._receive),
            hostname="localhost",
            ident="demo mail sink",
            tls_context=self._context if self._tls == "starttls" else None,
            require_starttls=self._tls == "starttls",
            auth_require_tls=self._tls == "starttls",
            auth_exclude_mechanism=() if self._auth else ("LOGIN", "PLAIN"),
            authenticator=self._authenticate,
            enable_SMTPUTF8=True,
            loop=self._loop,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        good = (
            self.behaviour is not Behaviour.AUTHFAIL
            and isinstance(data, LoginPassword)
            and self._auth == (data.login.decode(), data.password.decode())
        )
        if not good:
            return AuthResult(success=False, handled=False)
        assert isinstance(data, LoginPassword)
        return AuthResult(success=True, auth_data=data.login.decode())

    def _receive(self, session: Session, envelope: Envelope) -> None:
        raw = envelope.original_content or b""
        with self._changed:
            number = len(self._mails) + 1
            path = self.folder / f"{number:03}.eml" if self.folder else None
            if path is not None:
                path.write_bytes(raw)
            mail = Mail(
                number=number,
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                raw=raw,
                encrypted=self._tls == "tls" or session.ssl is not None,
                user=session.auth_data if session.authenticated else None,
                received_at=time.monotonic(),
                path=path,
            )
            self._mails.append(mail)
            self._changed.notify_all()
        if self._on_mail is not None:
            self._on_mail(mail)


def main(argv: list[str] | None = None) -> int:
    """Print mails as they arrive until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m demo.mail_sink", description="A mail sink on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free port")
    parser.add_argument("--folder", type=Path, help="keep each mail as NNN.eml there")
    parser.add_argument("--tls", choices=("starttls", "tls"))
    parser.add_argument("--user", help="ask clients to log in; needs --password")
    parser.add_argument("--password")
    parser.add_argument("--behaviour", choices=[b.value for b in Behaviour], default="ok")
    args = parser.parse_args(argv)
    if (args.user is None) != (args.password is None):
        parser.error("--user and --password go together")
    sink = MailSink(
        args.folder,
        port=args.port,
        tls=args.tls,
        auth=(args.user, args.password) if args.user else None,
        behaviour=args.behaviour,
        on_mail=lambda mail: print(f"\nmail {mail.number}\n{render(mail)}", flush=True),
    )
    try:
        with sink:
            print(f"mail sink on {sink.host}:{sink.port}", "(Ctrl-C ends it)", flush=True)
            if sink.ca_file:
                print(f"trust this CA file: {sink.ca_file}", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(f"mail sink: port {args.port}: {error.strerror}; choose another --port", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
