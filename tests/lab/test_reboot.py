"""Hosts that shut down, reboot and lose their power. The tests of this file build on each other, life after life."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.api import Lab
from lab.image import BOT_USER
from tests.lab.chain.fleet import BOT, ENVIRONMENT_FILE, Fleet, deployed, wait_for_trade
from tests.lab.chain.processes import bots, guards

#: Three bots, three ways to take SIGTERM.
TIDY, SLOW, RUDE = "bot1", "bot2", "bot3"

#: Seconds that the slow one needs for its end.
FAREWELL = 3

#: A bot in a few lines; what it does on SIGTERM comes after it.
PLAIN = """\
import os, signal, sys, time
from pathlib import Path
print(f"BOOTTIME={time.clock_gettime(time.CLOCK_BOOTTIME):.6f} first line", flush=True)
HOME = Path(__file__).resolve().parent.parent
(HOME / "data").mkdir(exist_ok=True)
def end(*_):
    print("SIGTERM", flush=True)
    time.sleep(FAREWELL)
    print("goodbye", flush=True)
    sys.exit(CODE)
signal.signal(signal.SIGTERM, end)
while True:
    with open(HOME / "data" / "ledger.csv", "a") as ledger:
        ledger.write(f"now,{os.getpid()},1,1,1\\n")
    time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def chain(fleet: Lab) -> Iterator[Fleet]:
    """Three hosts right after their first deploy, each with another kind of bot."""
    with deployed(fleet) as chain:
        for host, farewell, code in ((SLOW, FAREWELL, 0), (RUDE, 0, 1)):
            source = f"FAREWELL, CODE = {farewell}, {code}\n{PLAIN}"
            fleet.exec(host, ["sh", "-c", 'cat > "$1"', "write", str(BOT.script)], user=BOT_USER, input=source)
            chain.door(host, "restart")
            wait_for_trade(chain, host)
        yield chain


def everywhere(act: Callable[[str], None], chain: Fleet) -> None:
    """Do it on all hosts at the same time."""
    with ThreadPoolExecutor(len(chain.hosts)) as pool:
        list(pool.map(act, chain.hosts))


def output_of(chain: Fleet, host: str) -> list[str]:
    """What the host's bots printed so far; also of a host that is off."""
    disk = chain.lab.hosts[host].folder / "upper"
    return Path(f"{disk}{BOT.output}").read_text().splitlines()


def lives(chain: Fleet, host: str) -> int:
    return sum(line.startswith("BOOTTIME=") for line in output_of(chain, host))


@pytest.mark.fault("F38")
def test_a_shutdown_lets_the_bot_end_in_its_own_time_and_nothing_is_started_meanwhile(chain: Fleet) -> None:
    """The guards of this life were started by the deploy, in a scope of their own."""
    shut_down_and_look(chain)


@pytest.mark.promise(2)
@pytest.mark.fault("F13")
def test_cron_starts_guard_and_bot_at_boot_and_tells_it_once(chain: Fleet) -> None:
    before = {host: (lives(chain, host), len(chain.mails_of(host))) for host in chain.hosts}
    everywhere(chain.lab.switch_on, chain)
    for host, (started, mails) in before.items():
        chain.wait_for_bot(host)
        wait_for_trade(chain, host)
        chain.wait_for_state(host, "running")
        assert lives(chain, host) == started + 1
        status = chain.status(host)
        assert status["pid"] == status["pid_file"]["pid"] == chain.bot_inside(host)
        assert status["guard"]["answers"]
        groups = chain.lab.exec(host, ["cat", f"/proc/{status['guard']['pid']}/cgroup"]).stdout
        assert groups.endswith("/system.slice/cron.service\n")
        (*_, mail) = chain.wait_for_mails(host, mails + 1)
        assert f"PID {status['pid']}" in mail.text


@pytest.mark.fault("F38")
def test_the_same_holds_for_a_guard_that_cron_has_started(chain: Fleet) -> None:
    shut_down_and_look(chain)
    everywhere(chain.lab.switch_on, chain)
    for host in chain.hosts:
        chain.wait_for_bot(host)
        wait_for_trade(chain, host)


