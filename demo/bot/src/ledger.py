"""The paper trades of the bot: a CSV file that outlives every crash."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

HEADER = "time,pid,price,amount,quantity\n"


@dataclass(frozen=True)
class Trade:
    """One purchase: `quantity` bought at `price` for `amount`."""

    time: str
    pid: int
    price: Decimal
    amount: Decimal
    quantity: Decimal


class Ledger:
    """Appends trades to a file and knows the totals, those of earlier runs included."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115, PTH123 - kept open
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # torn by a kill in the middle of a write
            self._file.truncate(len(whole))
        if not whole:
            self._file.write(HEADER.encode())
        self.trades = [_parse(line) for line in whole.decode().splitlines()[1:]]

    @property
    def quantity(self) -> Decimal:
        """Bought so far, all runs together."""
        return sum((trade.quantity for trade in self.trades), Decimal(0))

    @property
    def amount(self) -> Decimal:
        """Spent so far, all runs together."""
        return sum((trade.amount for trade in self.trades), Decimal(0))

    def buy(self, price: Decimal, amount: Decimal) -> Trade:
        """Record a purchase of `amount` worth at `price`; the line is written whole or not at all."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        trade = Trade(now, os.getpid(), price, amount, (amount / price).quantize(Decimal("1e-8")))
        self._file.write(f"{trade.time},{trade.pid},{trade.price},{trade.amount},{trade.quantity:f}\n".encode())
        self.trades.append(trade)
        return trade

    def close(self) -> None:
        """Put everything on the disk and close the file."""
        os.fsync(self._file.fileno())
        self._file.close()


def _parse(line: str) -> Trade:
    time, pid, price, amount, quantity = line.split(",")
    return Trade(time, int(pid), Decimal(price), Decimal(amount), Decimal(quantity))
