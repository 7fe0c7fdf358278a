"""The mail password reaches the agent unchanged, and nothing and nobody else."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.api import Lab
from tests.lab.deployment import BASE, Site, copy_checkout

NEEDLE = "Zq7needle"
PASSWORD = f"{NEEDLE} {{{{ lookup('env', 'HOME') }}}} \"quoted\" 'single' #no $HOME ${{X}} \\n\\ back` ünï¢ødé%s"
MAIL = {
    "watchdog_smtp_server": "mail.example.org",
    "watchdog_smtp_username": "bot@example.org",
    "watchdog_alert_from": "bot@example.org",
    "watchdog_alert_to": "ops@example.org",
}
VERBOSE = ("-vvvvv", "--diff")


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A bot on a fresh host, whose journal the modules may write to: hiding is to be proved, not silence."""
    site = Site(lab, copy_checkout(tmp_path_factory.mktemp("checkout")))
    site.install_bot()
    return replace(site, environment={"ANSIBLE_NO_TARGET_SYSLOG": "False"})


@pytest.fixture(scope="module")
def vault(site: Site) -> list[str]:
    """The password as an inline vault string, and what a deploy needs to open it."""
    secret = Path(site.checkout, "vault-password")
    secret.write_text("the vault's own password\n")
    text = "\n".join(["---", "watchdog_smtp_password: !vault |", *_encrypted(secret)])
    Path(site.checkout, "secrets.yml").write_text(text + "\n")
    return ["-e", "@secrets.yml", "--vault-password-file", str(secret)]


def _encrypted(secret: Path) -> Iterator[str]:
    tool = Path(sys.executable).parent / "ansible-vault"
    command = [str(tool), "encrypt_string", "--vault-password-file", str(secret)]
    done = subprocess.run(command, input=PASSWORD, capture_output=True, text=True, check=True, cwd=secret.parent)
    return (line for line in done.stdout.splitlines()[1:])


@pytest.fixture(scope="module")
def outputs(site: Site, vault: list[str]) -> list[str]:
    """The most talkative output of a deploy, checked, real and failing, and of a removal that is only checked."""
    with _Watch(site.lab, site.host) as watch:
        texts = [
            site.deploy(*VERBOSE, "--check", *vault, **MAIL).output,
            site.deploy(*VERBOSE, *vault, **MAIL).output,
            site.deploy(*VERBOSE, *vault, **MAIL, watchdog_stop_grace=21).output,
            site.play("deploy.yml", *VERBOSE, *vault, **MAIL, watchdog_start_grace=99999).output,
            site.play("deploy.yml", *VERBOSE, *vault, **MAIL, watchdog_smtp_port="none").output,
            site.play("deploy.yml", *VERBOSE, *vault, **MAIL, watchdog_release_keep=0).output,
            site.play("remove.yml", *VERBOSE, "--check", *vault, **MAIL).output,
        ]
    return [*texts, *watch.seen]


class _Watch:
    """Looks at the arguments of every process of the host, again and again, while something goes on."""

    def __init__(self, lab: Lab, host: str) -> None:
        self.lab, self.host = lab, host
        self.seen: set[str] = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def __enter__(self) -> _Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.over.wait(0.01):
            self.seen.update(" ".join(argv) for argv in self.lab.pids(self.host).values())


@pytest.mark.promise(7)
def test_no_output_and_no_process_list_shows_the_password(outputs: list[str]) -> None:
    assert len(outputs) > 20, "the watch saw too few processes to prove anything"
    assert [text for text in outputs if NEEDLE in text] == []


@pytest.mark.promise(7)
def test_the_journal_of_the_host_knows_the_deploy_but_not_the_password(site: Site, outputs: list[str]) -> None:
    journal = site.lab.exec(site.host, ["journalctl", "--no-pager", "-o", "cat"]).stdout
    assert "json.load(sys.stdin)" in journal, "sudo logs what was called"
    assert NEEDLE not in journal


@pytest.mark.promise(7)
def test_one_file_holds_the_password_and_nobody_but_the_bots_user_reads_it(site: Site, outputs: list[str]) -> None:
    search = ["grep", "-rlsF", NEEDLE, "/etc", "/home", "/opt", "/root", "/run", "/tmp", "/usr/local", "/var"]
    assert site.lab.exec(site.host, search, check=False).stdout.split() == [f"{BASE}/dcaTrader/etc/smtp.env"]
    assert site.lab.exec(site.host, search, user="nobody", check=False).stdout == ""


@pytest.mark.promise(7)
def test_the_bot_never_gets_the_mail_settings(site: Site, outputs: list[str]) -> None:
    for pid in site.bots():
        environment = site.lab.exec(site.host, ["cat", f"/proc/{pid}/environ"]).stdout
        assert NEEDLE not in environment
        assert "SMTP_" not in environment


def test_the_password_reaches_the_agent_unchanged(site: Site, outputs: list[str]) -> None:
    lib = f"{BASE}/dcaTrader/current/lib"
    etc = f"{BASE}/dcaTrader/etc"
    code = (
        f"import sys; sys.path.insert(0, {lib!r}); from watchdog import config; "
        f"print(config.load({{}}, [{etc + '/watchdog.env'!r}, {etc + '/smtp.env'!r}]).smtp['SMTP_PASSWORD'])"
    )
    answer = site.lab.exec(site.host, ["env", "PYTHONIOENCODING=utf-8", "python3", "-I", "-c", code], user="trader")
    assert answer.stdout == f"{PASSWORD}\n"


def test_a_password_from_a_plain_variable_reaches_the_agent_unchanged_too(site: Site, outputs: list[str]) -> None:
    site.deploy(**MAIL, watchdog_smtp_password="plain but \"odd\" #1 \\ 'x'")
    text = site.lab.exec(site.host, ["cat", f"{BASE}/dcaTrader/etc/smtp.env"]).stdout
    assert 'SMTP_PASSWORD="plain but \\"odd\\" #1 \\\\ \'x\'"' in text.splitlines()