@pytest.mark.fault("F38")
def test_a_bot_that_ends_before_its_guard_is_not_started_again_while_the_host_goes_down(chain: Fleet) -> None:
    """Started by hand in a log-in, it gets its SIGTERM with that log-in's processes, long before the guard does."""
    settings = f"PYTHONUNBUFFERED=1 $(cat {ENVIRONMENT_FILE})"
    start = f"env {settings} setsid nohup /usr/bin/python3 {BOT.script} >> {BOT.output} 2>&1 </dev/null &"
    for host in chain.hosts:
        chain.door(host, "maintenance", "on")
        os.kill(chain.bot(host), signal.SIGKILL)
        chain.wait_for_state(host, "down")
        chain.lab.ssh(host, f"cd {BOT.folder}\n{start}", user=BOT_USER)
        chain.wait_for_bot(host)
        wait_for_trade(chain, host)
        chain.door(host, "maintenance", "off")
        chain.wait_for_state(host, "running")
        chain.door(host, "start")  # the next death would be followed by a start without delay
    shut_down_and_look(chain)
    everywhere(chain.lab.switch_on, chain)
    for host in chain.hosts:
        chain.wait_for_bot(host)
        wait_for_trade(chain, host)


@pytest.mark.promise(5)
@pytest.mark.fault("F75")
def test_stop_and_maintenance_survive_a_reboot_from_inside_and_the_third_bot_comes_back(chain: Fleet) -> None:
    stopped, maintained, running = TIDY, SLOW, RUDE
    chain.fab("-H", stopped, "stop", "--reason", "tax report")
    chain.fab("-H", maintained, "maintenance", "on", "--for", "30m", "--reason", "new keys")
    assert chain.status(maintained)["pid"] == chain.bot_inside(maintained)
    before = {host: lives(chain, host) for host in chain.hosts}
    everywhere(chain.lab.reboot, chain)
    chain.wait_for_bot(running)
    for host in chain.hosts:
        chain.wait_for_guard(host)
    assert {host: lives(chain, host) - before[host] for host in chain.hosts} == {stopped: 0, maintained: 0, running: 1}
    assert bots(chain.lab, stopped) == bots(chain.lab, maintained) == []
    status = chain.status(stopped)
    assert (status["state"], status["desired_reason"]) == ("stopped", "tax report")
    kept = chain.status(maintained)["maintenance"]
    assert kept["reason"] == "new keys"
    assert 25 * 60 < kept["remaining_s"] < 30 * 60
    done = chain.fab("status", code=3)
    print(done.stdout)
    assert (
        re.search(rf"^{maintained}\s+maintenance", done.stdout, re.MULTILINE | re.IGNORECASE)
        or "new keys" in done.stdout
    )


@pytest.mark.promise(5)
def test_start_and_the_end_of_maintenance_bring_both_back(chain: Fleet) -> None:
    chain.fab("-H", TIDY, "start")
    chain.fab("-H", SLOW, "maintenance", "off")
    for host in (TIDY, SLOW):
        chain.wait_for_bot(host)
        wait_for_trade(chain, host)
    chain.fab("status")


@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.fault("F13")
def test_a_power_cut_leaves_files_of_the_dead_and_exactly_one_bot_comes_back(chain: Fleet) -> None:
    before = lives(chain, TIDY)
    chain.lab.cut_power(TIDY)
    disk = Path(f"{chain.lab.hosts[TIDY].folder}/upper{BOT.pid_file}")
    assert disk.read_text().strip().isdigit()
    chain.lab.switch_on(TIDY)
    chain.wait_for_bot(TIDY)
    wait_for_trade(chain, TIDY)
    assert lives(chain, TIDY) == before + 1
    assert len(guards(chain.lab, TIDY)) == 1


def shut_down_and_look(chain: Fleet) -> None:
    """Each bot has ended in order and, after its own SIGTERM, none was started until the power was off."""
    before = {host: lives(chain, host) for host in chain.hosts}
    everywhere(chain.lab.shut_down, chain)
    for host in chain.hosts:
        assert not chain.lab.hosts[host].is_up()
        lines = output_of(chain, host)
        print(host, lines[-1])
        assert "goodbye" in lines[-1]
        assert lives(chain, host) == before[host]
