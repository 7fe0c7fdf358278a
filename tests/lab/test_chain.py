"""One command deploys three hosts, `fab` controls them: an operator's day. The tests below build on each other."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from demo.project import REPOSITORY
from lab.api import Lab
from tests.lab.chain.fleet import BOT, Fleet, deployed, wait_for_trade
from tests.lab.chain.processes import Headcount, bots, calls, guards, heirs
from tests.lab.chain.waiting import until


@pytest.fixture(scope="module")
def chain(fleet: Lab) -> Iterator[Fleet]:
    """Three hosts right after their first deploy."""
    with deployed(fleet) as chain:
        yield chain


def table(text: str) -> dict[str, list[str]]:
    """The rows of `fab status` by host, split at wide gaps; the heading under HOST."""
    return {line.split()[0]: re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()}


def test_hosts_of_the_chain_have_no_way_to_anywhere_but_controller_and_neighbours(chain: Fleet) -> None:
    for host in chain.hosts:
        routes = chain.lab.exec(host, ["ip", "route"]).stdout.splitlines()
        assert [line.split()[0] for line in routes] == [f"10.77.{chain.lab.record.network}.0/24"]
        elsewhere = chain.lab.exec(host, ["ip", "route", "get", "192.0.2.1"], check=False)
        assert elsewhere.returncode != 0
        assert "unreachable" in elsewhere.stderr


def test_one_command_has_started_one_bot_one_guard_and_one_heir_on_every_host(chain: Fleet) -> None:
    for host in chain.hosts:
        status = chain.status(host)
        assert status["state"] == "running"
        assert status["pid"] == chain.bot_inside(host)
        assert status["pid_file"]["pid"] == status["pid"]
        assert status["warnings"] == []
        assert len(chain.watched(host).first_lines()) == 1
        until(lambda host=host: len(guards(chain.lab, host)) == 1, 15, f"{host} has one guard")
        until(lambda host=host: len(heirs(chain.lab, host)) == 1, 15, f"{host} has one heir")


def test_each_first_start_was_told_in_one_mail_that_names_host_and_pid(chain: Fleet) -> None:
    for host in chain.hosts:
        (mail,) = chain.mails_of(host)
        assert mail.subject.startswith(f"✅ dcaTrader on {host}: ")
        assert f"PID {chain.bot_inside(host)}" in mail.text
        assert mail.recipients == ("operator@lab.invalid",)


def test_fab_status_shows_a_row_for_every_host_and_ends_with_0(chain: Fleet) -> None:
    done = chain.fab("status")
    print(done.stdout)
    rows = table(done.stdout)
    assert rows["HOST"] == ["HOST", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEM", "LAST EVENT"]
    assert [name for name in rows if name != "HOST"] == list(chain.hosts)
    for host in chain.hosts:
        assert rows[host][1:3] == ["running", str(chain.bot_inside(host))]


def test_fab_restart_proves_the_old_and_the_new_pid(chain: Fleet) -> None:
    old, neighbour = chain.bot_inside("bot1"), chain.bot("bot2")
    with Headcount(chain.lab, ["bot1"]) as count:
        done = chain.fab("-H", "bot1", "restart", "--reason", "a new strategy")
    print(done.stdout)
    proof = re.search(r"old PID (\d+) → new PID (\d+)\s+verified after [\d.]+ s", done.stdout)
    assert proof, done.stdout
    assert [int(number) for number in proof.groups()] == [old, chain.bot_inside("bot1")]
    assert count.never_two()
    assert chain.bot("bot2") == neighbour
    assert "goodbye" in chain.watched("bot1").read(BOT.log)


def test_fab_logs_shows_the_last_lines_of_every_bot(chain: Fleet) -> None:
    wait_for_trade(chain, "bot1")
    done = chain.fab("logs", "-n", "5")
    print(done.stdout)
    for host in chain.hosts:
        lines = [line for line in done.stdout.splitlines() if line.startswith(f"{host} |")]
        assert len(lines) == 5
        assert any("trade" in line for line in lines)


def test_following_two_hosts_ends_with_ctrl_c_and_leaves_no_follower_on_them(chain: Fleet) -> None:
    both = ("bot1", "bot2")
    with subprocess.Popen(
        ["fab", "-H", ",".join(both), "logs", "--follow", "-n", "0"],
        cwd=REPOSITORY,
        env=chain.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as fab:
        waiting = set(both)
        while waiting:
            line = fab.stdout.readline()
            assert line, fab.stderr.read()
            waiting -= {host for host in both if line.startswith(f"{host} |") and "trade" in line}
        assert all(calls(chain.lab, host, "logs") for host in both)
        pressed = time.monotonic()
        fab.send_signal(signal.SIGINT)
        _, complaints = fab.communicate(timeout=20)
        took = time.monotonic() - pressed
    for host in both:
        until(lambda host=host: not calls(chain.lab, host, "logs"), 5, f"{host} has no follower left")
    print(f"Ctrl-C to the end of fab: {took * 1000:.0f} ms")
    assert fab.returncode == 130
    assert "Traceback" not in complaints


@pytest.mark.promise(5)
def test_a_stopped_bot_stays_stopped_over_a_deploy_and_comes_back_on_start(chain: Fleet) -> None:
    chain.fab("-H", "bot2", "stop", "--reason", "exchange maintenance")
    assert bots(chain.lab, "bot2") == []
    again = chain.deploy()
    assert re.findall(r"changed=(\d+)", again.stdout) == ["0", "0", "0"]
    assert bots(chain.lab, "bot2") == []
    rows = table(chain.fab("-H", "bot1,bot2", "status", code=3).stdout)
    assert rows["bot1"][1] == "running"
    assert rows["bot2"][1] == "stopped"
    status = chain.status("bot2")
    assert status["desired"] == "stopped"
    assert status["desired_reason"] == "exchange maintenance"
    done = chain.fab("-H", "bot2", "start")
    assert f"PID {chain.bot_inside('bot2')}" in done.stdout
    wait_for_trade(chain, "bot2")


@pytest.mark.promise(6)
def test_a_deploy_of_changed_settings_upgrades_the_guard_and_not_the_bot(chain: Fleet) -> None:
    before, guard = chain.bot("bot3"), chain.status("bot3")["guard"]["since"]
    chain.vary("bot3", watchdog_stop_grace=7)
    chain.deploy("--limit", "bot3")
    assert chain.bot("bot3") == before
    status = chain.status("bot3")
    assert status["guard"]["answers"]
    assert status["guard"]["since"] > guard


def test_what_the_operator_does_is_not_told_by_mail(chain: Fleet) -> None:
    for host in chain.hosts:
        chain.wait_for_mails(host, 1)


@pytest.mark.fault("F78")
def test_hosts_that_are_off_or_mute_are_rows_within_bounded_time_and_exit_code_4(chain: Fleet) -> None:
    chain.lab.shut_down("bot3")
    chain.lab.freeze("bot2")
    began = time.monotonic()
    try:
        done = chain.fab("status", code=4)
    finally:
        chain.lab.freeze("bot2", frozen=False)
    took = time.monotonic() - began
    print(done.stdout, done.stderr, f"{took:.1f} s", sep="\n")
    rows = table(done.stdout)
    assert [rows[host][1] for host in chain.hosts] == ["running", "UNREACHABLE", "UNREACHABLE"]
    assert took < 30
    assert "bot2: " in done.stderr
    assert "bot3: " in done.stderr
