"""The recipes of docs/bot.md are run as they stand, with the real helper and a real socket."""

from __future__ import annotations

import asyncio
import importlib.util
import queue
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "bot.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
READ, CALLED_BACK, THREADS, FAULTHANDLER = range(4)


class EndedError(Exception):
    """The feed of a test has come to its end."""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """What has arrived at NOTIFY_SOCKET since the last call; every beat is sent."""
    spec = importlib.util.spec_from_file_location("lifesign", ROOT / "bot" / "lifesign.py")
    assert spec is not None and spec.loader is not None
    lifesign: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lifesign)
    monkeypatch.setitem(sys.modules, "lifesign", lifesign)
    monkeypatch.setattr(lifesign, "EVERY", 0.0)
    with tempfile.TemporaryDirectory(prefix="n-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(f"{folder}/s")
        server.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/s")

        def heard() -> list[str]:
            found = []
            while True:
                try:
                    found.append(server.recv(100).decode())
                except BlockingIOError:
                    return found

        yield heard


def recipe(number: int) -> Any:
    """The function ``trade`` of a block."""
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[number], f"docs/bot.md, block {number}", "exec"), names)
    return names["trade"]


def test_there_are_the_blocks_that_are_tested_and_no_others() -> None:
    assert ["import " in block for block in BLOCKS] == [True] * 4
    assert "faulthandler.enable()" in BLOCKS[FAULTHANDLER]


def test_a_loop_that_reads_beats_after_each_message_and_in_a_quiet_market(said: Callable[[], list[str]]) -> None:
    handled: list[tuple[object, list[str]]] = []

    class Feed:
        news: Any = iter(["61234.50", asyncio.TimeoutError, "61235.00", EndedError])

        async def recv(self) -> str:
            found = next(self.news)
            if isinstance(found, str):
                return found
            raise found

    async def on_message(message: object) -> None:
        handled.append((message, said()))

    with pytest.raises(EndedError):
        asyncio.run(recipe(READ)(Feed(), on_message))
    assert handled == [("61234.50", ["READY=1"]), ("61235.00", ["WATCHDOG=1", "WATCHDOG=1"])]
    assert said() == ["WATCHDOG=1"]


def test_a_library_that_calls_back_beats_after_each_message_and_ends_the_bot_with_its_error(
    said: Callable[[], list[str]],
) -> None:
    async def run_feed(handle: Callable[[str], Any]) -> None:
        await asyncio.sleep(0)
        said()
        await handle("61234.50")
        assert said() == ["WATCHDOG=1"]
        raise EndedError

    async def on_message(message: object) -> None:
        assert said() == []

    with pytest.raises(EndedError):
        asyncio.run(recipe(CALLED_BACK)(run_feed, on_message))


def test_a_library_that_has_no_news_is_no_reason_to_stop_beating(said: Callable[[], list[str]]) -> None:
    beats: list[str] = []

    async def run_feed(handle: object) -> None:
        while beats.count("WATCHDOG=1") < 2:
            await asyncio.sleep(0.01)
            beats.extend(said())

    trade = recipe(CALLED_BACK)
    trade.__globals__["asyncio"] = Impatient()
    asyncio.run(trade(run_feed, None))
    assert beats == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]


class Impatient:
    """asyncio, for which ten seconds are 20 ms."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def wait(self, tasks: Any, timeout: float) -> Any:
        return asyncio.wait(tasks, timeout=timeout / 500)


def test_the_thread_that_trades_beats_after_each_message_and_when_there_is_none(said: Callable[[], list[str]]) -> None:
    handled: list[tuple[object, list[str]]] = []

    class Messages:
        news: Any = iter(["61234.50", queue.Empty, "61235.00", EndedError])

        def get(self, timeout: float) -> str:
            found = next(self.news)
            if isinstance(found, str):
                return found
            raise found

    with pytest.raises(EndedError):
        recipe(THREADS)(Messages(), lambda message: handled.append((message, said())))
    assert handled == [("61234.50", ["READY=1"]), ("61235.00", ["WATCHDOG=1", "WATCHDOG=1"])]
    assert said() == ["WATCHDOG=1"]


def test_the_helper_is_beside_the_recipes() -> None:
    source = (ROOT / "bot" / "lifesign.py").read_text(encoding="utf-8")
    table = re.findall(r"^\| `lifesign\.(\w+)\(\)`", PAGE, re.MULTILINE)
    assert table == re.findall(r"^def ([a-z]\w+)\(", source, re.MULTILINE)
