"""Deaths on a real host: kill -9 of the bot again and again, the mails about it, and mail servers good and bad."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from demo import mail_sink
from demo.certificate import make_certificate
from demo.mail_sink import MailSink
from demo.smtp_answers import Behaviour
from lab.api import Lab
from lab.image import BOT_USER
from tests.lab.chain.fleet import Fleet, deployed, mail_server, traders, wait_for_trade
from tests.lab.chain.processes import Headcount, bots, calls, guards, heirs, number_inside
from tests.lab.chain.revival import HEADING, row
from tests.lab.chain.waiting import until

HOST = "bot1"
KILLS = 20

USER, PASSWORD = "bot-mails", "pa55 {{ word }} $HOME \"quoted\" 'n' #1"
CA_FILE = f"/home/{BOT_USER}/mail-ca.pem"


@pytest.fixture(scope="module")
def chain(lab: Lab) -> Iterator[Fleet]:
    """One host right after its first deploy."""
    with deployed(lab) as chain:
        yield chain


@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.fault("F49")
def test_twenty_kills_leave_exactly_one_bot_each_time_and_send_one_mail_each(chain: Fleet) -> None:
    watched, revivals = chain.watched(HOST), []
    with Headcount(chain.lab, [HOST]) as count:
        for number in range(1, KILLS + 1):
            wait_for_trade(chain, HOST)
            dead = chain.bot_inside(HOST)
            revivals.append(watched.revive())
            mail = chain.wait_for_mails(HOST, 1 + number)[-1]  # the first one told of the first start
            assert mail.subject == f"✅ dcaTrader on {HOST}: restarted"
            assert f"bot is running again: PID {number_inside(revivals[-1].new)}" in mail.text
            assert "killed by SIGKILL" in mail.text
            status = chain.status(HOST)
            assert status["state"] == "running"
            assert status["pid"] == status["pid_file"]["pid"] == number_inside(revivals[-1].new) != dead
            assert chain.door(HOST, "start")["action"] == "none"  # the delays begin anew, as after ten healthy minutes
    print(HEADING, row("watchdog", revivals), sep="\n")
    print(f"mails: {len(chain.mails_of(HOST))} (one for the first start, one per death); looks: {count.seen[HOST]}")
    assert count.never_two()
    assert len(watched.first_lines()) == 1 + KILLS
    assert len(set(traders(chain, HOST))) >= KILLS


@pytest.mark.fault("F41")
def test_without_the_operator_the_delays_grow_and_the_fifth_death_is_told_as_critical(chain: Fleet) -> None:
    """The first five steps of the ladder are 0, 1, 2, 5 and 10 s."""
    watched, mails = chain.watched(HOST), len(chain.mails_of(HOST))
    waits = []
    for number in range(1, 5):
        chain.wait_for_state(HOST, "running")
        waits.append(watched.revive().seconds)
        chain.wait_for_mails(HOST, mails + number)
    chain.wait_for_state(HOST, "running")
    os.kill(chain.bot(HOST), signal.SIGKILL)
    chain.wait_for_state(HOST, "failed")
    assert 5 < chain.status(HOST)["next_start_in_s"] <= 10
    (*_, last) = chain.wait_for_mails(HOST, mails + 5)
    assert last.subject == f"❌ dcaTrader on {HOST}: failed to restart"
    assert "died 5 times within an hour" in last.text
    assert all(delay <= wait < delay + 4 for delay, wait in zip((0, 1, 2, 5), waits, strict=True)), waits
    answer = chain.door(HOST, "start")
    assert answer["action"] == "started"
    assert chain.status(HOST)["restarts"] == 0


@pytest.mark.promise(1)
@pytest.mark.fault("F76")
def test_deploys_that_upgrade_the_guard_while_the_bot_keeps_dying_never_make_two(chain: Fleet) -> None:
    over, kills = threading.Event(), []

    def keep_killing() -> None:
        while not over.wait(0.7):
            for pid in bots(chain.lab, HOST):
                os.kill(pid, signal.SIGKILL)
                kills.append(pid)

    chain.door(HOST, "start")
    with Headcount(chain.lab, [HOST]) as count, ThreadPoolExecutor(1) as pool:
        killing = pool.submit(keep_killing)
        try:
            for grace in (8, 9):
                chain.vary(HOST, watchdog_stop_grace=grace)
                assert "guard upgraded" in chain.deploy().stdout
        finally:
            over.set()
        killing.result()
        chain.door(HOST, "start")
        wait_for_trade(chain, HOST)
    print(f"{len(kills)} kills; looks: {count.seen[HOST]}")
    assert len(kills) >= 2
    assert count.never_two()
    assert len(guards(chain.lab, HOST)) == len(heirs(chain.lab, HOST)) == 1


@pytest.mark.promise(4)
@pytest.mark.fault("F60")
@pytest.mark.parametrize("behaviour", [Behaviour.BLACKHOLE, Behaviour.REFUSE, Behaviour.TEMPORARY])
def test_a_mail_server_that_takes_no_mail_delays_no_restart_and_the_mail_arrives_later(
    chain: Fleet, behaviour: Behaviour
) -> None:
    chain.door(HOST, "start")
    mails = len(chain.mails_of(HOST))
    chain.mails.stop()
    with mail_server(chain.lab, port=chain.mails.port, behaviour=behaviour) as bad:
        revival = chain.watched(HOST).revive()
        until(lambda: chain.status(HOST)["alerts"]["queued"] == 1, 20, "the mail waits in the outbox")
        if behaviour is not Behaviour.REFUSE:
            bad.wait_for_connections(1, timeout=20)
        assert chain.status(HOST)["state"] == "running"
        assert chain.bot(HOST) == revival.new
    print(f"{behaviour.value}: back after {revival.seconds * 1000:.1f} ms")
    until(lambda: not calls(chain.lab, HOST, "send"), 20, "the sender has given up")
    chain.mails.start()
    chain.watched(HOST).revive()
    (*_, late, last) = chain.wait_for_mails(HOST, mails + 2)
    assert f"PID {number_inside(chain.bot(HOST))}" in last.text
    assert late.message["Date"].datetime <= last.message["Date"].datetime


@pytest.fixture(scope="module")
def secure(chain: Fleet) -> Iterator[MailSink]:
    """A mail server with STARTTLS and a log-in, its certificate on the host, and the host deployed for it."""
    names = ("controller", chain.lab.controller_address)
    with (
        patch.object(mail_sink, "make_certificate", partial(make_certificate, names=names)),
        mail_server(chain.lab, tls="starttls", auth=(USER, PASSWORD)) as sink,
    ):
        assert sink.ca_file
        chain.lab.put(HOST, sink.ca_file, CA_FILE, owner=BOT_USER)
        redeploy(chain, sink, security="starttls", username=USER, password=PASSWORD, ca_file=CA_FILE)
        yield sink


def test_a_death_is_told_over_starttls_with_a_log_in(chain: Fleet, secure: MailSink) -> None:
    chain.watched(HOST).revive()
    mail = secure.wait_for(timeout=20)
    assert mail.subject == f"✅ dcaTrader on {HOST}: restarted"
    assert mail.encrypted
    assert mail.user == USER


@pytest.mark.promise(7)
def test_the_mail_password_is_in_no_process_and_no_file_but_the_one_of_its_own(chain: Fleet, secure: MailSink) -> None:
    for pid in chain.lab.pids(HOST):
        for name in ("cmdline", "environ"):
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/{name}").read_bytes(), chain.lab.pids(HOST)[pid]
    bot = Path(f"/proc/{chain.bot(HOST)}/environ").read_text().split("\0")
    assert [line for line in bot if line.startswith(("SMTP_", "ALERT_"))] == []
    assert PASSWORD not in chain.lab.exec(HOST, ["journalctl", "--output=export"]).stdout
    changed = chain.lab.hosts[HOST].folder / "upper"
    core = re.compile(re.escape("pa55 {{ word }}").encode())
    found = [path for path in changed.rglob("*") if path.is_file() and core.search(path.read_bytes())]
    assert [str(path.relative_to(changed)) for path in found] == ["opt/dca-watchdog/dcaTrader/etc/smtp.env"]
    assert found[0].stat().st_mode & 0o777 == 0o600


def test_fab_alert_test_says_that_the_server_took_the_mail(chain: Fleet, secure: MailSink) -> None:
    done = chain.fab("-H", HOST, "alert-test")
    assert f"{secure.host}:{secure.port} took a test mail for operator@lab.invalid" in done.stdout
    assert secure.mails[-1].subject == f"📧 dcaTrader on {HOST}: test alert"


def redeploy(chain: Fleet, sink: MailSink, **mail: str) -> None:
    """Deploy the host for another mail server; the bot stays."""
    bot = chain.bot(HOST)
    chain.vary(HOST, watchdog_smtp_port=sink.port, **{f"watchdog_smtp_{name}": text for name, text in mail.items()})
    chain.deploy()
    assert chain.bot(HOST) == bot
