"""One real cron minute on three hosts: a stopped bot, a host without guard and heir, a host without all three."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab.api import Lab
from tests.lab.chain.fleet import Fleet, deployed, wait_for_trade
from tests.lab.chain.processes import Headcount, bots, guards, heirs, kill_together
from tests.lab.chain.ticks import wait_for_tick
from tests.lab.chain.waiting import until

STOPPED, GUARDLESS, EMPTY = "bot1", "bot2", "bot3"

#: logind as some administrators set it: whatever a log-in has started ends at its logout.
STRICT = (
    "mkdir -p /etc/systemd/logind.conf.d && printf '[Login]\\nKillUserProcesses=yes\\n' > $1 && systemctl restart $2"
)


@pytest.fixture(scope="module")
def chain(fleet: Lab) -> Iterator[Fleet]:
    """Three hosts right after their first deploy, all with KillUserProcesses=yes."""
    with deployed(fleet) as chain:
        for host in chain.hosts:
            place = "/etc/systemd/logind.conf.d/strict.conf"
            fleet.exec(host, ["sh", "-c", STRICT, "strict", place, "systemd-logind"])
        yield chain


def test_a_killed_guard_is_replaced_by_its_heir_at_once_and_the_bot_does_not_notice(chain: Fleet) -> None:
    bot, old = chain.bot(GUARDLESS), chain.guard_inside(GUARDLESS)
    (guard,) = guards(chain.lab, GUARDLESS)
    (heir,) = heirs(chain.lab, GUARDLESS)
    with Headcount(chain.lab, [GUARDLESS]) as count:
        os.kill(guard, signal.SIGKILL)
        chain.wait_for_guard(GUARDLESS, other_than=old, timeout=10)
        until(lambda: len(heirs(chain.lab, GUARDLESS)) == 1, 20, "there is a new heir")
    assert heirs(chain.lab, GUARDLESS) != [heir]
    assert len(guards(chain.lab, GUARDLESS)) == 1
    assert chain.bot(GUARDLESS) == bot
    assert count.never_two()


@dataclass(frozen=True)
class Minute:
    """What was there before the minute, by this machine's PIDs, and the counts of bots during it."""

    bots: dict[str, int]
    mails: dict[str, int]
    count: Headcount


@pytest.fixture(scope="module")
def minute(chain: Fleet) -> Minute:
    """Stop one bot, kill what is to be killed on the other hosts, and let cron come round."""
    chain.fab("-H", STOPPED, "stop", "--reason", "over night")
    before = {host: chain.bot(host) for host in (GUARDLESS, EMPTY)}
    mails = {host: len(chain.mails_of(host)) for host in chain.hosts}
    with Headcount(chain.lab, chain.hosts) as count:
        for host, victims in ((GUARDLESS, []), (EMPTY, [before[EMPTY]])):
            kill_together(chain.lab, host, [*guards(chain.lab, host), *heirs(chain.lab, host), *victims])
            assert guards(chain.lab, host) == heirs(chain.lab, host) == []
        assert chain.bot(GUARDLESS) == before[GUARDLESS]
        assert bots(chain.lab, EMPTY) == []
        wait_for_tick(chain.lab, chain.hosts)
        chain.wait_for_bot(EMPTY)
    return Minute(before, mails, count)


@pytest.mark.promise(5)
def test_cron_does_not_resurrect_a_stopped_bot(chain: Fleet, minute: Minute) -> None:
    assert set(minute.count.seen[STOPPED]) == {0}
    status = chain.status(STOPPED)
    assert (status["state"], status["desired_reason"]) == ("stopped", "over night")
    assert status["guard"]["answers"]


@pytest.mark.promise(6)
def test_cron_brings_guard_and_heir_back_within_a_minute_and_the_bot_keeps_its_pid(
    chain: Fleet, minute: Minute
) -> None:
    assert chain.bot(GUARDLESS) == minute.bots[GUARDLESS]
    assert chain.status(GUARDLESS)["guard"]["answers"]
    assert len(guards(chain.lab, GUARDLESS)) == len(heirs(chain.lab, GUARDLESS)) == 1
    groups = chain.lab.exec(GUARDLESS, ["cat", f"/proc/{chain.guard_inside(GUARDLESS)}/cgroup"]).stdout
    assert groups.endswith("/system.slice/cron.service\n")
    chain.wait_for_mails(GUARDLESS, minute.mails[GUARDLESS])


@pytest.mark.promise(2)
@pytest.mark.promise(1)
def test_cron_brings_guard_heir_and_exactly_one_bot_back_when_all_were_killed_at_once(
    chain: Fleet, minute: Minute
) -> None:
    assert chain.bot(EMPTY) != minute.bots[EMPTY]
    wait_for_trade(chain, EMPTY)
    assert chain.status(EMPTY)["guard"]["answers"]
    assert len(guards(chain.lab, EMPTY)) == len(heirs(chain.lab, EMPTY)) == 1
    assert minute.count.never_two()
    assert len(chain.watched(EMPTY).first_lines()) == 2
    (*_, mail) = chain.wait_for_mails(EMPTY, minute.mails[EMPTY] + 1)
    assert "ended while no guard watched" in mail.text


def test_a_start_after_the_night_brings_the_stopped_bot_back(chain: Fleet, minute: Minute) -> None:
    chain.fab("-H", STOPPED, "start")
    wait_for_trade(chain, STOPPED)


@pytest.mark.fault("F47")
def test_a_bot_started_by_fab_outlives_the_logout_where_logind_kills_what_a_log_in_leaves(
    chain: Fleet, minute: Minute
) -> None:
    """The guard is cron's here, so the bot never belonged to the log-in."""
    others = sessions(chain)  # Ansible keeps a connection open for a minute
    chain.fab("-H", GUARDLESS, "stop")
    chain.fab("-H", GUARDLESS, "start")
    bot = chain.bot(GUARDLESS)
    leave_behind = "setsid sleep 424242 </dev/null >/dev/null 2>&1 & until pgrep -x sleep >/dev/null; do :; done"
    chain.lab.ssh(GUARDLESS, leave_behind, user="trader")
    until(lambda: not sleepers(chain), 20, "logind has ended what the log-in had started")
    until(lambda: sessions(chain) <= others, 20, "fab and we are logged out")
    assert chain.bot(GUARDLESS) == bot
    assert chain.status(GUARDLESS)["state"] == "running"


def sleepers(chain: Fleet) -> list[int]:
    return [pid for pid, words in chain.lab.pids(GUARDLESS).items() if words[-1] == "424242"]


def sessions(chain: Fleet) -> set[str]:
    """The numbers of the log-ins that logind knows there."""
    listed = chain.lab.exec(GUARDLESS, ["loginctl", "list-sessions", "--no-legend"]).stdout
    return {line.split()[0] for line in listed.splitlines()}
