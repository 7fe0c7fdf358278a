"""The oldest and the newest system that is supported: Debian 11 with Python 3.9, Debian 13 with Python 3.13."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import StartLab
from tests.lab.deployment import STATE, Site, copy_checkout, touch_agent


@pytest.mark.parametrize(("suite", "python"), [("bullseye", "3.9"), ("trixie", "3.13")])
def test_deploy_upgrade_and_removal(start_lab: StartLab, tmp_path: Path, suite: str, python: str) -> None:
    lab = start_lab(suite=suite)
    assert lab.exec("bot1", ["python3", "-V"]).stdout.startswith(f"Python {python}.")
    site = Site(lab, copy_checkout(tmp_path / "checkout"))
    site.install_bot()
    assert site.deploy("--check").changed > 0
    assert site.ours() == []

    first = site.deploy()
    bot = site.bots()
    assert f"running, PID {bot[0]}" in first.line
    assert site.deploy().changed == 0

    touch_agent(site.checkout, "next")
    assert f"PID {bot[0]}" in site.deploy().line
    assert site.bots() == bot

    site.door("restart")
    assert len(site.bots()) == 1
    site.remove()
    assert site.ours() == [STATE]
    site.kill_bots()
