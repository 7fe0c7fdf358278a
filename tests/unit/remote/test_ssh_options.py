"""How a host is reached is what ssh itself says, or an error that names what cannot be honoured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remote.errors import HostError
from remote.hosts import Host
from remote.ssh_options import SshOptions, expand, parse, resolve, ssh_arguments


def options(tmp_path: Path, arguments: str = "", config: str = "", **fields: Any) -> SshOptions:
    """What the real ssh makes of a host with these arguments and this configuration."""
    file = tmp_path / "config"
    file.write_text(config)
    host = Host(name="bot", address="10.0.0.7", ssh_args=("-o ControlMaster=auto", arguments), **fields)
    return resolve(host.address, host.address, ssh_arguments(host, config_file=str(file)), base=tmp_path)


def test_inventory_variables_win_over_ssh_arguments_as_for_ansible(tmp_path: Path) -> None:
    found = options(tmp_path, "-p 1 -l nobody", port=2222, user="ops")
    assert (found.hostname, found.port, found.user) == ("10.0.0.7", 2222, "ops")


def test_ssh_arguments_win_over_the_ssh_configuration(tmp_path: Path) -> None:
    found = options(tmp_path, "-o User=me -p23", config="User you\nPort 24\nHostKeyAlias alias\n")
    assert (found.user, found.port, found.host_key_alias) == ("me", 23, "alias")


def test_files_are_expanded_and_relative_ones_count_from_the_checkout(tmp_path: Path) -> None:
    found = options(
        tmp_path, "-o UserKnownHostsFile=inventory/known_%h -o GlobalKnownHostsFile=none -i ~/keys/%r", user="ops"
    )
    assert found.known_hosts == (tmp_path / "inventory/known_10.0.0.7",)
    assert found.identity_files == (Path.home() / "keys/ops",)
    assert found.explicit_keys


def test_a_file_name_with_a_blank_is_one_file(tmp_path: Path) -> None:
    file = tmp_path / "known hosts"
    file.touch()
    found = options(tmp_path, f"-o 'UserKnownHostsFile=\"{file}\"' -o GlobalKnownHostsFile=none")
    assert found.known_hosts == (file,)


def test_a_key_file_with_a_blank_is_one_file(tmp_path: Path) -> None:
    assert options(tmp_path, key_file="/keys/my key").identity_files == (Path("/keys/my key"),)


def test_without_a_word_about_keys_the_usual_ones_are_tried_in_silence(tmp_path: Path) -> None:
    found = options(tmp_path)
    assert Path.home() / ".ssh/id_ed25519" in found.identity_files
    assert not found.explicit_keys


@pytest.mark.parametrize(
    ("arguments", "hops", "command"),
    [
        ("-J a,u@b:22", ("a", "u@b:22"), ""),
        ("-o ProxyJump=none", (), ""),
        ("-o 'ProxyCommand=ssh -W %h:%p -q gate'", (), "ssh -W 10.0.0.7:22 -q gate"),
    ],
)
def test_the_way_through_other_hosts(tmp_path: Path, arguments: str, hops: tuple[str, ...], command: str) -> None:
    found = options(tmp_path, arguments, config="ProxyCommand nc %h %p\n" if "ProxyCommand" in arguments else "")
    assert (found.proxy_jump, found.proxy_command) == (hops, command)


@pytest.mark.parametrize(
    ("argument", "word"),
    [
        ("-o Ciphers=x", "-o Ciphers=x"),
        ("-oMACs=x", "-o MACs=x"),
        ("-D 1080", "-D"),
        ("-w any", "-w"),
        ("gate", "gate"),
        ("--", "--"),
        ("-", "-"),
    ],
)
def test_an_argument_without_meaning_here_is_refused_by_name(argument: str, word: str) -> None:
    host = Host(name="bot", address="bot", ssh_args=("", argument))
    with pytest.raises(HostError, match="does not know what to do with the ssh argument") as caught:
        ssh_arguments(host)
    assert f"`{word}`" in str(caught.value)


def test_bad_quoting_is_that_hosts_error() -> None:
    with pytest.raises(HostError, match="No closing quotation"):
        ssh_arguments(Host(name="bot", address="bot", ssh_args=("", "-o 'User=x")))


def test_what_ssh_itself_rejects_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"ssh rejects its options for .*[Bb]ad"):
        options(tmp_path, config="NoSuchOption yes\n")


def test_an_address_that_looks_like_an_option_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="ssh rejects its options"):
        resolve("x", "-oProxyCommand=touch /tmp/x", [], base=tmp_path)


def test_revoked_host_keys_are_refused_instead_of_ignored(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="RevokedHostKeys"):
        options(tmp_path, config="RevokedHostKeys /etc/ssh/revoked\n")


@pytest.mark.parametrize(
    ("line", "agent"),
    [
        ("", "/env.sock"),
        ("IdentityAgent none\n", None),
        ("IdentityAgent /a b.sock\n", "/a b.sock"),
        ("IdentityAgent SSH_AUTH_SOCK\n", "/env.sock"),
    ],
)
def test_the_agent_is_the_one_ssh_would_ask(tmp_path: Path, line: str, agent: str | None) -> None:
    text = f"hostname h\nuser u\nport 22\n{line.lower().replace('ssh_auth_sock', 'SSH_AUTH_SOCK')}"
    assert parse("bot", text, base=tmp_path, agent="/env.sock").agent == agent


def test_tokens_and_variables_are_expanded_as_in_ssh_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "there")
    assert expand("%h:%p%%%x/${WHERE}", {"h": "bot", "p": "22", "%": "%"}) == "bot:22%%x/there"
