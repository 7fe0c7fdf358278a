"""What the sick bots listen to: a plain TCP feed, and a WebSocket feed that sends faster than a bot reads."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

from demo.price_server import PriceServer


class Feed:
    """Sends ``message`` to everybody who is connected, every ``every`` seconds, unless it is ``silent``."""

    def __init__(self, every: float = 0.05, message: bytes = b'{"pair": "BTC-EUR", "price": "61234.50"}\n') -> None:
        self.every, self.message, self.silent = every, message, False
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self._clients: list[socket.socket] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="feed", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        return int(self._server.getsockname()[1])

    def close(self) -> None:
        """Cut all connections."""
        self._over.set()
        self._thread.join()
        for one in (*self._clients, self._server):
            one.close()

    def _serve(self) -> None:
        while not self._over.wait(self.every):
            with contextlib.suppress(BlockingIOError):
                client, _ = self._server.accept()
                client.setblocking(False)
                self._clients.append(client)
            for client in () if self.silent else self._clients:
                with contextlib.suppress(OSError):  # full, or gone
                    client.send(self.message)


class Flood(PriceServer):
    """Prices with so much around them that a bot which looks at each of them falls behind."""

    def _tick(self) -> str:
        return json.dumps({"price": super()._tick(), "book": "x" * 20_000})


@contextlib.contextmanager
def prices(kind: type[PriceServer] = PriceServer, every: float = 0.05) -> Iterator[PriceServer]:
    """A WebSocket feed; at the end it does not wait for a farewell from bots that no longer read."""
    with kind(every=every) as server:
        try:
            yield server
        finally:
            server.drop_clients()


@contextlib.contextmanager
def feed(every: float = 0.05) -> Iterator[Feed]:
    """A plain feed for as long as it is wanted."""
    server = Feed(every)
    try:
        yield server
    finally:
        server.close()
