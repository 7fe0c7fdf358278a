"""Fixtures of the tests on real processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.process.world import World

MakeWorld = Callable[..., World]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """The agent needs Linux."""
    return True if sys.platform != "linux" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Time enough for a machine that has much else to do."""
    give_time(items, Path(__file__).parent)


def give_time(items: list[pytest.Item], folder: Path) -> None:
    """300 s for the tests in a folder that ask for no other limit: what is waited for has deadlines of its own."""
    for item in items:
        if folder in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def world_class() -> type[World]:
    """The kind of world that ``world`` and ``make_world`` make."""
    return World


@pytest.fixture
def make_world(tmp_path: Path, world_class: type[World]) -> Iterator[MakeWorld]:
    """Make several bot projects in one test."""
    worlds: list[World] = []

    def make(name: str = "dcaTrader") -> World:
        folder = tmp_path / f"w{len(worlds)}"
        folder.mkdir()
        worlds.append(world_class(folder, name))
        return worlds[-1]

    yield make
    errors = []
    for world in worlds:
        try:
            world.close()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A bot project of the test's own: nothing runs yet."""
    return make_world()


@pytest.fixture
def sink(world: World) -> Iterator[MailSink]:
    """A mail server on loopback that the world's alerts go to."""
    with MailSink() as server:
        send_alerts_to(world, server)
        yield server


def send_alerts_to(world: World, server: MailSink) -> None:
    """Set the SMTP variables of a world."""
    world.sinks.append(server)
    world.env.update(
        SMTP_SERVER=server.host,
        SMTP_PORT=str(server.port),
        ALERT_EMAIL_FROM="watchdog@bots.example",
        ALERT_EMAIL_TO="ops@bots.example",
    )
