"""A stand-in for a dollar-cost-averaging bot: it follows a price feed and buys a little every few seconds, on paper.

Like the real thing it lives for months, writes its PID file, logs, and ends tidily on SIGTERM.

Settings (environment): DEMO_FEED_URL, DEMO_BUY_EVERY (s), DEMO_BUY_AMOUNT (EUR).
For tests: DEMO_CRASH_AFTER (s) with DEMO_EXIT_CODE, and DEMO_IGNORE_TERM=1.
"""

from __future__ import annotations

import time

if __name__ == "__main__":  # before the slow imports: how long was nobody there?
    print(f"BOOTTIME={time.clock_gettime(time.CLOCK_BOOTTIME):.6f} first line", flush=True)

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pidfile import create_pid_file, remove_pid_file  # type: ignore[import-not-found]

import ws_client  # type: ignore[import-not-found]
from ledger import Ledger  # type: ignore[import-not-found]

HOME = Path(__file__).resolve().parent.parent
SILENCE = 10.0
"""Seconds without a price after which the feed counts as lost."""

log = logging.getLogger("bot")


@dataclass(frozen=True)
class Settings:
    """What the bot is told; amounts in EUR, times in seconds."""

    feed_url: str = "ws://127.0.0.1:8765/btc-eur"
    buy_every: float = 5.0
    buy_amount: Decimal = Decimal("10.00")
    crash_after: float | None = None
    exit_code: int = 1
    ignore_term: bool = False

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """The settings in `environ`; raises :class:`ArithmeticError` or :class:`ValueError` for a bad number."""
        crash_after = environ.get("DEMO_CRASH_AFTER")
        return cls(
            feed_url=environ.get("DEMO_FEED_URL", cls.feed_url),
            buy_every=float(environ.get("DEMO_BUY_EVERY", cls.buy_every)),
            buy_amount=Decimal(environ.get("DEMO_BUY_AMOUNT", str(cls.buy_amount))),
            crash_after=float(crash_after) if crash_after else None,
            exit_code=int(environ.get("DEMO_EXIT_CODE", cls.exit_code)),
            ignore_term=environ.get("DEMO_IGNORE_TERM") == "1",
        )


class Bot:
    """Two loops around one price: follow the feed, and buy."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger
        self._price: Decimal | None = None
        self._fresh = asyncio.Event()

    async def follow(self) -> None:
        """Keep the last price up to date; reconnect for ever, after 0.1 s and up to 5 s."""
        delay = 0.1
        while True:
            try:
                feed = await ws_client.connect(self._settings.feed_url)
                try:
                    log.info("feed connected")
                    while True:
                        message = json.loads(await asyncio.wait_for(feed.receive(), SILENCE))
                        self._price = Decimal(message["price"])
                        self._fresh.set()
                        delay = 0.1
                finally:
                    await feed.close()
            except (OSError, asyncio.TimeoutError, ws_client.WebSocketError) as error:
                log.warning("feed lost (%s), again in %.1f s", str(error) or "silent", delay)
            self._fresh.clear()
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)

    async def buy(self) -> None:
        """Buy a little at every interval, at the newest price; without a feed, wait for it."""
        while True:
            await self._fresh.wait()
            assert self._price is not None
            trade = self._ledger.buy(self._price, self._settings.buy_amount)
            log.info("trade %d: %s BTC at %s", len(self._ledger.trades), trade.quantity, trade.price)
            await asyncio.sleep(self._settings.buy_every)

    async def run(self) -> str:
        """Trade until SIGTERM or SIGINT; returns the signal's name."""
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[str] = loop.create_future()

        def asked(name: str) -> None:
            if name == "SIGTERM" and self._settings.ignore_term:
                log.warning("SIGTERM ignored, as told")
            elif not stop.done():
                stop.set_result(name)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked, number.name)
        if self._settings.crash_after is not None:
            loop.call_later(self._settings.crash_after, _crash, self._settings.exit_code)
        tasks: list[asyncio.Future[None]] = [asyncio.ensure_future(self.follow()), asyncio.ensure_future(self.buy())]
        waiting: list[asyncio.Future[Any]] = [stop, *tasks]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        if not stop.done():  # a loop has failed: so does the bot
            raise next(r for r in results if isinstance(r, Exception))
        return stop.result()


def main() -> int:
    """Run the bot; exit code 0 after SIGTERM or SIGINT, 78 for a bad setting, 79 where another copy is alive."""
    try:
        settings = Settings.read(os.environ)
    except (ArithmeticError, ValueError) as error:
        print(f"main_app: a DEMO_ setting is not a number ({error}); correct it", file=sys.stderr)
        return 78  # EX_CONFIG: starting again would not help
    create_pid_file()
    try:
        _set_up_logging(HOME / "logs" / "main_app.log")
        log.info("PID %d buys %s EUR every %g s", os.getpid(), settings.buy_amount, settings.buy_every)
        ledger = Ledger(HOME / "data" / "ledger.csv")
        try:
            name = asyncio.run(_run(settings, ledger))
        finally:
            ledger.close()
        log.info("%s: %s EUR in all, ledger saved, goodbye", name, ledger.amount)
    finally:
        remove_pid_file()
    return 0


async def _run(settings: Settings, ledger: Ledger) -> str:
    return await Bot(settings, ledger).run()


def _set_up_logging(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    log.setLevel(logging.INFO)
    for handler in (logging.FileHandler(path), logging.StreamHandler(sys.stdout)):
        handler.setFormatter(form)
        log.addHandler(handler)


def _crash(code: int) -> None:
    """End at once and leave everything lying about, as a real crash does."""
    log.error("crash on request, exit code %d", code)
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
