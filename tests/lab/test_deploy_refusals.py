"""What a deploy refuses, and that it refuses before anything on the host has changed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from tests.lab.deployment import APP_DIR, ROOT, Played, Site, copy_checkout, write_inventory

OLD = "*/5 * * * * cd /home/trader/dcaTrader && .venv/bin/python scripts/watchdog.py >> logs/cron.log 2>&1"
OTHERS = "MAILTO=trader\n# my jobs\n\n15 4 * * 0 find /home/trader -name '*.tmp' -delete  # tidy 100\\%\n"


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A bot on a host that was never deployed to."""
    site = Site(lab, copy_checkout(tmp_path_factory.mktemp("checkout")))
    site.install_bot()
    return site


@pytest.fixture
def untouched(site: Site) -> Iterator[Site]:
    """The site, of which nothing of ours may be on the host after the test."""
    yield site
    assert site.ours() == []
    assert site.bots() == []


def test_the_example_inventory_says_in_one_line_what_to_edit(lab: Lab, tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    shutil.copytree(ROOT / "inventory", checkout / "inventory")
    site = Site(lab, checkout, entry="bot", inventory=checkout / "inventory" / "hosts.yml")
    for playbook in ("deploy.yml", "remove.yml"):
        played = site.play(playbook)
        assert played.code != 0
        assert "Edit inventory/hosts.yml first" in played.failure
        assert "Traceback" not in played.output


#: Variables that cannot work, each with the words that say why.
BAD: list[tuple[dict[str, Any], str]] = [
    ({"watchdog_strat": False}, "Unknown variable: watchdog_strat (did you mean watchdog_start?)"),
    ({"watchdog_name": "../up"}, "watchdog_name: use letters"),
    ({"watchdog_app_dir": ""}, "watchdog_app_dir: name the absolute path"),
    ({"watchdog_app_dir": "/home/trader/nowhere"}, "there is no directory /home/trader/nowhere"),
    ({"watchdog_app_script": "src/nothing.py"}, "watchdog_app_script: no file that the bot's user may read"),
    ({"watchdog_app_env_file": "secret.env"}, "watchdog_app_env_file: no file"),
    ({"watchdog_app_python": "/etc/hostname"}, "watchdog_app_python: nothing that the bot's user may run"),
    ({"watchdog_app_python": "/bin/false"}, "watchdog_app_python: /bin/false does not run"),
    ({"watchdog_user": "mallory"}, "this host has no user mallory"),
    ({"watchdog_user": "root"}, "watchdog_user: the bot would run as root"),
    ({"watchdog_cron_schedule": "every minute"}, "watchdog_cron_schedule: five fields"),
    ({"watchdog_root": "/opt/my bots"}, "watchdog_root: name an absolute path"),
    ({"watchdog_release_keep": 0}, "watchdog_release_keep: keep at least one"),
    ({"watchdog_smtp_password": 123456}, "watchdog_smtp_password: put it in quotes"),
    ({"watchdog_smtp_password": "one\ntwo"}, "line breaks and control characters"),
    ({"watchdog_app_args": "one\ntwo"}, "line breaks and control characters"),
    ({"watchdog_system": False}, "without watchdog_system the bot runs as the user that logs in"),
    ({"watchdog_release": "0.1.0-0123456789ab"}, "is not on this host; kept here: none"),
    ({"watchdog_python": "/usr/bin/python3.99"}, "/usr/bin/python3.99 does not do its work on this host"),
    ({"watchdog_release_keep": "many"}, "watchdog_release_keep"),
    ({"watchdog_start": "perhaps"}, "watchdog_start"),
    ({"watchdog_smtp_security": "ssl"}, "value of watchdog_smtp_security must be one of: auto, starttls, tls, plain"),
]


@pytest.fixture(scope="module")
def refused(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One deploy of them all: each under an inventory name of its own, which is its bot's name, too."""
    entries = {f"bad{number}": {"watchdog_name": f"bad{number}", **bad} for number, (bad, _) in enumerate(BAD)}
    inventory = write_inventory(tmp_path_factory.mktemp("bad") / "inventory.yml", site.lab, entries)
    # sshd turns log-ins away where more than ten are under way at once.
    played = replace(site, inventory=inventory, entry="bots").play("deploy.yml", "--forks=4")
    assert site.ours() == []
    assert site.bots() == []
    return played


@pytest.mark.parametrize(
    ("number", "words"),
    [(number, words) for number, (_, words) in enumerate(BAD)],
    ids=[f"{name}={value}" for bad, _ in BAD for name, value in bad.items()],
)
def test_a_bad_value_is_refused_before_anything_changes(refused: Played, number: int, words: str) -> None:
    assert words in refused.failure_of(f"bad{number}")
    assert re.search(rf"^bad{number} .* changed=0 .* failed=1 ", refused.output, re.MULTILINE)
    assert "Traceback" not in refused.output


def test_a_project_that_the_bots_user_may_not_enter_is_refused(untouched: Site) -> None:
    untouched.lab.exec(untouched.host, ["chown", "root:root", APP_DIR])
    untouched.lab.exec(untouched.host, ["chmod", "700", APP_DIR])
    try:
        assert "may not be entered by the bot's user" in untouched.refuse()
    finally:
        untouched.lab.exec(untouched.host, ["chown", "trader:trader", APP_DIR])
        untouched.lab.exec(untouched.host, ["chmod", "755", APP_DIR])


def test_a_host_without_cron_is_refused_unless_cron_is_not_wanted(untouched: Site) -> None:
    untouched.lab.exec(untouched.host, ["mv", "/usr/sbin/cron", "/usr/sbin/cron.away"])
    try:
        assert "cron: it is not installed" in untouched.refuse()
        assert "would start the bot" in untouched.deploy("--check", watchdog_cron=False).line
    finally:
        untouched.lab.exec(untouched.host, ["mv", "/usr/sbin/cron.away", "/usr/sbin/cron"])


@pytest.mark.fault("F34")
@pytest.mark.parametrize("user", ["trader", "root"])
def test_an_older_watchdog_in_a_crontab_is_refused_by_line(untouched: Site, user: str) -> None:
    untouched.crontab(f"{OTHERS}{OLD}\n", user=user)
    try:
        refusal = untouched.refuse()
        assert f"crontab of {user}, line 5 runs an older watchdog for this bot: {OLD}" in refusal
        assert "watchdog_retire_old: true" in refusal
    finally:
        untouched.lab.exec(untouched.host, ["crontab", "-u", user, "-r"])


@pytest.mark.fault("F34")
def test_an_older_watchdog_in_cron_d_and_in_a_unit_are_both_named(untouched: Site) -> None:
    lab, host = untouched.lab, untouched.host
    unit = (
        "[Service]\nUser=trader\nWorkingDirectory=/home/trader/dcaTrader\nExecStart=/usr/bin/python3 src/main_app.py\n"
    )
    untouched.write("/etc/cron.d/bots", f"# bots\n{OLD.replace('* cd', '* trader cd')}\n", user="root")
    untouched.write("/etc/systemd/system/bot.service", unit + "[Install]\nWantedBy=multi-user.target\n", user="root")
    lab.exec(host, ["systemctl", "enable", "bot.service"])
    try:
        refusal = untouched.refuse(watchdog_retire_old=True)
        assert "/etc/systemd/system/bot.service, line 4 starts this bot" in refusal
        assert "systemctl disable --now bot.service" in refusal
        assert "/etc/cron.d/bots, line 2 runs an older watchdog for this bot" in untouched.refuse()
        assert OLD.split()[-1] in lab.exec(host, ["cat", "/etc/cron.d/bots"]).stdout
    finally:
        lab.exec(host, ["systemctl", "disable", "bot.service"])
        lab.exec(host, ["rm", "/etc/cron.d/bots", "/etc/systemd/system/bot.service"])


@pytest.mark.fault("F34")
def test_an_older_watchdog_that_runs_now_is_named_with_its_pid(untouched: Site) -> None:
    lab, host = untouched.lab, untouched.host
    lab.exec(host, ["mkdir", "-p", f"{APP_DIR}/scripts"], user="trader")
    untouched.write(f"{APP_DIR}/scripts/watchdog.py", "import time\nprint('up', flush=True)\ntime.sleep(600)\n")
    start = f"cd {APP_DIR} && nohup python3 scripts/watchdog.py > /dev/null 2>&1 & echo $!"
    pid = lab.exec(host, ["sh", "-c", start], user="trader").stdout.strip()
    try:
        assert f"process {pid} runs an older watchdog for this bot" in untouched.refuse(watchdog_retire_old=True)
    finally:
        lab.exec(host, ["kill", pid])
        lab.exec(host, ["rm", "-r", f"{APP_DIR}/scripts"])


@pytest.mark.fault("F34")
def test_an_older_watchdog_is_commented_out_on_request_and_no_other_line_is_touched(site: Site) -> None:
    before = f"{OTHERS}{OLD}\n@daily /home/trader/otherTrader/scripts/watchdog.py\n"
    site.crontab(before)
    try:
        foretold = site.deploy("--check", watchdog_retire_old=True)
        assert "would comment out crontab of trader line 5" in foretold.line
        assert site.lab.exec(site.host, ["crontab", "-u", "trader", "-l"]).stdout == before
        played = site.deploy(watchdog_retire_old=True)
        assert "commented out crontab of trader line 5" in played.line
        after = site.lab.exec(site.host, ["crontab", "-u", "trader", "-l"]).stdout
        assert after == before.replace(OLD, f"# retired by dca-watchdog dcaTrader: {OLD}")
        assert site.deploy(watchdog_retire_old=True).changed == 0
        assert site.deploy().changed == 0
        assert len(site.bots()) == 1
    finally:
        site.reset()
        site.lab.exec(site.host, ["crontab", "-u", "trader", "-r"])
        site.install_bot()


def test_settings_that_the_agent_refuses_leave_what_is_in_use_as_it_is(site: Site) -> None:
    site.deploy()
    before = site.status()
    try:
        played = site.play("deploy.yml", watchdog_start_grace=99999)
        assert played.code != 0
        assert "WATCHDOG_START_GRACE" in played.failure
        assert f"{site.root}/dcaTrader/etc/watchdog.env" in played.failure
        assert played.changed == 0
        assert site.status()["guard"]["pid"] == before["guard"]["pid"]
        assert site.deploy().changed == 0
    finally:
        site.reset()
        site.install_bot()


def test_a_second_deployment_of_one_bot_and_a_second_bot_under_one_name_are_refused(site: Site) -> None:
    site.deploy()
    other = Site(site.lab, site.checkout, app_dir="/home/trader/otherTrader")
    other.install_bot()
    try:
        again = site.refuse(watchdog_name="sameBotAgain")
        assert "belongs to another deployment of this bot: watchdog_name dcaTrader" in again
        assert "cron.d/dca-watchdog-dcaTrader" in again
        second = site.refuse(watchdog_app_dir=other.app_dir)
        assert "dcaTrader is already deployed here for /home/trader/dcaTrader/src/main_app.py" in second
        assert site.deploy().changed == 0
    finally:
        site.reset()
        site.install_bot()
