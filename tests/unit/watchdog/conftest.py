"""Fixtures of the agent's unit tests: settings, a lock directory and a journal below the test's own folder."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.unit.watchdog.parts import Sleepers, VirtualClock, instance_below, settings_for
from tests.unit.watchdog.puppet import Puppet, serving
from watchdog import identity, paths
from watchdog.config import Config
from watchdog.identity import Identity, Sighting
from watchdog.instance import Instance
from watchdog.journal import Journal


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """The agent needs Linux."""
    return True if sys.platform != "linux" else None


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A bot's project root with a script that sleeps."""
    folder = tmp_path / "dcaTrader"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main_app.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(600)\n")
    return folder


@pytest.fixture
def config(project: Path) -> Config:
    """The settings of that project."""
    return settings_for(project)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    """A lock directory of the test's own."""
    return instance_below(tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal that shows nothing on the console."""
    found = Journal(str(tmp_path / "logs" / "watchdog.log"), str(tmp_path / "state" / "events.jsonl"), "dcaTrader")
    found.console = False
    return found


@pytest.fixture
def sleepers() -> Iterator[Sleepers]:
    """Starts processes that are gone after the test."""
    found = Sleepers()
    yield found
    found.close()


@pytest.fixture
def puppet(sleepers: Sleepers) -> Puppet:
    """A process that does what it is told, and sleeps in between."""
    return Puppet(sleepers)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server on loopback."""
    with serving() as found:
        yield found


@pytest.fixture
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """Boot clock, wall clock and boot that the test sets."""
    found = VirtualClock()
    monkeypatch.setattr("watchdog.clock.now", lambda: found.boot_seconds)
    monkeypatch.setattr("watchdog.clock.utc", lambda: found.wall_seconds)
    monkeypatch.setattr("watchdog.clock.boot_id", lambda: found.boot)
    return found


@pytest.fixture
def look(config: Config, instance: Instance) -> Callable[..., Sighting]:
    """Scan for the bot of this test's project."""

    def scan(known: Identity | None = None, settings: Config = config) -> Sighting:
        return identity.look(settings, instance, known)

    return scan


@pytest.fixture
def places(config: Config, instance: Instance) -> paths.Paths:
    """Where the files of that bot lie."""
    return paths.of(config, instance)


@pytest.fixture
def sink() -> Iterator[MailSink]:
    """A mail server on loopback."""
    with MailSink() as found:
        yield found
