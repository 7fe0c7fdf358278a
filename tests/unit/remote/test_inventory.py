"""Hosts come from the Ansible inventory, as Ansible itself reads it; the cache never lies and holds no secret."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from remote import inventory
from remote.ansible_settings import read_settings
from remote.errors import HostError, InventoryError
from remote.hosts import host_from_variables
from remote.inventory import Inventory

HOSTS = """
all:
  children:
    bots:
      children:
        europe:
          hosts:
            bot[1:3]:
            bot10: {ansible_port: 2222}
        asia:
          hosts:
            tokyo: {ansible_host: 10.0.0.9}
            bot1:
    other:
      hosts:
        mail:
"""


class Project:
    """A checkout with an inventory and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {**os.environ, "XDG_CACHE_HOME": str(root / "cache"), "HOME": str(root)}
        for name in [name for name in self.environ if name.startswith("ANSIBLE_")]:
            del self.environ[name]
        self.write("ansible.cfg", "[defaults]\ninventory = inventory/hosts.yml\n")
        self.write("inventory/hosts.yml", HOSTS)
        self.write(
            "roles/watchdog/defaults/main.yml", "watchdog_name: dcaTrader\nwatchdog_system: true\nwatchdog_user: ''\n"
        )

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def load(self) -> Inventory:
        return inventory.load(self.root, self.environ)

    def listing(self) -> Any:
        """What Ansible itself says."""
        program = Path(sys.executable).with_name("ansible-inventory")
        argv = [str(program), "--list", "-i", str(self.root / "inventory/hosts.yml")]
        return json.loads(subprocess.run(argv, cwd=self.root, env=self.environ, check=True, capture_output=True).stdout)

    def cache_files(self) -> list[Path]:
        return list((self.root / "cache").rglob("*.json"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_hosts_groups_and_variables_are_those_of_ansible(project: Project) -> None:
    project.write("inventory/group_vars/europe.yml", "ansible_user: ops\nwatchdog_stop_grace: 60\n")
    project.write("inventory/host_vars/tokyo.yml", "ansible_user: taro\n")
    loaded, listed = project.load(), project.listing()
    assert list(loaded.hosts) == ["bot1", "bot2", "bot3", "bot10", "tokyo", "mail"]
    assert set(listed["_meta"]["hostvars"]) == {*loaded.hosts} - {"mail"}  # which has no variable
    for name, variables in listed["_meta"]["hostvars"].items():
        assert variables.items() <= loaded.hosts[name].items()
    assert loaded.groups["bots"] == ("bot1", "bot2", "bot3", "bot10", "tokyo")
    assert loaded.groups["asia"] == ("tokyo", "bot1")
    assert {"all", "bots", "europe", "asia", "other", "ungrouped"} <= set(loaded.groups)


def test_role_defaults_lie_below_the_inventory(project: Project) -> None:
    project.write("inventory/group_vars/asia.yml", "watchdog_name: asiaTrader\n")
    hosts = project.load().hosts
    assert (hosts["bot2"]["watchdog_name"], hosts["tokyo"]["watchdog_name"]) == ("dcaTrader", "asiaTrader")


def unaware(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, asking Ansible is a failure."""

    def ask(*_: object) -> None:
        raise AssertionError("asked Ansible again")

    monkeypatch.setattr(inventory, "_ask_ansible", ask)


def test_an_unchanged_inventory_is_not_read_by_ansible_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = project.load()
    unaware(monkeypatch)
    began = time.perf_counter()
    assert project.load() == first
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("inventory/hosts.yml", HOSTS.replace("2222", "2223")),
        ("inventory/group_vars/bots.yml", "ansible_user: new\n"),
        ("inventory/group_vars/bots/deep.yml", "ansible_user: new\n"),
        ("inventory/host_vars/bot1.yml", "ansible_user: new\n"),
        ("playbooks/group_vars/bots.yml", "ansible_user: new\n"),
        ("group_vars/bots.yml", "ansible_user: new\n"),
        ("ansible.cfg", "[defaults]\ninventory = inventory/hosts.yml\nremote_user = new\n"),
        ("roles/watchdog/defaults/main.yml", "watchdog_name: other\n"),
    ],
)
def test_a_change_in_any_file_that_feeds_it_is_seen(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    project.load()
    project.write(name, text)
    unaware(monkeypatch)
    with pytest.raises(AssertionError, match="asked Ansible again"):
        project.load()


def test_a_change_of_the_same_size_within_the_same_second_is_seen(project: Project) -> None:
    project.load()
    project.write("inventory/hosts.yml", HOSTS.replace("2222", "2229"))
    assert project.load().hosts["bot10"]["ansible_port"] == 2229


def test_a_removed_file_is_seen(project: Project) -> None:
    extra = project.write("inventory/group_vars/bots.yml", "ansible_user: ops\n")
    assert project.load().hosts["bot1"]["ansible_user"] == "ops"
    extra.unlink()
    assert "ansible_user" not in project.load().hosts["bot1"]


def test_no_secret_reaches_the_cache_and_only_the_owner_may_read_it(project: Project) -> None:
    project.write(
        "inventory/group_vars/all.yml", "watchdog_smtp_password: hunter2\nansible_password: hunter3\nx: hunter4\n"
    )
    project.load()
    (cached,) = project.cache_files()
    assert "hunter" not in cached.read_text()
    assert stat.S_IMODE(cached.stat().st_mode) == 0o600
    assert stat.S_IMODE(cached.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"fingerprint": 1}', b"\xff\xfe"])
def test_a_damaged_cache_is_made_anew(project: Project, damage: bytes) -> None:
    first = project.load()
    (cached,) = project.cache_files()
    cached.write_bytes(damage)
    assert project.load() == first
    assert json.loads(cached.read_text())["document"]["hosts"]


def test_a_place_where_no_cache_can_be_written_is_no_error(project: Project) -> None:
    project.environ["XDG_CACHE_HOME"] = "/dev/null"
    assert project.load().hosts


def test_an_inventory_script_is_asked_every_time(project: Project) -> None:
    counter = project.root / "counter"
    listing = '{"bots": {"hosts": ["bot"]}, "_meta": {"hostvars": {}}}'
    script = project.write("inventory/hosts.sh", f"#!/bin/sh\necho x >> {counter}\necho '{listing}'\n")
    script.chmod(0o755)
    project.environ["ANSIBLE_INVENTORY"] = str(script)
    assert list(project.load().hosts) == list(project.load().hosts) == ["bot"]
    assert len(counter.read_text().split()) == 2
    assert project.cache_files() == []


VAULT_VALUE = "ansible_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n  6364\n"


def test_vaulted_values_need_no_password(project: Project) -> None:
    project.write("inventory/group_vars/bots.yml", VAULT_VALUE + "ansible_user: ops\n")
    assert project.load().hosts["bot1"]["ansible_user"] == "ops"
    assert "VAULT" not in project.cache_files()[0].read_text()


def test_a_vaulted_value_that_is_needed_is_that_hosts_error_only(project: Project) -> None:
    project.write("inventory/host_vars/bot1.yml", VAULT_VALUE.replace("ansible_password", "ansible_host"))
    loaded = project.load()
    with pytest.raises(HostError, match="ansible_host is vaulted"):
        host_from_variables("bot1", loaded.hosts["bot1"], loaded.settings)
    assert host_from_variables("bot2", loaded.hosts["bot2"], loaded.settings).address == "bot2"


def test_a_wholly_encrypted_file_is_named_with_the_ways_out(project: Project) -> None:
    project.write("inventory/group_vars/bots.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n6364\n")
    with pytest.raises(InventoryError, match=r"wholly encrypted file.*encrypt_string.*ANSIBLE_VAULT_PASSWORD_FILE"):
        project.load()


def test_templates_over_other_variables_are_filled_in(project: Project) -> None:
    project.write(
        "inventory/group_vars/bots.yml",
        "domain: example.net\n"
        'ansible_host: "{{ inventory_hostname }}.{{ zone | default(domain) }}"\n'
        'ansible_ssh_common_args: "-o UserKnownHostsFile={{ inventory_dir }}/known_hosts"\n'
        'watchdog_root: "/srv/{{ group_names | first }}"\n',
    )
    variables = project.load().hosts["bot2"]
    assert variables["ansible_host"] == "bot2.example.net"
    assert variables["ansible_ssh_common_args"] == f"-o UserKnownHostsFile={project.root}/inventory/known_hosts"
    assert variables["watchdog_root"] == "/srv/bots"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ansible_facts.hostname }}",
        "{{ lookup('env', 'HOME') }}",
        "{{ ansible_host }}",
        "{{ ''.__class__ }}",
        "{% if %}",
    ],
)
def test_what_only_ansible_can_evaluate_is_refused_by_name(project: Project, template: str) -> None:
    project.write("inventory/host_vars/bot1.yml", f'ansible_host: "{template}"\n')
    loaded = project.load()
    with pytest.raises(HostError, match="inventory of bot1: ansible_host: only Ansible can evaluate"):
        host_from_variables("bot1", loaded.hosts["bot1"], loaded.settings)


def test_a_missing_inventory_says_where_it_was_looked_for(project: Project) -> None:
    (project.root / "inventory/hosts.yml").unlink()
    with pytest.raises(InventoryError, match=r"no inventory at inventory/hosts\.yml"):
        project.load()


@pytest.mark.parametrize("text", ["all: [", "all:\n  hosts: {}\n", "just words\n"])
def test_an_inventory_without_sense_or_hosts_is_one_line(project: Project, text: str) -> None:
    project.write("inventory/hosts.yml", text)
    with pytest.raises(InventoryError) as caught:
        project.load()
    assert "\n" not in str(caught.value)


def test_the_environment_wins_over_ansible_cfg(project: Project) -> None:
    project.write("elsewhere/hosts.yml", "bots: {hosts: {far: }}\n")
    project.environ["ANSIBLE_INVENTORY"] = str(project.root / "elsewhere/hosts.yml")
    assert list(project.load().hosts) == ["far"]


def test_connection_settings_of_ansible_cfg_hold_below_the_hosts_own(project: Project) -> None:
    project.write(
        "ansible.cfg",
        "[defaults]\ninventory = inventory\nremote_user = ops ; the night shift\nremote_port = 2200\n"
        "private_key_file = keys/id_ops\n"
        "[ssh_connection]\nssh_args = -o ControlMaster=auto\nssh_common_args = -J gate\n",
    )
    settings = read_settings(project.root, project.environ)
    bare = host_from_variables("bot", {}, settings)
    assert (bare.user, bare.port, bare.key_file) == ("ops", 2200, str(project.root / "keys/id_ops"))
    assert bare.ssh_args == ("-o ControlMaster=auto", "-J gate")
    own: dict[str, Any] = {"ansible_user": "me", "ansible_port": 22, "ansible_ssh_common_args": "-J none"}
    host = host_from_variables("bot", own, settings)
    assert (host.user, host.port, host.ssh_args[1]) == ("me", 22, "-J none")
