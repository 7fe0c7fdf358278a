"""Lab hosts for tests. A lab is started once per test module and removed after it.

def test_one(lab): ...            one bookworm host, "bot1"
def test_fleet(fleet): ...        three bookworm hosts, "bot1" to "bot3"
def test_other(start_lab):        any other: `lab = start_lab(hosts=2, suite="trixie")`
def test_deploy(site): ...        a bot on "bot1" and no watchdog, before and after each test

pytest gives each worker whole modules (--dist=loadfile): one that takes much longer than the others keeps all waiting.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from lab.api import Lab, session
from lab.commands import why_not
from tests.lab.deployment import HOME_ROOT, Site, copy_checkout, write_inventory

#: Starting hosts takes seconds, the first start of a suite a minute (its image is made), a cron minute sixty seconds.
TIMEOUT = 600


class StartLab(Protocol):
    """What the `start_lab` fixture is."""

    def __call__(self, hosts: int | Sequence[str] = 1, suite: str = "bookworm") -> Lab:
        """Start a lab that lasts until the end of the test module."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder is a lab test with time enough."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("lab")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="module")
def start_lab() -> Iterator[StartLab]:
    """Start labs of one's own choice; all end with the module. Skips where no lab can run."""
    if reason := why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as labs:

        def start(hosts: int | Sequence[str] = 1, suite: str = "bookworm") -> Lab:
            return labs.enter_context(session(hosts, suite))

        yield start


@pytest.fixture(scope="module")
def lab(start_lab: StartLab) -> Lab:
    """One bookworm host, `bot1`, shared by the module's tests."""
    return start_lab()


@pytest.fixture(scope="module")
def fleet(start_lab: StartLab) -> Lab:
    """Three bookworm hosts, `bot1` to `bot3`, shared by the module's tests."""
    return start_lab(hosts=3)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of this module's own."""
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def site(lab: Lab, checkout: Path) -> Iterator[Site]:
    """A bot on a host without a watchdog, before and after the test."""
    site = Site(lab, checkout)
    site.install_bot()
    yield site
    site.reset()
    assert site.ours() == []


@pytest.fixture
def without_root(lab: Lab, checkout: Path, tmp_path: Path) -> Iterator[Site]:
    """A bot whose user deploys it alone; that user may not use sudo."""
    own = {"ansible_user": "trader", "watchdog_system": False, "watchdog_user": ""}
    inventory = write_inventory(tmp_path / "inventory.yml", lab, {"mine": own})
    site = Site(lab, checkout, inventory=inventory, entry="mine", root=HOME_ROOT)
    site.install_bot()
    yield site
    site.reset()
    assert site.ours() == []


@pytest.fixture
def kill_user_processes(lab: Lab) -> Iterator[None]:
    """A host whose logind ends a user's processes at logout."""
    folder = "/etc/systemd/logind.conf.d"
    lab.exec("bot1", ["mkdir", "-p", folder])
    lab.exec("bot1", ["sh", "-c", f"printf '[Login]\\nKillUserProcesses=yes\\n' > {folder}/kill.conf"])
    lab.exec("bot1", ["systemctl", "restart", "systemd-logind"])
    yield
    lab.exec("bot1", ["rm", "-r", folder])
    lab.exec("bot1", ["systemctl", "restart", "systemd-logind"])
