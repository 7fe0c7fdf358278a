"""Deploy, kill and status on the oldest and the newest supported Debian; all other lab tests use the one in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.chain.fleet import Fleet, deployed, wait_for_trade
from tests.lab.chain.processes import Headcount, number_inside
from tests.lab.conftest import StartLab

HOST = "bot1"


@pytest.fixture(scope="module", params=["bullseye", "trixie"])
def chain(start_lab: StartLab, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """One host of that suite right after its first deploy."""
    with deployed(start_lab(suite=request.param)) as chain:
        yield chain


@pytest.mark.promise(1)
@pytest.mark.promise(2)
def test_a_killed_bot_is_back_and_told_on_every_supported_debian(chain: Fleet) -> None:
    before = chain.fab("status")
    assert f" {chain.bot_inside(HOST)} " in before.stdout
    with Headcount(chain.lab, [HOST]) as count:
        revival = chain.watched(HOST).revive()
        (_, mail) = chain.wait_for_mails(HOST, 2)
    print(f"{chain.lab.record.suite}: back after {revival.seconds * 1000:.1f} ms")
    assert count.never_two()
    assert f"PID {number_inside(revival.new)}" in mail.text
    assert "killed by SIGKILL" in mail.text
    wait_for_trade(chain, HOST)
    after = chain.fab("-H", HOST, "status", "--json")
    assert f'"pid": {number_inside(revival.new)}' in after.stdout


@pytest.mark.promise(5)
def test_a_stopped_bot_stays_stopped_over_a_reboot_on_every_supported_debian(chain: Fleet) -> None:
    chain.fab("-H", HOST, "stop")
    chain.lab.reboot(HOST)
    chain.wait_for_guard(HOST)
    assert chain.status(HOST)["state"] == "stopped"
    chain.fab("-H", HOST, "start")
    wait_for_trade(chain, HOST)
