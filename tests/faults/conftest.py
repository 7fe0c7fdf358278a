"""Every test of the fault matrix runs in worlds with all six oracles around them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults.watched import WatchedWorld
from tests.process.conftest import give_time, make_world, sink, world
from tests.process.world import World

__all__ = ["make_world", "sink", "world", "world_class"]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """The agent needs Linux."""
    return True if sys.platform != "linux" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Time enough for a machine that has much else to do."""
    give_time(items, Path(__file__).parent)


@pytest.fixture
def world_class() -> type[World]:
    """The kind of world that ``world`` and ``make_world`` make."""
    return WatchedWorld
