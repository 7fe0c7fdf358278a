"""The forms that a deployment by root can have: a schedule of one's own, two bots on a host, who logs in, logout."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.api import Lab
from tests.lab.deployment import Site, write_inventory


def test_a_schedule_of_ones_own_in_the_systems_table(site: Site) -> None:
    site.deploy(watchdog_cron_schedule="*/5 * * * *")
    table = site.lab.exec(site.host, ["cat", "/etc/cron.d/dca-watchdog-dcaTrader"]).stdout
    assert "*/5 * * * * trader /opt/dca-watchdog/bin/dcaTrader guard" in table.splitlines()
    site.deploy(watchdog_cron=False)
    assert site.lab.exec(site.host, ["ls", "/etc/cron.d"]).stdout.split() == ["e2scrub_all"]
    assert site.deploy(watchdog_cron=False).changed == 0


@pytest.mark.promise(1)
def test_two_bots_on_one_host_do_not_disturb_each_other(lab: Lab, checkout: Path, tmp_path: Path) -> None:
    second_dir = "/home/trader/otherTrader"
    inventory = write_inventory(
        tmp_path / "inventory.yml",
        lab,
        {"one": {}, "two": {"watchdog_name": "otherTrader", "watchdog_app_dir": second_dir}},
    )
    both = Site(lab, checkout, inventory=inventory, entry="bots")
    one = Site(lab, checkout, inventory=inventory, entry="one")
    two = Site(lab, checkout, inventory=inventory, entry="two", name="otherTrader", app_dir=second_dir)
    one.install_bot()
    two.install_bot()
    both.deploy()
    assert both.deploy().changed == 0
    assert [one.bots(), two.bots()] == [[one.status()["pid"]], [two.status()["pid"]]]
    bot = two.bots()
    one.door("stop")
    assert (one.bots(), two.bots()) == ([], bot)
    one.remove()
    assert two.bots() == bot
    assert two.status()["guard"]["answers"]
    assert two.deploy().changed == 0
    two.door("stop")
    two.remove()
    assert two.ours() == []
    one.reset()
    two.reset()


def test_a_login_as_the_bots_own_user_needs_no_sudo_rule_and_takes_an_old_one_away(site: Site) -> None:
    rule = "/etc/sudoers.d/dca-watchdog-dcaTrader"
    site.deploy()
    site.lab.exec(site.host, ["test", "-f", rule])
    site.lab.exec(site.host, ["sh", "-c", "echo 'trader ALL=NOPASSWD: ALL' > /etc/sudoers.d/test"])
    try:
        assert site.deploy(ansible_user="trader").changed == 1
        assert site.lab.exec(site.host, ["test", "-e", rule], check=False).returncode == 1
        assert site.deploy(ansible_user="trader").changed == 0
    finally:
        site.lab.exec(site.host, ["rm", "/etc/sudoers.d/test"])


def test_two_bots_with_one_name_on_one_host_are_refused(lab: Lab, checkout: Path, tmp_path: Path) -> None:
    entries = {"one": {}, "two": {"watchdog_app_dir": "/home/trader/otherTrader"}}
    inventory = write_inventory(tmp_path / "inventory.yml", lab, entries)
    site = Site(lab, checkout, inventory=inventory, entry="bots")
    assert "give each bot on one host a watchdog_name of its own" in site.refuse()


@pytest.mark.fault("F47")
def test_the_end_of_the_login_session_leaves_guard_and_bot_of_a_system_deployment_alone(
    kill_user_processes: None, site: Site
) -> None:
    site.deploy()
    before = site.status()
    site.lab.exec(site.host, ["loginctl", "terminate-user", "ops"])
    after = site.status()
    assert after["pid"] == before["pid"]
    assert after["guard"] == before["guard"]
