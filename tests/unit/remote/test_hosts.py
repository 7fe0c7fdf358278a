"""One host out of its inventory variables."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from remote.ansible_settings import AnsibleSettings
from remote.errors import HostError
from remote.hosts import Host, host_from_variables
from tests.ssh.checkout import ROOT

NOTHING = AnsibleSettings()


def host(**variables: Any) -> Host:
    return host_from_variables("bot", variables, NOTHING)


def test_a_bare_name_is_its_own_address() -> None:
    assert host() == Host(name="bot", address="bot")


def test_the_defaults_here_are_those_of_the_role() -> None:
    defaults = yaml.safe_load((ROOT / "roles/watchdog/defaults/main.yml").read_text())
    assert host(**defaults) == host()


@pytest.mark.parametrize(
    ("variables", "door"),
    [
        ({}, "/opt/dca-watchdog/bin/dcaTrader"),
        ({"watchdog_name": "second", "watchdog_root": "/srv/wd"}, "/srv/wd/bin/second"),
        ({"watchdog_system": False, "watchdog_root": "/opt/dca-watchdog"}, ".local/share/dca-watchdog/bin/dcaTrader"),
        ({"watchdog_system": "no"}, ".local/share/dca-watchdog/bin/dcaTrader"),
        ({"watchdog_system": False, "watchdog_root": "/home/me/wd"}, "/home/me/wd/bin/dcaTrader"),
    ],
)
def test_the_door_is_where_the_role_puts_it(variables: dict[str, Any], door: str) -> None:
    assert host(**variables).door == door


def test_old_names_of_connection_variables_still_count() -> None:
    found = host(ansible_ssh_host="h", ansible_ssh_port="23", ansible_ssh_user="u", ansible_private_key_file="k")
    assert (found.address, found.port, found.user, found.key_file) == ("h", 23, "u", "k")


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"ansible_connection": "docker"}, "ansible_connection: docker is not supported"),
        ({"ansible_port": 0}, "ansible_port"),
        ({"ansible_port": "22x"}, "ansible_port"),
        ({"watchdog_system": "perhaps"}, "watchdog_system: 'perhaps' is neither true nor false"),
        ({"watchdog_name": "../x"}, "watchdog_name"),
        ({"watchdog_name": "a b"}, "watchdog_name"),
        ({"watchdog_user": "-u root"}, "watchdog_user"),
        ({"watchdog_root": "opt"}, "watchdog_root: opt is not an absolute path"),
        ({"watchdog_stop_grace": "soon"}, "watchdog_stop_grace: 'soon' is not a number of seconds"),
    ],
)
def test_a_malformed_variable_is_named(variables: dict[str, Any], problem: str) -> None:
    with pytest.raises(HostError) as caught:
        host(**variables)
    assert str(caught.value).startswith(f"inventory of bot: {problem}")
