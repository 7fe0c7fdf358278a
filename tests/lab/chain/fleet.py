"""The whole chain on lab hosts: stand-in bot, the real `ansible-playbook` and `fab`, a mail server and a price feed.

Mail server and feed listen on this machine's address in the lab's network, which is all that a host can reach.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from demo.mail import Mail
from demo.mail_sink import MailSink
from demo.price_server import PriceServer
from demo.project import REPOSITORY, Project, make_project
from lab.api import Lab
from lab.image import BOT_USER
from lab.inventory import APP_DIR
from tests.lab.chain.processes import DOOR, bots, number_inside
from tests.lab.chain.revival import Watched
from tests.lab.chain.waiting import until

BOT = Project(Path(APP_DIR))
ENVIRONMENT_FILE = f"/home/{BOT_USER}/bot.env"

#: Seconds between two paper trades: often, so that the ledger shows who was at work when.
BUY_EVERY = 0.2

#: Seconds until a start counts as good. Short, since every automatic restart of a test waits for it.
START_GRACE = 0.5

_DEPLOY_LIMIT = 180.0
_FAB_LIMIT = 90.0


class Fleet:
    """Lab hosts with a bot each, and the operator's commands for them, run from this checkout."""

    def __init__(self, lab: Lab, mails: MailSink, feed: PriceServer) -> None:
        self.lab, self.mails, self.feed = lab, mails, feed
        self.hosts = tuple(lab.hosts)

    def deploy(self, *options: str) -> subprocess.CompletedProcess[str]:
        """`ansible-playbook deploy.yml`, as typed by an operator; expected to work."""
        return self.command("ansible-playbook", "deploy.yml", *options, timeout=_DEPLOY_LIMIT)

    def fab(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`fab` with these words, expected to end with this exit code."""
        return self.command("fab", *words, code=code, timeout=_FAB_LIMIT)

    def command(self, *argv: str, code: int = 0, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command of the checkout with the lab's inventory chosen.

        Raises AssertionError with its output for another exit code or a traceback, TimeoutExpired after `timeout` s.
        """
        done = subprocess.run(
            argv,
            cwd=REPOSITORY,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        said = f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        assert done.returncode == code, said
        assert "Traceback" not in done.stdout + done.stderr, said
        return done

    def environment(self) -> dict[str, str]:
        """What `ansible-playbook` and `fab` are run with."""
        return self.lab.environment() | {"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"}

    def vary(self, host: str, **variables: Any) -> None:
        """Give one host inventory variables of its own, for the next deploy."""
        path = self.lab.inventory_path.with_name("host_vars") / f"{host}.yml"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # A string means itself, whatever braces are in it; JSON is YAML, too.
        lines = [
            f"{name}: {'!unsafe ' * isinstance(value, str)}{json.dumps(value)}\n" for name, value in variables.items()
        ]
        path.write_text("".join(lines))

    def door(self, host: str, *words: str, code: int | None = 0) -> dict[str, Any]:
        """Call the bot's door on the host, as the bot's user; its JSON answer. A `code` of None takes any."""
        done = self.lab.exec(host, [DOOR, *words, "--json"], user=BOT_USER, check=False)
        assert code is None or done.returncode == code, f"{host}: {words} ended with {done.returncode}: {done.stdout}"
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def status(self, host: str) -> dict[str, Any]:
        """The agent's own word on the bot."""
        return self.door(host, "status", code=None)

    def bot(self, host: str) -> int:
        """The PID, on this machine, of the host's one bot."""
        return self.watched(host).bot()

    def bot_inside(self, host: str) -> int:
        """The PID, inside the host, of its one bot."""
        return number_inside(self.bot(host))

    def wait_for_bot(self, host: str, other_than: int | None = None, timeout: float = 30) -> int:
        """Wait until the host has one bot (another than that PID of this machine); returns its PID here."""
        until(
            lambda: len(found := bots(self.lab, host)) == 1 and found != [other_than],
            timeout,
            f"{host} has a bot other than {other_than}",
        )
        return self.bot(host)

    def watched(self, host: str) -> Watched:
        """The host's bot, to be read and killed."""
        return Watched(self.lab, host, BOT)

    def guard_inside(self, host: str) -> int | None:
        """The PID, inside the host, of the guard that answers."""
        guard = self.status(host)["guard"]
        return int(guard["pid"]) if guard and guard["answers"] else None

    def wait_for_guard(self, host: str, other_than: int | None = None, timeout: float = 30) -> None:
        """Wait until a guard answers, another than that PID of the host."""
        until(lambda: self.guard_inside(host) not in (None, other_than), timeout, f"{host} has a guard that answers")

    def wait_for_state(self, host: str, state: str, timeout: float = 30) -> None:
        """Wait until the agent calls the bot that; where it does not, the failure shows all that it says."""
        try:
            until(lambda: self.status(host)["state"] == state, timeout, f"{host} is {state}")
        except AssertionError as error:
            log = self.watched(host).read(BOT.folder / "logs" / "watchdog.log").splitlines()[-30:]
            found = json.dumps(self.status(host), indent=1)
            raise AssertionError("\n".join([str(error), found, *log])) from None

    def mails_of(self, host: str) -> list[Mail]:
        """The mails that came from that host."""
        return [mail for mail in self.mails.mails if f" on {host}:" in mail.subject]

    def wait_for_mails(self, host: str, count: int, timeout: float = 30) -> list[Mail]:
        """Wait until that many mails have come from the host, and make sure that no further one is under way."""
        until(lambda: len(self.mails_of(host)) >= count, timeout, f"{count} mails from {host}")
        until(lambda: self.status(host)["alerts"]["queued"] == 0, timeout, f"{host} has nothing more to send")
        found = self.mails_of(host)
        assert len(found) == count, [mail.subject for mail in found]
        return found


def mail_server(lab: Lab, **options: Any) -> MailSink:
    """A mail server, not started yet, that the lab's hosts can reach."""
    sink = MailSink(**options)
    sink.host = lab.controller_address
    return sink


@contextlib.contextmanager
def installed(lab: Lab) -> Iterator[Fleet]:
    """The stand-in bot on every host of the lab, not running, not deployed; mail server and feed are up."""
    mails, feed = mail_server(lab), PriceServer()
    feed.host = lab.controller_address
    with mails, feed, tempfile.TemporaryDirectory(prefix="project-") as folder:
        project = make_project(Path(folder, "dcaTrader"))
        settings = f"DEMO_FEED_URL={feed.url}\nDEMO_BUY_EVERY={BUY_EVERY}\n"
        for host in lab.hosts:
            lab.put(host, project.folder, APP_DIR, owner=BOT_USER)
            lab.exec(host, ["sh", "-c", 'cat > "$1"', "write", ENVIRONMENT_FILE], user=BOT_USER, input=settings)
        variables = lab.inventory_path.with_name("group_vars") / "bots.yml"
        variables.parent.mkdir(mode=0o700, exist_ok=True)
        variables.write_text(yaml.safe_dump(_variables(mails)))
        yield Fleet(lab, mails, feed)


@contextlib.contextmanager
def deployed(lab: Lab) -> Iterator[Fleet]:
    """The same after the first deploy, with the mail of each first start received and every bot trading."""
    with installed(lab) as fleet:
        fleet.deploy()
        for host in fleet.hosts:
            fleet.wait_for_mails(host, 1)
            wait_for_trade(fleet, host)
        yield fleet


def wait_for_trade(fleet: Fleet, host: str) -> None:
    """Wait until the host's one bot buys something from now on."""
    before, pid = len(traders(fleet, host)), fleet.bot_inside(host)
    until(lambda: pid in traders(fleet, host)[before:], 30, f"{host}: PID {pid} trades")


def traders(fleet: Fleet, host: str) -> list[int]:
    """Whose trade each line of the ledger is: PIDs inside the host."""
    lines = fleet.watched(host).read(BOT.ledger).splitlines()
    return [int(line.split(",")[1]) for line in lines if line.count(",") == 4 and not line.startswith("time")]


def _variables(mails: MailSink) -> dict[str, Any]:
    """What an operator writes into group_vars for this network: its mail server has no TLS."""
    return {
        "watchdog_app_env_file": ENVIRONMENT_FILE,
        "watchdog_start_grace": START_GRACE,
        "watchdog_smtp_server": mails.host,
        "watchdog_smtp_port": mails.port,
        "watchdog_smtp_security": "plain",
        "watchdog_alert_from": "watchdog@lab.invalid",
        "watchdog_alert_to": "operator@lab.invalid",
    }
