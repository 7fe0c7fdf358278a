"""The forms that a deployment can have: without root, two bots on a host, a bot already up, one not to be started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.api import Lab
from tests.lab.deployment import APP_DIR, Site, copy_checkout, touch_agent, write_inventory

HOME_ROOT = "/home/trader/.local/share/dca-watchdog"


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


@pytest.mark.promise(6)
@pytest.mark.fault("F02")
def test_a_bot_that_somebody_started_by_hand_is_adopted_by_the_first_deploy(site: Site) -> None:
    start = f"cd {APP_DIR} && setsid nohup python3 src/main_app.py > /dev/null 2>&1 &"
    site.lab.exec(site.host, ["sh", "-c", start], user="trader")
    bot = site.lab.exec(site.host, ["pgrep", "-f", "src/main_app.py"]).stdout.split()
    played = site.deploy()
    assert f"running, PID {bot[0]}" in played.line
    assert "adopted" in played.line
    assert site.lab.exec(site.host, ["pgrep", "-f", "src/main_app.py"]).stdout.split() == bot
    site.door("stop")


@pytest.mark.promise(5)
def test_a_first_deploy_that_is_not_to_start_the_bot_leaves_it_down_until_told(site: Site) -> None:
    foretold = site.deploy("--check", watchdog_start=False)
    assert "would record `stop`" in foretold.line
    played = site.deploy(watchdog_start=False)
    assert "stopped, no PID" in played.line
    assert "recorded `stop`" in played.line
    assert site.bots() == []
    assert site.deploy(watchdog_start=False).changed == 0
    assert site.deploy(watchdog_start=True).changed == 0
    assert site.bots() == []
    site.door("start")
    assert len(site.bots()) == 1
    assert site.deploy(watchdog_start=False).changed == 0
    assert len(site.bots()) == 1


def test_a_bot_that_does_not_stay_up_fails_the_first_deploy_with_the_reason(site: Site) -> None:
    site.install_bot("import sys\nprint('no exchange key', flush=True)\nsys.exit(3)\n")
    played = site.play("deploy.yml")
    assert played.code != 0
    assert "the bot does not stay up" in played.failure
    assert "3" in played.failure
    again = site.deploy()
    assert "PLAY RECAP" in again.output


def test_a_release_that_cannot_guard_takes_the_host_back(site: Site) -> None:
    site.deploy()
    before, bot = site.current(), site.bots()
    source = site.checkout / "watchdog" / "tick.py"
    good = source.read_text()
    source.write_text(good + "\n\ndef become_guard(*_):\n    raise OSError('a release that cannot guard')\n")
    try:
        played = site.play("deploy.yml")
        assert played.code != 0
        assert "did not become the guard" in played.failure
        assert f"back on {before}" in played.failure
        assert site.current() == before
        assert site.bots() == bot
        assert site.status()["guard"]["answers"]
    finally:
        source.write_text(good)


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
