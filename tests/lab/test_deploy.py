"""The life of one deployment, in the order in which an operator meets it. The tests here build on each other."""

from __future__ import annotations

import re

import pytest

from lab.api import Lab
from tests.lab.deployment import APP_DIR, BASE, STATE, Played, Site, copy_checkout, touch_agent


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A bot that was never deployed, on a fresh host."""
    site = Site(lab, copy_checkout(tmp_path_factory.mktemp("checkout")))
    site.install_bot()
    return site


@pytest.fixture(scope="module")
def pristine(site: Site) -> tuple[Played, list[str]]:
    """Check mode before anything was deployed, and what it left on the host."""
    return site.deploy("--check", "--diff"), site.ours()


@pytest.fixture(scope="module")
def first(site: Site, pristine: object) -> Played:
    """The first deploy."""
    return site.deploy()


def test_check_mode_on_a_pristine_host_tells_what_would_come_and_changes_nothing(
    pristine: tuple[Played, list[str]],
) -> None:
    played, left = pristine
    assert "would start the bot" in played.line
    assert '+WATCHDOG_APP_DIR="/home/trader/dcaTrader"' in played.output
    assert played.changed >= 8
    assert left == []


@pytest.mark.promise(6)
def test_the_first_deploy_starts_the_bot_and_says_so(site: Site, first: Played) -> None:
    status = site.status()
    assert status["state"] == "running"
    assert site.bots() == [status["pid"]]
    assert f"running, PID {status['pid']}, release {site.current()}, started" in first.line


def test_the_check_before_told_the_same_number_of_changes(pristine: tuple[Played, list[str]], first: Played) -> None:
    assert first.changed == pristine[0].changed


def test_status_names_the_release_and_its_version(site: Site, first: Played) -> None:
    status = site.status()
    assert status["release"] == site.current()
    assert status["release"].startswith(f"{status['version']}-")


def test_a_second_deploy_changes_nothing(site: Site, first: Played) -> None:
    again = site.deploy()
    assert again.changed == 0
    assert "left alone" in again.line


def test_check_and_diff_after_a_deploy_are_quiet(site: Site, first: Played) -> None:
    played = site.deploy("--check", "--diff")
    assert played.changed == 0
    assert "+++" not in played.output


def test_what_somebody_changed_on_the_host_is_put_right_and_counted(site: Site, first: Played) -> None:
    base = f"{BASE}/dcaTrader"
    cron, rule = "/etc/cron.d/dca-watchdog-dcaTrader", "/etc/sudoers.d/dca-watchdog-dcaTrader"
    drift = f"""
        chmod 777 {BASE}/bin/dcaTrader; chown trader {base}/etc/watchdog.env; chmod 775 {base}/etc
        echo '# more' >> {cron}; rm {rule}; ln -s {cron} {rule}
    """
    site.lab.exec(site.host, ["sh", "-c", drift])
    assert site.deploy("--check").changed == 5
    site.lab.exec(site.host, ["chmod", "644", f"{base}/etc/smtp.env"])
    assert site.deploy().changed == 6
    assert site.deploy().changed == 0


def test_files_belong_to_whom_they_should(site: Site, first: Played) -> None:
    base = f"{BASE}/dcaTrader"
    wanted = {
        f"{BASE}/bin/dcaTrader": "755 root root",
        base: "755 root root",
        f"{base}/etc/watchdog.env": "640 root trader",
        f"{base}/etc/smtp.env": "600 trader trader",
        f"{base}/etc/.applied": "600 root root",
        f"{base}/releases/{site.current()}": "755 root root",
        f"{base}/releases/{site.current()}/bin/watchdog": "755 root root",
        f"{base}/releases/{site.current()}/lib/watchdog/__init__.py": "644 root root",
        "/etc/cron.d/dca-watchdog-dcaTrader": "644 root root",
        "/etc/sudoers.d/dca-watchdog-dcaTrader": "440 root root",
    }
    found = site.lab.exec(site.host, ["stat", "-c", "%n %a %U %G", *wanted]).stdout.splitlines()
    assert dict(line.split(" ", 1) for line in found) == wanted


def test_nothing_on_the_host_is_writable_by_others(site: Site, first: Played) -> None:
    loose = ["find", BASE, STATE, "-not", "-type", "l", "-perm", "/022"]
    assert site.lab.exec(site.host, loose).stdout == ""


def test_sudo_lets_the_login_user_through_the_door_as_the_bots_user(site: Site, first: Played) -> None:
    rule = site.lab.exec(site.host, ["cat", "/etc/sudoers.d/dca-watchdog-dcaTrader"]).stdout
    assert rule.splitlines()[-1] == f"ops ALL=(trader) NOPASSWD: {BASE}/bin/dcaTrader"
    site.lab.exec(site.host, ["visudo", "-c"])
    answer = site.lab.ssh(site.host, f"sudo -n -u trader {BASE}/bin/dcaTrader status")
    assert "running" in answer.stdout


def test_the_door_takes_no_other_settings_from_its_caller(site: Site, first: Played) -> None:
    for words in (
        ["--config", "/tmp/evil.env", "status"],
        ["--config=/tmp/evil.env", "status"],
        ["--door", "/tmp/x", "status"],
    ):
        answer = site.lab.exec(site.host, [f"{BASE}/bin/dcaTrader", *words], user="trader", check=False)
        assert answer.returncode == 2
        assert "cannot be given here" in answer.stderr


def test_the_guard_is_no_part_of_a_login_session(site: Site, first: Played) -> None:
    for pid in (site.status()["guard"]["pid"], site.status()["pid"]):
        group = site.lab.exec(site.host, ["cat", f"/proc/{pid}/cgroup"]).stdout
        assert "system.slice" in group
        assert "session" not in group


def test_the_bot_knows_nothing_of_the_deploying_session(site: Site, first: Played) -> None:
    environment = site.lab.exec(site.host, ["cat", f"/proc/{site.status()['pid']}/environ"]).stdout.split("\0")
    names = {line.partition("=")[0] for line in environment if line}
    assert not {name for name in names if name.startswith(("SUDO_", "SSH_", "SMTP_", "ANSIBLE", "INVOCATION"))}


@pytest.mark.promise(6)
def test_a_changed_setting_upgrades_the_guard_and_keeps_the_bot(site: Site, first: Played) -> None:
    before = site.status()
    foretold = site.deploy("--check", "--diff", watchdog_stop_grace=21)
    assert '+WATCHDOG_STOP_GRACE="21"' in foretold.output
    assert "would upgrade the guard, the bot stays" in foretold.line
    played = site.deploy(watchdog_stop_grace=21)
    after = site.status()
    assert "left alone" in played.line and "guard upgraded" in played.line
    assert (after["pid"], after["started_at"]) == (before["pid"], before["started_at"])
    assert after["guard"]["pid"] == before["guard"]["pid"] and after["guard"]["since"] > before["guard"]["since"]
    assert site.bots() == [before["pid"]]
    assert site.deploy(watchdog_stop_grace=21).changed == 0


def test_a_deploy_that_broke_off_before_the_guard_was_upgraded_is_completed_by_the_next(
    site: Site, first: Played
) -> None:
    before = site.status()
    site.deploy("--tags", "configure", watchdog_stop_grace=22)
    assert site.status()["guard"] == before["guard"]
    site.deploy(watchdog_stop_grace=22)
    assert site.status()["guard"]["since"] > before["guard"]["since"]
    assert site.bots() == [before["pid"]]


def test_activating_a_release_that_was_not_installed_is_refused_and_changes_nothing(site: Site, first: Played) -> None:
    before = site.current()
    touch_agent(site.checkout, "not installed")
    played = site.play("deploy.yml", "--tags", "activate")
    assert played.code != 0
    assert "is not on this host yet; deploy without --tags" in played.failure
    assert site.current() == before
    assert site.status()["guard"]["answers"]


@pytest.mark.promise(6)
def test_upgrade_and_rollback_keep_the_bots_pid(site: Site, first: Played) -> None:
    bot, guard, old = site.status()["pid"], site.status()["guard"], site.current()
    touch_agent(site.checkout, "another agent")
    foretold = site.deploy("--check")
    assert f"release was {old}" in foretold.line
    assert site.current() == old
    upgraded = site.deploy()
    new = site.current()
    assert new != old
    assert re.search(rf"PID {bot}, release {re.escape(new)}, left alone .* guard upgraded", upgraded.line)
    assert site.status()["guard"]["pid"] == guard["pid"], "the same process, which knows how the bot ends"
    assert site.status()["release"] == new
    assert site.deploy().changed == 0

    back = site.deploy(watchdog_release=old)
    assert f"PID {bot}, release {old}, left alone" in back.line
    assert site.status()["release"] == old
    assert site.deploy(watchdog_release=old).changed == 0
    assert site.bots() == [bot]


def test_a_rollback_to_a_release_that_is_gone_names_those_that_are_kept(site: Site, first: Played) -> None:
    refusal = site.refuse(watchdog_release="0.0.1-000000000000")
    assert all(release in refusal for release in site.releases())


def test_old_releases_go_and_the_one_in_force_never_does(site: Site, first: Played) -> None:
    before = site.releases()
    assert len(before) >= 2
    touch_agent(site.checkout, "one more")
    site.deploy(watchdog_release_keep=2)
    assert len(site.releases()) == 2
    assert len(site.releases() & before) == 1
    assert site.current() in site.releases() - before
    previous = (site.releases() - {site.current()}).pop()
    site.deploy(watchdog_release_keep=1, watchdog_release=previous)
    assert site.releases() == {previous}


def test_a_new_python_of_the_host_gets_bytecode_for_its_version(site: Site, first: Played) -> None:
    lib = f"{BASE}/dcaTrader/releases/{site.current()}/lib/watchdog"
    site.lab.exec(site.host, ["rm", "-r", f"{lib}/__pycache__"])
    site.deploy(watchdog_release=site.current())
    assert "__init__.cpython-" in site.lab.exec(site.host, ["ls", f"{lib}/__pycache__"]).stdout


@pytest.mark.promise(5)
def test_a_deploy_leaves_a_stopped_bot_stopped(site: Site, first: Played) -> None:
    site.door("stop", "--by", "alice", "--reason", "test")
    touch_agent(site.checkout, "while stopped")
    played = site.deploy()
    assert "stopped, no PID" in played.line
    assert site.bots() == []
    assert site.status()["desired_by"] == "alice"
    assert site.deploy(watchdog_start=True).changed == 0
    site.door("start")


@pytest.mark.promise(5)
def test_a_deploy_keeps_maintenance(site: Site, first: Played) -> None:
    site.door("maintenance", "on", "--for", "1h", "--reason", "exchange upgrade", "--by", "alice")
    touch_agent(site.checkout, "during maintenance")
    played = site.deploy()
    assert "(maintenance)" in played.line
    maintenance = site.status()["maintenance"]
    assert (maintenance["owner"], maintenance["reason"]) == ("alice", "exchange upgrade")
    site.door("maintenance", "off")


def test_a_deploy_starts_a_guard_that_is_gone_and_says_so(site: Site, first: Played) -> None:
    site.lab.exec(site.host, ["systemctl", "stop", "cron"])
    before = site.status()
    heirs = [pid for pid, argv in site.processes().items() if argv[0].endswith("flock")]
    site.lab.exec(site.host, ["kill", "-9", *map(str, heirs), str(before["guard"]["pid"])])
    played = site.deploy()
    assert "guard started" in played.line
    assert "cron is installed but does not run" in played.output
    assert site.bots() == [before["pid"]]
    assert site.status()["guard"]["answers"]
    site.lab.exec(site.host, ["systemctl", "start", "cron"])


def test_removal_in_check_mode_lists_what_would_go_and_takes_nothing(site: Site, first: Played) -> None:
    before = site.ours()
    played = site.remove("--check")
    assert "would remove" in played.line
    assert f"{BASE}/dcaTrader" in played.line
    assert site.ours() == before


def test_removal_leaves_the_bot_alone_and_nothing_of_ours_behind(site: Site, first: Played) -> None:
    bot = site.status()["pid"]
    lock = site.status()["lock"]
    played = site.remove()
    assert "the bot was left alone" in played.line
    assert lock in played.line
    assert site.bots() == [bot]
    assert site.ours() == [STATE]
    kept = site.lab.exec(site.host, ["find", STATE, "-type", "f"]).stdout.split()
    assert [path for path in kept if path not in played.line] == []
    users = site.lab.exec(site.host, ["find", "/etc/cron.d", "/etc/sudoers.d", "/opt", "-newer", "/etc/machine-id"])
    assert "watchdog" not in users.stdout


def test_a_second_removal_changes_nothing(site: Site, first: Played) -> None:
    again = site.remove()
    assert again.changed == 0
    assert "nothing of the watchdog is here" in again.line


@pytest.mark.promise(6)
def test_an_install_after_a_removal_adopts_the_bot_that_went_on(site: Site, first: Played) -> None:
    bot = site.bots()
    played = site.deploy()
    assert f"PID {bot[0]}" in played.line
    assert "adopted" in played.line
    assert site.bots() == bot


def test_removal_with_a_dead_bot_leaves_nothing_at_all(site: Site, first: Played) -> None:
    site.door("stop")
    site.remove()
    assert site.ours() == []
    assert site.lab.exec(site.host, ["ls", APP_DIR]).stdout.split() == ["logs", "src"]
