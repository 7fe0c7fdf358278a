"""Who logs in with which key, and as whom the door is run."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ssh.bots import Door
from tests.ssh.checkout import Checkout
from tests.ssh.conftest import MakeDoor, MakeSshd
from tests.ssh.sshd import Sshd, make_key

PASSPHRASE = "correct horse"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """The socket of a private ssh-agent without keys."""
    path = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    while not path.exists():
        assert process.poll() is None
    yield str(path)
    process.terminate()
    process.wait()


def add_to_agent(agent: str, key: Path, passphrase: str = "") -> None:
    """ssh-add without a terminal."""
    ask = key.with_name("askpass")
    ask.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
    ask.chmod(0o700)
    environment = {**os.environ, "SSH_AUTH_SOCK": agent, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", key], env=environment, check=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def guarded(checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor, tmp_path: Path) -> tuple[Checkout, Path]:
    """A host that takes only a key with a passphrase, and that key."""
    locked = make_key(tmp_path / "id_locked", passphrase=PASSPHRASE)
    server = make_sshd(authorized=[locked])
    checkout.trust(server.known_hosts_line())
    host = checkout.host(server, make_door("bot").variables, {"ansible_ssh_private_key_file": str(locked)})
    checkout.write_inventory({"bot": host})
    return checkout, locked


def test_a_key_with_a_passphrase_works_through_the_agent(guarded: tuple[Checkout, Path], agent: str) -> None:
    checkout, locked = guarded
    add_to_agent(agent, locked, PASSPHRASE)
    assert checkout.fab("status", SSH_AUTH_SOCK=agent).code == 0
    locked.with_suffix(".pub").unlink()
    assert checkout.fab("status", SSH_AUTH_SOCK=agent).code == 0


def test_a_key_with_a_passphrase_and_no_agent_says_ssh_add(guarded: tuple[Checkout, Path]) -> None:
    checkout, locked = guarded
    done = checkout.fab("status")
    assert done.code == 4, done
    assert f"{locked} has a passphrase and no agent holds it (ssh-add {locked})" in done.err


def test_an_agent_full_of_other_keys_does_not_use_up_the_servers_patience(
    checkout: Checkout, sshd: Sshd, bot: Door, agent: str, tmp_path: Path
) -> None:
    for number in range(8):
        add_to_agent(agent, make_key(tmp_path / f"id_other{number}"))
    assert checkout.fab("status", SSH_AUTH_SOCK=agent).code == 0


def test_identities_only_leaves_the_agents_other_keys_alone(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor, agent: str, tmp_path: Path, key: Path
) -> None:
    held = make_key(tmp_path / "id_held")
    server = make_sshd(authorized=[held])
    checkout.trust(server.known_hosts_line())
    add_to_agent(agent, held)
    for option, code in (("yes", 4), ("no", 0)):
        arguments = f"{checkout.common_args} -o IdentitiesOnly={option}"
        host = checkout.host(server, make_door(f"bot-{option}").variables, {"ansible_ssh_common_args": arguments})
        checkout.write_inventory({"bot": host})
        done = checkout.fab("status", SSH_AUTH_SOCK=agent)
        assert done.code == code, done


def test_a_refused_login_says_as_whom_and_with_what(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor, tmp_path: Path, key: Path
) -> None:
    server = make_sshd(authorized=[make_key(tmp_path / "id_somebody")])
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, make_door("bot").variables)})
    done = checkout.fab("status")
    assert done.code == 4
    assert done.rows()[0][:2] == ["bot", "UNREACHABLE"]
    assert f"127.0.0.1 does not let {server.user} in (tried {key})" in done.err


def test_a_missing_key_file_is_named(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    host = checkout.host(sshd, bot.variables, {"ansible_ssh_private_key_file": "/nowhere/id_gone"})
    checkout.write_inventory({"bot": host})
    done = checkout.fab("status")
    assert done.code == 4
    assert "/nowhere/id_gone does not exist" in done.err


def test_the_key_may_come_from_the_ssh_arguments_the_ssh_configuration_or_fabrics_flag(
    checkout: Checkout, sshd: Sshd, bot: Door, key: Path
) -> None:
    bare = checkout.host(sshd, bot.variables)
    del bare["ansible_ssh_private_key_file"]
    checkout.write_inventory({"bot": bare})
    assert checkout.fab("status").code == 4
    assert checkout.fab("-i", str(key), "status").code == 0
    checkout.write_inventory({"bot": {**bare, "ansible_ssh_common_args": f"{checkout.common_args} -i {key}"}})
    assert checkout.fab("status").code == 0
    checkout.write_inventory({"bot": bare})
    checkout.ssh_config.write_text(f"Host 127.*\n  IdentityFile {key}\n")
    assert checkout.fab("status").code == 0


def test_the_ssh_configuration_may_say_everything_even_through_include_and_match(
    checkout: Checkout, sshd: Sshd, bot: Door, key: Path
) -> None:
    included = checkout.folder / "more_config"
    included.write_text(
        f"Host vps1\n  HostName {sshd.address}\n  Port {sshd.port}\n  User {sshd.user}\n  IdentityFile {key}\n"
        "Match exec false\n  Port 1\n"
    )
    checkout.ssh_config.write_text(f"Include {included}\n")
    checkout.write_inventory({"vps1": {"ansible_ssh_common_args": checkout.common_args, **bot.variables}})
    done = checkout.fab("status")
    assert (done.code, done.rows()[0][:2]) == (0, ["vps1", "running"]), done


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("-o Ciphers=aes128-cbc", "-o Ciphers=aes128-cbc"),
        ("-L 8080:localhost:80", "-L"),
        ("-o 'KnownHostsCommand=/bin/true'", "-o KnownHostsCommand=/bin/true"),
    ],
)
def test_an_ssh_argument_that_would_be_ignored_is_refused_by_name(
    checkout: Checkout, sshd: Sshd, bot: Door, argument: str, named: str
) -> None:
    arguments = f"{checkout.common_args} {argument}"
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_ssh_common_args": arguments})})
    done = checkout.fab("status")
    assert done.code == 1, done
    assert f"fab does not know what to do with the ssh argument `{named}`" in done.err
    assert bot.calls() == []


def test_arguments_that_change_nothing_here_are_let_through(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    arguments = f"{checkout.common_args} -C -q -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=30"
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_ssh_common_args": arguments})})
    assert checkout.fab("status").code == 0


FAKE_SUDO = """#!/bin/sh
printf '%s\\n' "$*" >> "$0.calls"
[ "$1 $2" = "-n -u" ] || exit 9
shift 3
exec "$@"
"""


def with_sudo(server: Sshd, script: str) -> Path:
    """Put a stand-in sudo first on the host's PATH."""
    path = server.folder / "bin" / "sudo"
    path.parent.mkdir()
    path.write_text(script)
    path.chmod(0o755)
    return path


