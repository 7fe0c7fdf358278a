"""Rules for all tests: who may run what, and no silent skip where everything must run."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out (visibly, as deselected) what is only meaningful for the other kind of user; CI runs both kinds."""
    other = "needs_user" if os.geteuid() == 0 else "needs_root"
    left_out = [item for item in items if item.get_closest_marker(other)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI=true a skipped test is a failed one: CI installs what tests need, so a skip means it did not."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and in_ci():
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true, which must not happen: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself while it is imported."""
    report = yield
    if report.skipped and in_ci():
        report.outcome = "failed"
        report.longrepr = f"module skipped under CI=true, which must not happen: {_reason(report.longrepr)}"
    return report


def in_ci() -> bool:
    """Whether this is a run that must not leave anything out."""
    return os.environ.get("CI", "").lower() in ("true", "1")


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
