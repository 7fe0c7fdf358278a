"""Host keys are always verified: what ssh would refuse is an UNREACHABLE row with the remedy, and nothing was sent."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.ssh.bots import Door
from tests.ssh.checkout import Checkout, Result
from tests.ssh.conftest import MakeDoor, MakeSshd
from tests.ssh.sshd import Sshd, make_key


def refused(done: Result, *words: str) -> None:
    """The host is a row, the reason one line, the exit code that of "unreachable"."""
    assert done.code == 4, done
    assert done.rows()[0][:2] == ["bot", "UNREACHABLE"], done
    assert done.err.count("\n") == 1, done
    for word in words:
        assert word in done.err, done


def other_key(tmp_path: Path, sshd: Sshd) -> str:
    """A known_hosts line with somebody else's key under this host's name."""
    kind, data = make_key(tmp_path / "somebody").with_suffix(".pub").read_text().split()[:2]
    return f"{sshd.listed_name} {kind} {data}\n"


def test_an_unknown_host_key_is_refused_with_the_keyscan_line_that_then_works(
    checkout: Checkout, sshd: Sshd, bot: Door
) -> None:
    checkout.trust()
    done = checkout.fab("status")
    refused(done, "is not known", "SHA256:")
    assert bot.calls() == []
    remedy = done.err.split("then: ")[1].strip()
    assert remedy == f"ssh-keyscan -p {sshd.port} 127.0.0.1 >> {checkout.known_hosts}"
    subprocess.run(remedy, shell=True, check=True, stderr=subprocess.DEVNULL)
    assert checkout.fab("status").code == 0


def test_a_changed_host_key_is_refused_with_the_remedy_that_then_works(
    checkout: Checkout, sshd: Sshd, bot: Door, tmp_path: Path
) -> None:
    checkout.trust("# a comment\n", other_key(tmp_path, sshd))
    done = checkout.fab("status")
    refused(done, f"is not the one in {checkout.known_hosts}:2", "somebody is in between")
    assert "host key has CHANGED" in done.out
    assert bot.calls() == []
    remedy = done.err.split("If that is right: ")[1].strip()
    subprocess.run(remedy, shell=True, check=True, capture_output=True)
    assert checkout.fab("status").code == 0


def test_a_hashed_known_hosts_line_is_understood(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    checkout.trust(sshd.hashed_line())
    assert checkout.fab("status").code == 0


def test_a_line_without_the_port_also_vouches_as_for_ssh(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    checkout.trust(sshd.known_hosts_line(name="127.0.0.1"))
    assert checkout.fab("status").code == 0


def test_a_wildcard_line_vouches_and_a_negated_one_does_not(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    checkout.trust(sshd.known_hosts_line(name=f"[127.0.0.*]:{sshd.port}"))
    assert checkout.fab("status").code == 0
    checkout.trust(sshd.known_hosts_line(name=f"[127.0.0.*]:{sshd.port},!{sshd.listed_name}"))
    refused(checkout.fab("status"), "is not known")


def test_a_revoked_key_is_refused_even_if_it_is_also_listed(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    checkout.trust(sshd.known_hosts_line(), "@revoked " + sshd.known_hosts_line(name="*"))
    refused(checkout.fab("status"), "is revoked in")


def test_a_certificate_authority_alone_does_not_vouch_and_says_why(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    checkout.trust("@cert-authority " + sshd.known_hosts_line(name="*"))
    refused(checkout.fab("status"), "cannot check the certificate authority")


def test_host_key_alias_is_the_name_that_is_looked_up(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    arguments = f"{checkout.common_args} -o HostKeyAlias=vps1"
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_ssh_common_args": arguments})})
    refused(checkout.fab("status"), "host key of vps1 is not known")
    checkout.trust(sshd.known_hosts_line(name="vps1"))
    assert checkout.fab("status").code == 0


def test_the_key_type_that_is_known_is_the_one_asked_for(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor
) -> None:
    server = make_sshd(key_types=("ed25519", "ecdsa", "rsa"))
    checkout.write_inventory({"bot": checkout.host(server, make_door("bot").variables)})
    for number in range(3):
        checkout.trust(server.known_hosts_line(key=number))
        done = checkout.fab("status")
        assert done.code == 0, done


def test_strict_host_key_checking_no_is_not_honoured(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    arguments = f"{checkout.common_args} -o StrictHostKeyChecking=no"
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_ssh_common_args": arguments})})
    checkout.trust()
    refused(checkout.fab("status"), "is not known")
    assert checkout.known_hosts.read_text() == ""


@pytest.fixture
def accepting(checkout: Checkout, sshd: Sshd, bot: Door) -> Checkout:
    """StrictHostKeyChecking=accept-new, and a known_hosts whose last line has no newline."""
    arguments = f"{checkout.common_args} -o StrictHostKeyChecking=accept-new"
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_ssh_common_args": arguments})})
    checkout.trust("# mine")
    return checkout


def test_accept_new_records_the_key_and_holds_the_host_to_it(accepting: Checkout, sshd: Sshd, tmp_path: Path) -> None:
    assert accepting.fab("status").code == 0
    assert accepting.known_hosts.read_text() == "# mine\n" + sshd.known_hosts_line()
    accepting.trust(other_key(tmp_path, sshd))
    refused(accepting.fab("status"), "is not the one in")


def test_accept_new_without_a_place_to_record_accepts_nothing(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    arguments = f"-F {checkout.ssh_config} -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null"
    arguments += " -o StrictHostKeyChecking=accept-new"
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_ssh_common_args": arguments})})
    refused(checkout.fab("status"), "cannot be recorded")


def test_many_bots_on_one_new_host_record_its_key_once(accepting: Checkout, sshd: Sshd, make_door: MakeDoor) -> None:
    arguments = {"ansible_ssh_common_args": f"{accepting.common_args} -o StrictHostKeyChecking=accept-new"}
    doors = {f"bot{number}": make_door(f"bot{number}") for number in range(12)}
    accepting.write_inventory({name: accepting.host(sshd, door.variables, arguments) for name, door in doors.items()})
    assert accepting.fab("status").code == 0
    assert accepting.known_hosts.read_text() == "# mine\n" + sshd.known_hosts_line()
