"""Fixtures of the ssh tests: one sshd for most of them, one more where a test breaks its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ssh.bots import Door
from tests.ssh.checkout import Checkout
from tests.ssh.sshd import SSHD, Sshd, make_key

MakeSshd = Callable[..., Sshd]
MakeDoor = Callable[[str], Door]


@pytest.fixture(scope="session", autouse=True)
def _sshd_is_here() -> None:
    if not SSHD:
        pytest.skip("these tests need sshd: apt-get install openssh-server")


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's key."""
    return make_key(tmp_path_factory.mktemp("operator") / "id_operator")


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Sshd]:
    """A host that works; tests do not change it."""
    server = Sshd(tmp_path_factory.mktemp("sshd") / "host", [key])
    yield server
    server.stop()


@pytest.fixture
def make_sshd(tmp_path: Path, key: Path) -> Iterator[MakeSshd]:
    """Makes hosts of the test's own."""
    made: list[Sshd] = []

    def make(name: str = "own", **options: object) -> Sshd:
        authorized = options.pop("authorized", [key])
        made.append(Sshd(tmp_path / name, authorized, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def make_door(tmp_path: Path) -> Iterator[MakeDoor]:
    """Makes the doors of stand-in bots."""
    made: list[Door] = []

    def make(name: str) -> Door:
        made.append(Door(tmp_path / "root", name))
        return made[-1]

    yield make
    for door in made:
        door.release()


@pytest.fixture
def checkout(tmp_path: Path, key: Path, sshd: Sshd) -> Checkout:
    """A control machine that trusts the shared host and has no host in its inventory yet."""
    folder = tmp_path / "control"
    folder.mkdir()
    made = Checkout(folder, key)
    made.trust(sshd.known_hosts_line())
    return made


@pytest.fixture
def bot(checkout: Checkout, sshd: Sshd, make_door: MakeDoor) -> Door:
    """One healthy bot, the only one in the inventory, under the name ``bot``."""
    door = make_door("bot")
    checkout.write_inventory({"bot": checkout.host(sshd, door.variables)})
    return door
