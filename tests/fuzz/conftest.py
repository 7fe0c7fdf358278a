"""Fixtures of the fuzzers."""

from tests.process.conftest import make_world, pytest_ignore_collect, world

__all__ = ["make_world", "pytest_ignore_collect", "world"]