@pytest.fixture
def other_user(checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor) -> tuple[Sshd, Door]:
    """A bot that belongs to a user who is not the one that logs in."""
    server, door = make_sshd(), make_door("bot")
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, door.variables, {"watchdog_user": "trader"})})
    return server, door


def test_the_door_of_another_user_is_run_by_sudo_without_a_prompt(
    checkout: Checkout, other_user: tuple[Sshd, Door]
) -> None:
    server, door = other_user
    sudo = with_sudo(server, FAKE_SUDO)
    assert checkout.fab("status").code == 0
    assert Path(f"{sudo}.calls").read_text() == f"-n -u trader {door.path} status --json\n"


def test_the_own_bots_door_is_run_directly(checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor) -> None:
    server, door = make_sshd(), make_door("bot")
    sudo = with_sudo(server, FAKE_SUDO)
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, door.variables, {"watchdog_user": server.user})})
    assert checkout.fab("status").code == 0
    assert door.calls() == ["status --json"]
    assert not Path(f"{sudo}.calls").exists()


@pytest.mark.parametrize(
    "words",
    ["sudo: a password is required", "sudo: ein Passwort ist notwendig", "Sorry, user op may not run sudo.\nsudo: no"],
)
def test_a_missing_sudo_right_is_an_instant_row_with_what_to_do(
    checkout: Checkout, other_user: tuple[Sshd, Door], words: str
) -> None:
    server, door = other_user
    with_sudo(server, f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    done = checkout.fab("status")
    assert done.code == 1, done
    assert done.rows()[0][:2] == ["bot", "ERROR"]
    assert f"{server.user}@bot may not run {door.path} as trader" in done.err
    assert "ansible-playbook deploy.yml --limit bot" in done.err


def test_a_door_that_sudo_cannot_find_is_a_missing_watchdog(checkout: Checkout, other_user: tuple[Sshd, Door]) -> None:
    server, door = other_user
    with_sudo(server, '#!/bin/sh\necho "sudo: $4: command not found" >&2\nexit 1\n')
    done = checkout.fab("status")
    assert done.code == 1
    assert f"no watchdog at {door.path} on bot" in done.err


def test_a_host_without_sudo_says_so(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "cat", "id"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    server, door = make_sshd(path=str(tools)), make_door("bot")
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, door.variables, {"watchdog_user": "trader"})})
    done = checkout.fab("status")
    assert done.code == 1, done
    assert "bot has no sudo" in done.err


def test_a_bot_user_that_does_not_exist_is_named(checkout: Checkout, other_user: tuple[Sshd, Door]) -> None:
    server, _ = other_user
    with_sudo(server, '#!/bin/sh\necho "sudo: unknown user trader" >&2\nexit 1\n')
    done = checkout.fab("status")
    assert done.code == 1
    assert "there is no user trader on bot" in done.err


@pytest.mark.needs_user
@pytest.mark.skipif(not shutil.which("sudo"), reason="needs sudo: apt-get install sudo")
def test_the_real_sudo_without_a_right_is_an_instant_row(checkout: Checkout, sshd: Sshd, make_door: MakeDoor) -> None:
    door = make_door("bot")
    checkout.write_inventory({"bot": checkout.host(sshd, door.variables, {"watchdog_user": "daemon"})})
    done = checkout.fab("status")
    assert done.code == 1, done
    assert f"{pwd.getpwuid(os.geteuid()).pw_name}@bot may not run {door.path} as daemon" in done.err
    assert done.seconds < 10
