"""A WebSocket price feed on loopback: the same random walk for every client.

For people: ``python -m demo.price_server --port 8765``. For the demonstration and the tests::

    with PriceServer() as feed:
        ...  # a client of feed.url gets {"pair": "BTC-EUR", "price": "61234.50"} every feed.every seconds
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import threading
from decimal import Decimal

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve


class PriceServer:
    """A feed in a thread of its own; a context manager, or :meth:`start` and :meth:`stop`."""

    def __init__(self, *, port: int = 0, every: float = 0.2, start_price: str = "61234.50") -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.every = every
        self._price = Decimal(start_price)
        self._random = random.Random(61)
        self._changed = threading.Condition()
        self._connections = 0
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: OSError | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PriceServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"ws://{self.host}:{self.port}/btc-eur"

    def start(self) -> PriceServer:
        """Serve; returns once clients can connect. Raises :class:`OSError` where the port is taken."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._serve(ready),), name="price-server", daemon=True
        )
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the price server did not start within 10 s")
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Close every connection and free the port. May be called twice."""
        if self._thread is not None and self._loop is not None and self._stop is not None:
            if self._failure is None:
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
        self._thread = None

    def wait_for_connections(self, count: int, timeout: float = 10) -> None:
        """Return once `count` clients have connected since the start; :class:`TimeoutError` otherwise."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._connections >= count, timeout):
                raise TimeoutError(f"{self._connections} of {count} connections within {timeout:g} s")

    def drop_clients(self) -> None:
        """Cut every connection without a goodbye, as a failing network does."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        assert self._server is not None
        for connection in self._server.connections:
            connection.transport.abort()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await serve(self._client, self.host, self.port)
        except OSError as error:
            self._failure = error
            ready.set()
            return
        self._server = server
        async with server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            ready.set()
            while not self._stop.is_set():
                broadcast(server.connections, self._tick())
                try:
                    await asyncio.wait_for(self._stop.wait(), self.every)
                except TimeoutError:
                    continue

    async def _client(self, connection: ServerConnection) -> None:
        with self._changed:
            self._connections += 1
            self._changed.notify_all()
        await connection.wait_closed()

    def _tick(self) -> str:
        step = Decimal(self._random.randint(-2000, 2000)) / 100
        self._price = max(Decimal("1000.00"), self._price + step)
        return json.dumps({"pair": "BTC-EUR", "price": f"{self._price:.2f}"})


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m demo.price_server", description="A price feed on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8765, help="default 8765, where the bot looks; 0: any free port")
    parser.add_argument("--every", type=float, default=0.2, metavar="SECONDS", help="between two prices (0.2)")
    args = parser.parse_args(argv)
    try:
        with PriceServer(port=args.port, every=args.every) as feed:
            print(f"prices at {feed.url} (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(
            f"price server: port {args.port}: {os.strerror(error.errno or 0)}; choose another --port", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
