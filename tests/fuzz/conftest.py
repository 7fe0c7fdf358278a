"""Fixtures of the fuzzers."""

from tests.process.conftest import make_world, pytest_ignore_collect, world, world_class

__all__ = ["make_world", "pytest_ignore_collect", "world", "world_class"]
