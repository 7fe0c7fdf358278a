"""A deployment without root: all of it is the bot's own user's, and nothing lies outside that user's home."""

from __future__ import annotations

import pytest

from tests.lab.deployment import HOME_ROOT, Site, touch_agent


def crontab(site: Site) -> str:
    """The bot user's own table."""
    return site.lab.exec(site.host, ["crontab", "-u", "trader", "-l"], check=False).stdout


def test_without_root_everything_lies_in_the_users_home_and_its_crontab(without_root: Site) -> None:
    site = without_root
    site.crontab("# mine\n0 4 * * * true\n")
    assert site.deploy("--check", "--diff").changed > 0
    assert site.ours() == []

    first = site.deploy()
    assert "running, PID" in first.line
    assert len(site.bots()) == 1
    assert site.deploy().changed == 0
    assert site.deploy("--check", "--diff").changed == 0
    lines = crontab(site).splitlines()
    assert lines[:2] == ["# mine", "0 4 * * * true"]
    assert f"* * * * * {HOME_ROOT}/bin/dcaTrader guard" in lines
    assert f"@reboot {HOME_ROOT}/bin/dcaTrader guard" in lines
    elsewhere = ["find", "/etc", "/opt", "/usr", "/root", "-name", "*dca-watchdog*"]
    assert site.lab.exec(site.host, elsewhere).stdout == ""
    loose = ["find", HOME_ROOT, "-not", "-type", "l", "-perm", "/022"]
    assert site.lab.exec(site.host, loose).stdout == ""

    bot = site.bots()
    touch_agent(site.checkout, "without root")
    assert "guard upgraded" in site.deploy().line
    assert site.bots() == bot

    site.remove()
    assert site.bots() == bot
    assert crontab(site) == "# mine\n0 4 * * * true\n"
    assert site.remove().changed == 0
    site.lab.exec(site.host, ["crontab", "-u", "trader", "-r"])


def test_without_root_a_crontab_that_was_ours_alone_is_gone_after_removal(without_root: Site) -> None:
    without_root.deploy()
    without_root.remove()
    answer = without_root.lab.exec(without_root.host, ["crontab", "-u", "trader", "-l"], check=False)
    assert "no crontab for trader" in answer.stderr


def test_a_schedule_of_ones_own_and_none_at_all(without_root: Site) -> None:
    site = without_root
    site.deploy(watchdog_cron_schedule="*/2 7-22 * * 1-5")
    assert f"*/2 7-22 * * 1-5 {HOME_ROOT}/bin/dcaTrader guard" in crontab(site)
    site.deploy(watchdog_cron_schedule="@hourly")
    assert f"@hourly {HOME_ROOT}/bin/dcaTrader guard" in crontab(site)
    assert site.deploy(watchdog_cron_schedule="@hourly").changed == 0
    site.deploy(watchdog_cron=False)
    assert "dca-watchdog" not in crontab(site)
    assert site.deploy(watchdog_cron=False).changed == 0


@pytest.mark.fault("F47")
def test_a_host_that_ends_processes_at_logout_is_told_of_and_lingering_keeps_the_guard(
    kill_user_processes: None, without_root: Site
) -> None:
    site = without_root
    assert "loginctl enable-linger trader" in site.deploy("--check").output
    site.lab.exec(site.host, ["loginctl", "enable-linger", "trader"])
    try:
        assert "enable-linger" not in site.deploy().output
        before = site.status()
        sessions = site.lab.exec(site.host, ["loginctl", "list-sessions", "--no-legend"]).stdout.splitlines()
        mine = [line.split()[0] for line in sessions if "trader" in line.split()]
        assert mine != []
        site.lab.exec(site.host, ["loginctl", "terminate-session", *mine])
        after = site.status()
        assert after["pid"] == before["pid"]
        assert after["guard"] == before["guard"]
    finally:
        site.lab.exec(site.host, ["loginctl", "disable-linger", "trader"])
